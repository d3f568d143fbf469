"""What is drawn of a classifier of images: on an untrained LeNet, on the embedded digits."""

import importlib
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from dlsuite import catalog, modes
from dlsuite.analysis import before_deep_learning, classic_filters, deconvolution, feature_plane, mistakes, nearest_neighbours
from dlsuite.errors import ConfigError

RANDOM = np.random.default_rng(0)
SHARES = ("saliency", "grad_cam", "occlusion", "activations", "nearest_neighbours", "feature_plane", "preferred_inputs")
WITHOUT_NUMBERS = ("classic_filters", "mistakes")
PICTURES = (*SHARES, *WITHOUT_NUMBERS, "deconvolution", "before_deep_learning")


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
def test_the_picture_is_drawn_wide_enough_and_numbers_that_are_shares_are_between_0_and_1(name, task, found, tmp_path):
  numbers = importlib.import_module(f"dlsuite.analysis.{name}").draw(task, found, tmp_path / f"{name}.png")
  assert all(0 <= value <= 1 for value in numbers.values()) or name not in SHARES
  assert numbers or name in WITHOUT_NUMBERS
  with Image.open(tmp_path / f"{name}.png") as picture:
    assert picture.size[0] >= 800


@pytest.mark.parametrize("name", PICTURES)
def test_of_videos_nothing_is_drawn(name, task, found, tmp_path):
  videos = found | {"image": np.repeat(found["image"][:, np.newaxis], 2, 1)}
  assert importlib.import_module(f"dlsuite.analysis.{name}").draw(task, videos, tmp_path / "x.png") is None


def test_where_there_is_no_mistake_this_is_said(task, found, tmp_path):
  with pytest.raises(ConfigError, match="there is none among 120 test images"):
    mistakes.draw(task, found | {"predicted": found["label"]}, tmp_path / "mistakes.png")


def test_the_window_over_a_pattern_holds_all_of_it_also_where_an_image_is_shorter_than_the_window():
  wide = np.zeros((32, 128))
  wide[3:30, 60:100] = 1
  for pattern in (wide, wide.T):
    shown = pattern[deconvolution._window(pattern, 40)]
    assert shown.sum() == pattern.sum()
    assert sorted(shown.shape) == [32, 40]


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


def test_classic_filters_do_what_their_names_say():
  flat = classic_filters.classic(np.full((9, 9), 5.0))
  assert not flat["edges"].any()
  np.testing.assert_allclose(flat["high-pass"], 0, atol=1e-12)
  speck = np.zeros((9, 9))
  speck[4, 4] = 1.0
  found = classic_filters.classic(speck)
  assert found["dilation"].sum() == 9  # a square of 3x3
  assert not found["erosion"].any()
  assert not found["median"].any()
  assert found["blur"].sum() == pytest.approx(1)
  assert found["blur"][4, 4] == pytest.approx(1 / (2 * np.pi), rel=0.01)  # the normal's density in the plane
  step = np.repeat([[0.0] * 4 + [1.0] * 4], 8, 0)
  np.testing.assert_allclose(classic_filters.classic(step)["edges"][4], [0, 0, 0, 4, 4, 0, 0, 0])


def test_the_pipelines_before_deep_learning_come_out_the_same_and_beat_chance_by_far(task, found):
  train = {word: values[:300] for word, values in task.arrays("train").items()}
  first, again = (before_deep_learning.errors(train, found["image"], found["label"]) for _ in range(2))
  assert first == again
  assert all(error < 15 for error in first.values())  # 300 digits are enough for that; chance is 90
  assert before_deep_learning.gradients_histogram(found["image"][:2]).shape == (2, 7 * 7 * 2 * 2 * 9)


def test_of_training_images_that_are_larger_the_pipelines_learn_the_middle_that_the_network_sees(task, found, monkeypatch,
                                                                                                 tmp_path):
  plain = {word: values[:300] for word, values in task.arrays("train").items()}
  expected = before_deep_learning.errors(plain, found["image"], found["label"])
  framed = plain | {"image": np.pad(plain["image"], ((0, 0), (4, 4), (4, 4), (0, 0)), constant_values=255)}
  monkeypatch.setattr(task, "arrays", lambda split, most: dict(framed))
  numbers = before_deep_learning.draw(task, found, tmp_path / "pipelines.png")
  assert list(numbers.values()) == list(expected.values())


def test_without_scikit_image_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "skimage.feature", None)
  with pytest.raises(ConfigError, match="extra `vision`"):
    before_deep_learning.gradients_histogram(np.zeros((1, 8, 8, 1), np.uint8))
