"""Windows against slices worked out by hand, and the pipeline that reads them."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import checks
from dlsuite.data import crops, pipeline, sources
from dlsuite.data.crops import Crop
from dlsuite.errors import ConfigError

IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
PNG = tf.io.encode_png(IMAGE)
IMAGENET = {"area": (0.08, 1.0), "ratio": (0.75, 1.3333)}


def crop(kind="centre", size=2, shorter=4, scales=(4.0, 4.0), **more):
  return Crop(size, kind, IMAGENET["area"], IMAGENET["ratio"], scales, shorter, **more)


def fixed(*values):
  """Returns draws that are these numbers in turn, whichever are asked for."""
  left = list(values)
  return lambda first, count: tf.constant([left.pop(0) for _ in range(count)], tf.float32)


def test_an_evaluation_takes_the_centre_of_the_image_whose_shorter_side_was_scaled():
  np.testing.assert_array_equal(crop().evaluate(PNG, 3), IMAGE[1:3, 2:4])
  halved = tf.io.encode_png(np.repeat(np.repeat(IMAGE, 2, 0), 2, 1))  # 8 x 12, scaled to 4 x 6
  np.testing.assert_allclose(crop().evaluate(halved, 3), IMAGE[1:3, 2:4], atol=6)  # antialiasing looks at the neighbours


def test_the_whole_central_square_is_kept_for_ten_crops():
  np.testing.assert_array_equal(crop(keep_square=True).evaluate(PNG, 3), IMAGE[:, 1:5])


@pytest.mark.parametrize(("place", "rows", "columns"), [
  ((0.0, 0.0), slice(0, 2), slice(0, 2)), ((0.99, 0.99), slice(2, 4), slice(4, 6)), ((0.5, 0.45), slice(1, 3), slice(2, 4))])
def test_a_vgg_window_is_one_of_all_places(place, rows, columns):
  np.testing.assert_array_equal(crop("vgg").train(PNG, 3, fixed(0.3, *place)), IMAGE[rows, columns])


def test_a_vgg_window_shrinks_as_the_image_is_scaled_up():
  # Of a shorter side of 4 scaled to 8 a crop of 2 is one pixel.
  found = crop("vgg", scales=(8.0, 8.0)).train(PNG, 3, fixed(0.0, 0.0, 0.0)).numpy()
  np.testing.assert_array_equal(found, np.broadcast_to(IMAGE[0, 0], (2, 2, 3)))


def test_training_by_the_centre_sees_what_an_evaluation_sees():
  np.testing.assert_array_equal(crop().train(PNG, 3, fixed()), crop().evaluate(PNG, 3))


def inception_windows(height, width, area, ratio, count=400):
  random = np.random.default_rng(0)
  size = tf.constant(height), tf.constant(width)
  return np.array([crops.inception(*size, area, ratio, lambda _, n: tf.constant(random.random(n), tf.float32))
                   for _ in range(count)])


def test_inception_windows_lie_in_the_image_and_have_the_shapes_of_the_paper():
  windows = inception_windows(300, 400, **IMAGENET)
  top, left, h, w = windows.T
  assert (windows >= 0).all()
  assert (top + h <= 300).all()
  assert (left + w <= 400).all()
  ratio = w / h
  assert (ratio.min(), ratio.max()) == pytest.approx((0.75, 1.3333), abs=0.03)
  assert (top.min(), left.min()) == (0, 0)


def test_the_area_of_inception_windows_is_drawn_evenly():
  # Squares of a square always fit. Evenly from 0.08 to 1: mean 0.54, standard deviation 0.92/sqrt(12) = 0.27.
  share = inception_windows(200, 200, (0.08, 1.0), (1.0, 1.0))[:, 2] ** 2 / 200**2
  assert abs(share.mean() - 0.54) < 5 * 0.27 / np.sqrt(400)
  assert (share.min(), share.max()) == pytest.approx((0.08, 1.0), abs=0.02)


def test_where_no_window_fits_it_is_the_largest_central_one_of_an_allowed_shape():
  # Areas of at least 90% of a strip of 10 x 1000 are higher than it for each ratio up to 4/3.
  window = crops.inception(tf.constant(10), tf.constant(1000), (0.9, 1.0), (0.75, 4 / 3), fixed(*[0.5] * 40))
  assert window.numpy().tolist() == [0, (1000 - 13) // 2, 10, 13]


def test_of_a_jpeg_only_the_window_is_decoded_and_it_is_that_of_the_whole_image():
  smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)[..., None].repeat(3, 2)
  encoded = tf.io.encode_jpeg(smooth, quality=95)
  whole = tf.io.decode_jpeg(encoded, channels=3).numpy()
  np.testing.assert_array_equal(crops.read(encoded, tf.constant([16, 24, 20, 30]), 3), whole[16:36, 24:54])
  np.testing.assert_array_equal(crop(size=32, shorter=64).evaluate(encoded, 3), whole[16:48, 32:64])


@pytest.fixture
def cropped(digits_config):
  digits_config.data.resize, digits_config.data.crop, digits_config.data.shorter = 0, 6, 8
  digits_config.data.batch_size = 100
  return digits_config


def batches(config, strategy, first, count):
  split = pipeline.Split.open(sources.open_builder("optical_digits"), config, "train")
  iterator = pipeline.train_batches(split, config, strategy, first, None)
  return [next(iterator)["image"].numpy() for _ in range(count)]


def test_windows_are_those_of_the_same_step_also_after_a_restart(cropped, strategy):
  whole = batches(cropped, strategy, 0, 4)
  assert whole[0].shape == (100, 6, 6, 1)
  np.testing.assert_array_equal(batches(cropped, strategy, 3, 1)[0], whole[3])
  cropped.seed = 1
  assert (batches(cropped, strategy, 3, 1)[0] != whole[3]).any()


def test_the_training_split_is_evaluated_by_its_centres(cropped, strategy):
  builder = sources.open_builder("optical_digits")
  whole = pipeline.Split.open(builder, cropped, "train").arrays()["image"]
  cropped.data.crop = 0
  np.testing.assert_array_equal(whole, pipeline.Split.open(builder, cropped, "train").arrays()["image"][:, 1:7, 1:7])


@pytest.mark.parametrize(("key", "value", "message"), [
  ("data.resize", 32, r"data\.crop=6 and data\.resize=32 exclude each other"),
  ("data.shorter", 5, r"data\.shorter=5 is smaller than data\.crop=6"),
  ("data.cache", "memory", r"each epoch crops other windows; take 'auto' or 'stream'"),
  ("data.augment.area", (0.5, 0.1), r"data\.augment\.area=\(0\.5, 0\.1\) must be two numbers, the smaller first"),
  ("data.augment.area", (0.5, 1.5), r"must be shares of the image, at most 1"),
])
def test_crops_that_cannot_be_are_refused(cropped, key, value, message):
  checks.check(cropped)
  holder, _, name = key.rpartition(".")
  (cropped.data.augment if "augment" in holder else cropped.data)[name] = value
  with pytest.raises(ConfigError, match=message):
    checks.check(cropped)


def test_vgg_scales_smaller_than_the_crop_are_refused(cropped):
  cropped.data.augment.crop, cropped.data.augment.scales = "vgg", (4.0, 8.0)
  with pytest.raises(ConfigError, match=r"data\.augment\.scales=\(4\.0, 8\.0\) begin below data\.crop=6"):
    checks.check(cropped)
