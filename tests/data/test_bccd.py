"""The blood cells themselves, where they are prepared: their counts, their two boxes without area, and the file's anchors."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dlsuite import catalog
from dlsuite.data import anchors
from dlsuite.data.boxes import BoxedSplit
from dlsuite.errors import DataError

pytestmark = pytest.mark.data


@pytest.fixture
def cells(real_data_dir):
  builder = tfds.builder("bccd", data_dir=str(real_data_dir))
  if not builder.info.splits:
    pytest.skip("no prepared bccd in the user's tfds folder")
  return builder


@pytest.fixture
def config():
  return catalog.load("experiments/vision/detector.py:bccd").copy_and_resolve_references().unlock()


@pytest.mark.parametrize(("key", "images", "boxes", "bad"), [
  ("train", 205, 2382 + 214 + 209, 1), ("valid", 87, 968 + 87 + 83, 1), ("test", 72, 805 + 71 + 69, 0)])
def test_images_boxes_and_those_without_area_are_counted(cells, config, key, images, boxes, bad):
  found = BoxedSplit.open(cells, config, key).count(key)
  assert (found.images, found.boxes, found.bad) == (images, boxes, bad)


def test_a_box_without_area_is_refused_unless_it_is_to_be_left_out(cells, config):
  config.data.bad_boxes = "refuse"
  with pytest.raises(DataError, match=r"1 of 2,805 boxes .* or have no area.*\(0\.685, 0\.283, 0\.685, 0\.283\)"):
    BoxedSplit.open(cells, config, "train").count("train")


def test_the_anchors_of_the_config_are_those_of_the_training_boxes(cells, config):
  found = BoxedSplit.open(cells, config, "train").arrays()
  boxes = found["boxes"][found["labels"] >= 0]
  expected, mean = anchors.find((boxes[:, 2:] - boxes[:, :2]) * config.data.size, 5)
  np.testing.assert_allclose(np.stack([config.anchors.heights, config.anchors.widths], 1), expected, atol=0.051)
  assert mean > 0.84
