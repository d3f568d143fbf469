"""Steering: mirrored pictures, measured errors, and drives of a network that knows nothing."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from dlsuite import catalog, modes
from dlsuite.analysis import laps
from dlsuite.errors import DataError
from dlsuite.tasks.steering import Steering


@pytest.fixture(scope="module")
def task(strategy):
  """An untrained PilotNet on the sample."""
  found = modes.task_of(catalog.load("experiments/vision/pilotnet.py:smoke"), strategy)
  found.build(4, 0)
  return found


def test_errors_are_those_of_scikit_learn(task):
  predictions, measured = task.predict("test"), task.evaluate("test")
  assert measured.count == len(predictions["steering"]) == 48
  expected = root_mean_squared_error(predictions["steering"], predictions["predicted"])
  assert measured.values["rmse"] == pytest.approx(expected, rel=1e-5)
  assert measured.values["absolute"] == pytest.approx(mean_absolute_error(predictions["steering"], predictions["predicted"]),
                                                      rel=1e-5)


def test_a_mirrored_picture_is_steered_the_other_way(task):
  images = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
  batch = {"image": tf.constant(images), "steering": tf.constant([0.25, 0.5])}
  mirrored = task.augment(batch, lambda draw: tf.constant([0.1, 0.9]))
  np.testing.assert_array_equal(mirrored["image"][0], images[0, :, ::-1])
  np.testing.assert_array_equal(mirrored["image"][1], images[1])
  np.testing.assert_array_equal(mirrored["steering"], [-0.25, 0.5])


def test_grey_has_no_colour_planes_and_white_is_one(task):
  planes = task.preprocess(tf.constant([[[[255, 255, 255], [0, 0, 0]]]], tf.uint8)).numpy()
  np.testing.assert_allclose(planes[0, 0], [[1, 0, 0], [-1, 0, 0]], atol=1e-3)


def test_grey_pictures_are_refused_unless_they_are_made_rgb(strategy, monkeypatch):
  features = {"image": tfds.features.Image(shape=(66, 200, 1)), "steering": tfds.features.Scalar(np.float32)}
  grey = types.SimpleNamespace(name="grey_road", info=types.SimpleNamespace(features=features, splits={}))
  monkeypatch.setattr(Steering, "open_sets", lambda self, prepare: setattr(self, "builder", grey))
  config = catalog.load("experiments/vision/pilotnet.py:smoke").copy_and_resolve_references()
  with pytest.raises(DataError, match=r"images of grey_road have 1 channel\(s\), but .* YUV .*; data\.channels=3 makes grey"):
    Steering(config, strategy).open()
  config.data.channels = 3
  task = Steering(config, strategy)
  task.open()
  assert task.input_shape == (66, 200, 3)


def test_a_drive_ends_after_its_pictures_and_is_filmed(task, tmp_path):
  numbers = laps.draw(task, {"steering": np.zeros(1)}, tmp_path / "laps.png")
  assert 0 < numbers["least_visited"] == numbers["mean_visited"] < 0.2  # ten pictures are less than a second
  assert numbers["laps_completed"] == 0
  with Image.open(tmp_path / "laps.gif") as film:
    assert film.size == (300, 200)
    assert film.n_frames == 3
