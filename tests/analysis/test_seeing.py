"""What is drawn of a classifier of images: on an untrained LeNet, on the embedded digits."""

import importlib

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from dlsuite import catalog, modes
from dlsuite.analysis import feature_plane, nearest_neighbours

RANDOM = np.random.default_rng(0)
PICTURES = ("saliency", "grad_cam", "occlusion", "activations", "nearest_neighbours", "feature_plane")


@pytest.fixture(scope="module")
def task(strategy):
  config = catalog.load("experiments/vision/lenet5.py:smoke").copy_and_resolve_references().unlock()
  config.data.test = "test[:120]"
  found = modes.task_of(config, strategy)
  found.build(4, 0)
  return found


@pytest.fixture(scope="module")
def found(task):
  return task.analysed()


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_drawn_wide_enough_and_its_numbers_are_shares(name, task, found, tmp_path):
  numbers = importlib.import_module(f"dlsuite.analysis.{name}").draw(task, found, tmp_path / f"{name}.png")
  assert numbers
  assert all(0 <= value <= 1 for value in numbers.values())
  with Image.open(tmp_path / f"{name}.png") as picture:
    assert picture.size[0] >= 800


@pytest.mark.parametrize("name", PICTURES)
def test_of_videos_nothing_is_drawn(name, task, found, tmp_path):
  videos = found | {"image": np.repeat(found["image"][:, np.newaxis], 2, 1)}
  assert importlib.import_module(f"dlsuite.analysis.{name}").draw(task, videos, tmp_path / "x.png") is None


def test_the_share_of_equal_neighbours_in_pixels_is_that_of_the_least_distances(task, found, tmp_path):
  distances = cdist(*[found["image"].reshape(120, -1).astype(float)] * 2)
  nearest = (distances + np.diag([np.inf] * 120)).argmin(1)
  numbers = nearest_neighbours.draw(task, found, tmp_path / "n.png")
  assert numbers["same_class_pixels"] == pytest.approx(np.mean(found["label"][nearest] == found["label"]))


def test_the_planes_come_out_the_same_each_time_and_pca_is_scikit_learns():
  values = RANDOM.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
  first, again = feature_plane.planes(values), feature_plane.planes(values)
  for method in ("PCA", "t-SNE"):
    np.testing.assert_array_equal(first[method], again[method])
  np.testing.assert_allclose(np.abs(first["PCA"]), np.abs(PCA(2).fit_transform(values)), atol=1e-6)
