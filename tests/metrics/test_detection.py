"""Average precision on cases worked out by hand."""

import sys

import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.metrics import detection

pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")


def found_of(truth, guesses):
  """Arrays of [(image, class, box)] and [(image, class, box, score)]."""
  images = 1 + max(item[0] for item in [*truth, *guesses])
  made = {"boxes": np.zeros((images, 9, 4)), "labels": np.full((images, 9), -1), "detected_boxes": np.zeros((images, 9, 4)),
          "detected_labels": np.zeros((images, 9), int), "detected_scores": np.zeros((images, 9))}
  for place, (image, label, box) in enumerate(truth):
    made["boxes"][image, place], made["labels"][image, place] = box, label
  for place, (image, label, box, score) in enumerate(guesses):
    made["detected_boxes"][image, place], made["detected_labels"][image, place] = box, label
    made["detected_scores"][image, place] = score
  return made


A, B = (0, 0, 10, 10), (20, 30, 40, 60)
HALF = (0, 0, 10, 5)  # overlaps A by exactly one half
WIDE = (0, 0, 10, 8)  # by 0.8


def test_the_truth_itself_is_perfect_whatever_its_order():
  found = found_of([(0, 0, A), (0, 1, B), (2, 1, A)], [(2, 1, A, 0.1), (0, 1, B, 0.9), (0, 0, A, 0.2)])
  assert detection.average_precision(found, 2) == {"map": pytest.approx(1), "map50": pytest.approx(1)}


def test_nothing_found_is_zero_and_a_class_without_a_box_counts_for_nothing():
  found = found_of([(0, 1, A)], [])
  assert detection.average_precision(found, 3) == {"map": 0, "map50": 0}
  found = found_of([(0, 1, A)], [(0, 1, A, 0.5), (0, 2, B, 0.9)])
  assert detection.average_precision(found, 3) == {"map": pytest.approx(1), "map50": pytest.approx(1)}


@pytest.mark.parametrize(("box", "thresholds"), [(HALF, 1), (WIDE, 7)])
def test_a_box_counts_at_the_overlaps_that_it_reaches(box, thresholds):
  found = found_of([(0, 0, A)], [(0, 0, box, 0.5)])
  # Of the ten least overlaps 0.5, 0.55, ..., 0.95.
  assert detection.average_precision(found, 1) == {"map": pytest.approx(thresholds / 10), "map50": pytest.approx(1)}


def test_a_second_box_on_the_same_object_is_wrong():
  # Right, wrong, right by falling score: precision 1 up to a recall of 1/2 (51 of 101 points), then 2/3.
  found = found_of([(0, 0, A), (0, 0, B)], [(0, 0, A, 0.9), (0, 0, A, 0.8), (0, 0, B, 0.7)])
  expected = (51 + 50 * 2 / 3) / 101
  assert detection.average_precision(found, 1)["map50"] == pytest.approx(expected)
  recalls, curves = detection.precision_curves(found, 2)
  assert curves.mean(1).tolist() == [pytest.approx(expected), -1]
  np.testing.assert_allclose(np.interp([0.3, 0.8], recalls, curves[0]), [1, 2 / 3])


def test_an_object_that_is_missed_costs_the_recall_beyond_the_others():
  found = found_of([(0, 0, A), (1, 0, B)], [(0, 0, A, 0.9)])
  assert detection.average_precision(found, 1)["map50"] == pytest.approx(51 / 101)


def test_without_pycocotools_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
  with pytest.raises(ConfigError, match=r"needs the extra `detection`: pip install -e \.\[detection\]"):
    detection.require()
