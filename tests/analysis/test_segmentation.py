"""What the analyses of a segmentation measure, against scikit-image and numbers worked out by hand."""

import math
import types

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from dlsuite.analysis import segmentation_baselines as baselines
from dlsuite.analysis import segmentation_overlays, segmentation_rand
from dlsuite.metrics import segmentation as measures

RANDOM = np.random.default_rng(0)
# Two cells of 12 x 6 pixels found as one: of the pairs within a true cell all are together, of those found together few more
# than half are true ones.
PAIRS = 2 * math.comb(72, 2)
MERGED = 1 - 2 * PAIRS / (PAIRS + math.comb(144, 2))


def task_of(**methods):
  return types.SimpleNamespace(config=types.SimpleNamespace(name="fixture", seed=0),
                               builder_of=lambda split: types.SimpleNamespace(name="data"),
                               foreground=0, num_classes=2, class_names=["membrane", "cell"], **methods)


def test_iou_is_scikit_learns_and_1_where_nothing_is_there():
  truth, found = RANDOM.random((2, 3, 9, 9)) > 0.6
  assert measures.iou(truth, found) == pytest.approx(jaccard_score(truth.ravel(), found.ravel()))
  assert measures.iou(np.zeros(4, bool), np.zeros(4, bool)) == 1


def test_a_missing_wall_between_two_cells_is_a_merger_which_costs_more_than_a_wide_one():
  truth = np.ones((12, 13), bool)
  truth[:, 6] = False
  assert measures.adapted_rand_error(truth, truth) == pytest.approx(0)
  assert measures.adapted_rand_error(truth, np.ones_like(truth)) == pytest.approx(MERGED)
  wide = truth.copy()
  wide[:, 5:8] = False
  # Of a cell's 72 pixels 12 are covered, each a piece of its own without pairs: 60 x 59 of the truth's 72 x 71 pairs are left.
  assert measures.adapted_rand_error(truth, wide) == pytest.approx(1 - 2 * 60 * 59 / (72 * 71 + 60 * 59))
  assert measures.adapted_rand_error(truth, np.zeros_like(truth)) == 1


@pytest.mark.parametrize("is_dark", [True, False])
def test_the_best_threshold_is_that_of_a_search(is_dark):
  foreground = RANDOM.random((2, 20, 20)) > 0.7
  images = np.clip(RANDOM.normal(np.where(foreground == is_dark, 90, 150), 30), 0, 255).astype(np.uint8)
  value, dark = baselines.best_threshold(images, foreground)
  errors = [((images <= v) != (foreground == is_dark)).mean() for v in range(256)]
  assert dark == is_dark
  assert ((images <= value) != (foreground == is_dark)).mean() == min(errors)


def test_the_baselines_tell_dark_lines_from_a_bright_ground_and_stand_beside_the_network(tmp_path):
  label = np.ones((3, 32, 32, 1), np.uint8)
  label[:, 8:12], label[:, :, 20:24] = 0, 0
  image = np.clip(RANDOM.normal(np.where(label == 1, 190, 40), 5), 0, 255).astype(np.uint8)
  found = {"image": image, "label": label, "segmentation": np.ones((3, 32, 32), np.uint8)}
  numbers = baselines.draw(task_of(arrays=lambda split: {"train": found}[split]), found, tmp_path / "b.png")
  assert {name: numbers[f"{name}_error"] for name in ("otsu", "threshold", "forest")} == {
    "otsu": 0, "threshold": 0, "forest": pytest.approx(0, abs=1)}
  assert numbers["network_error"] == pytest.approx(100 * (label == 0).mean())
  assert (numbers["network_iou"], numbers["otsu_iou"]) == (0, 1)
  assert (tmp_path / "b.png").stat().st_size > 2_000


def test_the_threshold_of_the_rand_error_is_chosen_on_the_validation_images(tmp_path):
  truth = np.ones((1, 12, 13, 1), np.uint8)
  truth[:, :, 6] = 0
  inside = np.full((1, 12, 13), 0.9)

  def probability(wall):
    values = np.where(truth[..., 0] == 1, inside, wall)
    return np.stack([1 - values, values], -1)

  found = {"label": truth, "probability": probability(0.62), "valid_label": truth, "valid_probability": probability(0.32)}
  numbers = segmentation_rand.draw(task_of(), found, tmp_path / "r.png")
  assert numbers["threshold"] == pytest.approx(0.35)  # the first at which the validation wall stands
  assert (numbers["rand_error"], numbers["least_rand_error"]) == (pytest.approx(MERGED), pytest.approx(0))


def test_missed_pixels_are_orange_and_added_ones_blue_over_the_grey_image():
  image = np.full((1, 4, 1), 77, np.uint8)
  truth, found = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
  picture = segmentation_overlays.differences(image, truth, found)
  assert picture[0].tolist() == [[77] * 3, [213, 94, 0], [0, 114, 178], [77] * 3]
