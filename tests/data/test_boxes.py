"""Letterbox, padding, and what is said of bad boxes."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite import catalog
from dlsuite.data import boxes, sources
from dlsuite.data.boxes import BoxedSplit
from dlsuite.errors import DataError


@pytest.fixture(scope="module")
def builder():
  return sources.open_builder("shapes_in_boxes")


def config_of(**data):
  config = catalog.load("experiments/vision/detector.py").copy_and_resolve_references().unlock()
  config.data.update(data)
  return config


def fake(*examples):
  """A builder whose only split `train` has these (boxes, labels); a label names one of three classes."""
  features = tfds.features.FeaturesDict({
    "image": tfds.features.Image(shape=(8, 8, 3)),
    "objects": tfds.features.Sequence({"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(num_classes=3)})})

  def as_dataset(**_):
    def generate():
      for found, labels in examples:
        yield {"image": np.zeros((8, 8, 3), np.uint8), "objects": {"bbox": np.reshape(found, (-1, 4)), "label": labels}}

    shapes = {"image": tf.TensorSpec([8, 8, 3], tf.uint8),
              "objects": {"bbox": tf.TensorSpec([None, 4]), "label": tf.TensorSpec([None], tf.int64)}}
    return tf.data.Dataset.from_generator(generate, output_signature=shapes)

  return types.SimpleNamespace(name="fake", as_dataset=as_dataset, info=types.SimpleNamespace(features=features))


def split_of(builder, skip_bad=False, max_boxes=3):
  features = {"image": "image", "boxes": "objects/bbox", "labels": "objects/label"}
  return BoxedSplit(builder, "train", 1, features, 0, True, shape=(16, 16, 3), max_boxes=max_boxes, skip_bad=skip_bad)


GOOD, FLAT, OUTSIDE = (0.25, 0.0, 0.5, 1.0), (0.5, 0.5, 0.5, 0.7), (0.5, 0.5, 0.9, 1.2)


def test_a_wide_image_fills_the_width_and_its_boxes_move_with_it():
  image = np.zeros((40, 80, 1), np.uint8)
  image[10:20, 20:60] = 255
  found, kept = boxes.letterbox(tf.constant(image), (32, 32))
  np.testing.assert_array_equal(kept, [0.5, 1.0])
  lit = found.numpy()[..., 0] > 200
  rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
  assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (4, 8, 8, 24)  # a factor of 0.4
  assert (found.numpy()[16:] == 128).all()


def test_an_image_of_the_wanted_size_is_left_as_it_is():
  image = np.random.default_rng(0).integers(256, size=(24, 40, 3), dtype=np.uint8)
  found, kept = boxes.letterbox(tf.constant(image), (24, 40))
  np.testing.assert_array_equal(found, image)
  np.testing.assert_array_equal(kept, [1, 1])


def test_boxes_are_padded_and_bad_ones_left_out():
  split = split_of(fake(([FLAT, GOOD, OUTSIDE], [0, 2, 1]), ([], [])), skip_bad=True)
  found = split.arrays()
  assert found["image"].shape == (2, 16, 16, 3)
  np.testing.assert_array_equal(found["labels"], [[2, -1, -1], [-1, -1, -1]])
  np.testing.assert_allclose(found["boxes"], [[GOOD, [0] * 4, [0] * 4], [[0] * 4] * 3])


def test_a_box_with_a_nan_is_bad():
  corners = np.where(np.eye(4, dtype=bool), np.nan, GOOD).astype(np.float32)
  for found in (boxes.is_bad(corners), boxes.is_bad(tf.constant(corners)).numpy()):
    assert found.tolist() == [True] * 4


def test_boxes_are_counted_and_an_image_may_have_none():
  assert str(split_of(fake(([GOOD, GOOD], [0, 2]), ([], []))).count("train")) == "2 images, 2 boxes"
  assert str(split_of(fake(([GOOD, FLAT], [0, 2])), skip_bad=True).count("train")) == "1 images, 2 boxes, of which 1 left out"


@pytest.mark.parametrize(("examples", "skip_bad", "says"), [
  ([([GOOD], [0]), ([GOOD, FLAT], [0, 0]), ([OUTSIDE], [1])], False,
   r"data\.train='train' of fake: 2 of 4 boxes .*: box 1 of example 1, \(0\.5, 0\.5, 0\.5, 0\.7\); data\.bad_boxes='skip'"),
  ([([], []), ([], [])], False, "holds no box"),
  ([([FLAT], [0])], True, "holds no box"),
  ([([GOOD] * 5, [0] * 5)], False, r"data\.max_boxes=3 but an image of .* has 5 boxes"),
  ([([GOOD], [-1])], False, "example 0 has a box of class -1, but there are 3 classes"),
], ids=["bad", "none", "none_left", "too_many", "no_class"])
def test_what_is_wrong_with_boxes_is_named_and_counted(examples, skip_bad, says):
  with pytest.raises(DataError, match=says):
    split_of(fake(*examples), skip_bad).count("train")


@pytest.mark.parametrize(("features", "says"), [
  ({"image": "image", "labels": "objects/label"}, r"data\.features\.boxes is missing"),
  ({"image": "image", "boxes": "objects/bxbox", "labels": "objects/label"}, "did you mean 'bbox'"),
  ({"image": "image", "boxes": "objects/label", "labels": "objects/label"}, "needs boxes of 4 numbers"),
  ({"image": "image", "boxes": "objects/bbox", "labels": "objects/bbox"}, "needs a ClassLabel"),
  ({"image": "objects/bbox", "boxes": "objects/bbox", "labels": "objects/label"}, "needs an Image"),
], ids=["missing", "misspelt", "no_boxes", "no_classes", "no_image"])
def test_features_that_are_not_what_a_detector_learns_from_are_named(builder, features, says):
  config = config_of()
  config.data.features = features
  with pytest.raises(DataError, match=says):
    BoxedSplit.open(builder, config, "train")


def test_streamed_examples_are_those_held_in_memory(builder):
  config = config_of(valid="valid[:7]", size=(64, 80))
  held = BoxedSplit.open(builder, config, "valid")
  config.data.cache = "stream"
  streamed = BoxedSplit.open(builder, config, "valid")
  assert (held.in_memory, streamed.in_memory) == (True, False)
  for one, many in zip(streamed.examples().as_numpy_iterator(), held.arrays()["boxes"], strict=True):
    np.testing.assert_array_equal(one["boxes"], many)
  assert held.arrays()["boxes"][..., [1, 3]].max() <= 0.8  # a square image takes 64 of 80 columns
