"""MNIST itself, where it is prepared: the splits of lenet5:mnist and the constants that bring its pixels to mean 0, std 1."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dlsuite import catalog
from dlsuite.data import pipeline, sources

pytestmark = pytest.mark.data


@pytest.fixture
def mnist(real_data_dir):
  builder = tfds.builder("mnist", data_dir=str(real_data_dir))
  if not builder.info.splits:
    pytest.skip("no prepared mnist in the user's tfds folder")
  return builder


@pytest.fixture
def config():
  return catalog.load("experiments/vision/lenet5.py:mnist")


def test_the_splits_hold_55000_5000_and_10000_examples_and_no_image_twice(mnist, config):
  sources.check_disjoint(mnist, {key: config.data[key] for key in ("train", "valid", "test")})
  images = {key: pipeline.Split.open(mnist, config, key).arrays()["image"] for key in ("train", "valid", "test")}
  assert {key: len(value) for key, value in images.items()} == {"train": 55_000, "valid": 5_000, "test": 10_000}
  assert len({image.tobytes() for value in images.values() for image in value}) == 70_000


def test_mean_and_deviation_of_the_training_images_are_those_of_the_config(mnist, config):
  counts = sum(np.bincount(batch["image"].ravel(), minlength=256)
               for batch in tfds.as_numpy(mnist.as_dataset(split="train", batch_size=10_000)))
  assert counts.sum() == 60_000 * 28 * 28
  grey = np.arange(256) / 255
  mean = (counts * grey).sum() / counts.sum()
  std = ((counts * (grey - mean) ** 2).sum() / counts.sum()) ** 0.5
  assert (round(mean, 4), round(std, 4)) == (0.1307, 0.3081)
  assert (tuple(config.data.mean), tuple(config.data.std)) == ((0.1307,), (0.3081,))
