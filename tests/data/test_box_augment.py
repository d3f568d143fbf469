"""What augmentation does to a picture, its boxes follow."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import catalog
from dlsuite.data import box_augment, randomness

HEIGHT, WIDTH = 48, 64
SIDES = [HEIGHT, WIDTH] * 2


def picture(top, left, bottom, right):
  """One black image with a white rectangle, and its box."""
  image = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
  image[0, top:bottom, left:right] = 255
  box = np.array([[[top / HEIGHT, left / WIDTH, bottom / HEIGHT, right / WIDTH]]], np.float32)
  return tf.constant(image), tf.constant(box), tf.constant([[1]])


def lit(images):
  """The box around what is white, in pixels."""
  white = np.asarray(images)[0, ..., 0] > 160  # grey is 128
  rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
  return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def options(**values):
  config = catalog.load("experiments/vision/detector.py").copy_and_resolve_references().unlock()
  config.data.augment.update({"flip": "none", "zoom": 0.0, "shift": 0.0, "colour": 0.0} | values)
  return config.data.augment


@pytest.mark.parametrize(("corner", "size"), [((0, 0), 1.0), ((0.1, -0.2), 1.0), ((0.2, 0.1), 0.6), ((-0.3, -0.2), 1.5)])
def test_a_box_stays_around_what_it_surrounds_in_any_window(corner, size):
  images, boxes, labels = picture(18, 20, 30, 40)
  shown, moved, kept = box_augment.window(images, boxes, labels, tf.constant([corner], tf.float32), tf.constant([size]))
  np.testing.assert_allclose(moved[0, 0] * SIDES, lit(shown), atol=0.6)
  assert kept.numpy() == [[1]]


def test_the_whole_image_as_window_changes_no_pixel():
  images = np.random.default_rng(0).integers(256, size=(2, HEIGHT, WIDTH, 3), dtype=np.uint8)
  shown, _, _ = box_augment.window(tf.constant(images), tf.zeros([2, 1, 4]), tf.zeros([2, 1], tf.int32), tf.zeros([2, 2]),
                                   tf.ones([2]))
  np.testing.assert_allclose(shown, images, atol=1e-3)


@pytest.mark.parametrize(("shift", "label"), [(0.70, 1), (0.75, -1)])
def test_a_box_of_which_less_than_three_tenths_are_seen_is_dropped(shift, label):
  images, boxes, labels = picture(0, 0, HEIGHT, WIDTH)
  _, moved, kept = box_augment.window(images, boxes, labels, tf.constant([[0.0, shift]]), tf.constant([1.0]))
  np.testing.assert_allclose(moved[0, 0], [0, 0, 1, 1 - shift], atol=1e-6)
  assert kept.numpy() == [[label]]


@pytest.mark.parametrize(("function", "expected"), [
  (box_augment.mirror, (6, 24, 30, 54)), (box_augment.turn_over, (18, 10, 42, 40))])
def test_flipped_boxes_surround_flipped_shapes_and_only_where_the_coin_says(function, expected):
  images, boxes, _ = picture(6, 10, 30, 40)
  flipped, moved = function(images, boxes, tf.constant([0.2]))
  assert lit(flipped) == expected
  np.testing.assert_allclose(moved[0, 0] * SIDES, expected, rtol=1e-5)
  same, still = function(images, boxes, tf.constant([0.7]))
  np.testing.assert_array_equal(same, images)
  np.testing.assert_array_equal(still, boxes)


def test_colours_are_changed_by_factors_worked_out_by_hand():
  images = tf.constant(np.stack([np.full((4, 4, 3), 100), np.full((4, 4, 3), [200, 100, 0])]), tf.float32)
  half = tf.fill([2], 0.5)
  np.testing.assert_allclose(box_augment.jitter_colour(images, 0.4, half, half, half), images, atol=1e-3)
  lighter = box_augment.jitter_colour(images, 0.4, tf.ones([2]), half, half)
  np.testing.assert_allclose(lighter, 1.4 * images, rtol=1e-5)
  pale = box_augment.jitter_colour(images, 0.5, half, half, tf.zeros([2]))
  grey = 0.299 * 200 + 0.587 * 100
  np.testing.assert_allclose(pale[1, 0, 0], [(200 + grey) / 2, (100 + grey) / 2, grey / 2], rtol=1e-4)


def test_an_example_is_augmented_in_the_same_way_in_any_batch():
  rng = np.random.default_rng(0)
  batch = {"image": tf.constant(rng.integers(256, size=(6, HEIGHT, WIDTH, 3), dtype=np.uint8)),
           "boxes": tf.constant(np.tile([0.2, 0.3, 0.6, 0.7], (6, 2, 1)), tf.float32), "labels": tf.ones([6, 2], tf.int32)}
  wanted = options(flip="both", zoom=0.3, shift=0.2, colour=0.2)

  def augmented(rows, epoch=3):
    index = tf.constant(rows, tf.int64)
    part = {word: tf.gather(values, index) for word, values in batch.items()}
    return box_augment.augment(part, wanted, lambda draw: randomness.uniform(7, tf.constant(epoch, tf.int64), index, draw))

  whole, part = augmented(range(6)), augmented([4, 2])
  for word, values in part.items():
    np.testing.assert_array_equal(values, tf.gather(whole[word], [4, 2]))
  assert whole["image"].dtype == tf.uint8
  assert (augmented(range(6), epoch=4)["boxes"].numpy() != whole["boxes"].numpy()).any((1, 2)).all()


def test_objects_grow_and_shrink_by_at_most_the_zoom():
  images, boxes, labels = picture(18, 24, 30, 40)
  for draw, factor in ((0.0, 1 / 1.5), (0.5, 1.0), (1.0, 1.5)):
    found = box_augment.augment({"image": images, "boxes": boxes, "labels": labels}, options(zoom=0.5),
                                lambda _, draw=draw: tf.constant([draw]))
    size = (found["boxes"][..., 2:] - found["boxes"][..., :2]) * [HEIGHT, WIDTH]
    np.testing.assert_allclose(size, [[[12 * factor, 16 * factor]]], rtol=1e-4)
