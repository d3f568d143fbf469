"""The pictures of a detector: what is counted in them."""

import types

import numpy as np
import pytest

from dlsuite.analysis import detections, precision_recall

pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")


def found_of(images=6, channels=3):
  """Two boxes of the truth an image, of which the network finds the first, of class 0, and a third that is not there."""
  random, box = np.random.default_rng(0), np.array([[2.0, 2.0, 12.0, 12.0], [20.0, 20.0, 30.0, 28.0], [5.0, 25.0, 9.0, 31.0]])
  return {"image": random.integers(256, size=(images, 32, 32, channels), dtype=np.uint8),
          "boxes": np.tile(box[:2], (images, 1, 1)), "labels": np.tile([0, 1], (images, 1)),
          "detected_boxes": np.tile(box[[0, 2]], (images, 1, 1)), "detected_labels": np.tile([0, 1], (images, 1)),
          "detected_scores": np.tile([0.9, 0.2], (images, 1))}


TASK = types.SimpleNamespace(config=types.SimpleNamespace(name="fixture"), class_names=["round", "square", "absent"])


@pytest.mark.parametrize(("images", "channels"), [(6, 3), (1, 1)])
def test_boxes_are_counted_from_the_score_at_which_they_are_drawn(images, channels, tmp_path):
  numbers = detections.draw(TASK, found_of(images, channels), tmp_path / "detections.png")
  assert numbers == {"true_an_image": 2, "found_an_image": 1}
  assert (tmp_path / "detections.png").stat().st_size > 5_000


def test_of_few_classes_a_legend_names_the_colours(drawn, tmp_path):
  detections.draw(TASK, found_of(), tmp_path / "detections.png")
  (legend,) = drawn[0].legends
  assert [text.get_text() for text in legend.get_texts()] == TASK.class_names
  assert [[text.get_text() for text in axis.texts] for axis in drawn[0].axes[:2]] == [[], ["90"]]


def test_where_classes_are_more_than_colours_each_box_says_its_class(drawn, tmp_path):
  many = types.SimpleNamespace(config=TASK.config, class_names=[f"class {i}" for i in range(9)])
  found = found_of() | {"labels": np.tile([0, 7], (6, 1)), "detected_labels": np.tile([7, 0], (6, 1))}
  detections.draw(many, found, tmp_path / "detections.png")
  assert not drawn[0].legends
  assert [[text.get_text() for text in axis.texts] for axis in drawn[0].axes[:2]] == [["class 0", "class 7"], ["class 7 90"]]


def test_each_class_with_a_box_has_its_average_precision(tmp_path):
  numbers = precision_recall.draw(TASK, found_of(), tmp_path / "curves.png")
  assert numbers == {"round": pytest.approx(1), "square": 0}
  assert (tmp_path / "curves.png").stat().st_size > 5_000


def test_curves_of_many_classes_are_not_drawn_but_measured(tmp_path):
  many = types.SimpleNamespace(config=TASK.config, class_names=[str(i) for i in range(30)])
  assert precision_recall.draw(many, found_of(), tmp_path / "curves.png") == {"0": pytest.approx(1), "1": 0}
  assert not (tmp_path / "curves.png").exists()
