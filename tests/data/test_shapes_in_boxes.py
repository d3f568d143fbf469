"""The simulated shapes: each fills its box, and the pictures are the same ones for ever."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.data.builders.shapes_in_boxes import shapes_in_boxes_dataset_builder as shapes


@pytest.fixture(scope="module")
def examples():
  builder = sources.open_builder("shapes_in_boxes")
  return list(tfds.as_numpy(builder.as_dataset(split="valid")))


@pytest.mark.parametrize("side", [10, 11, 23, 36])
@pytest.mark.parametrize(("label", "share"), [(0, np.pi / 4), (1, 1.0), (2, 0.5)])
def test_a_shape_reaches_the_four_sides_of_its_box_and_covers_its_share_of_it(label, share, side):
  covered = shapes.inside(label, 30, 40, side)
  rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
  assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (30, 30 + side, 40, 40 + side)
  assert covered.sum() / side**2 == pytest.approx(share, abs=1.2 / side)


def test_a_triangle_stands_on_its_base():
  widths = shapes.inside(2, 0, 0, 20).sum(1)[:20]
  assert (np.diff(widths) >= 0).all()
  assert (widths[0], widths[-1]) == (2, 20)


def test_the_pixels_at_the_middle_of_a_shape_differ_from_the_background_by_the_contrast(examples):
  for example in examples:
    covered = np.zeros((96, 96), bool)
    for box in example["objects"]["bbox"]:
      top, left, bottom, right = np.round(box * 96).astype(int)
      covered[top:bottom, left:right] = True
    background = example["image"][~covered].mean(0)
    if background.min() < 24 or background.max() > 231:  # where noise was cut off at black or white
      continue
    for box in example["objects"]["bbox"]:
      row, column = np.round((box[:2] + box[2:]) / 2 * 96).astype(int)
      inner = example["image"][row - 1:row + 2, column - 1:column + 2].mean((0, 1))
      assert np.linalg.norm(inner - background) > 60 - 6 * 4 * 3**0.5


def test_the_pictures_are_the_same_ones_for_ever(examples):
  # Sums taken when the set was made.
  boxes = np.concatenate([example["objects"]["bbox"] for example in examples])
  labels = np.concatenate([example["objects"]["label"] for example in examples])
  empty = sum(len(example["objects"]["label"]) == 0 for example in examples)
  assert (len(examples), len(boxes), empty) == (200, 398, 42)
  assert np.bincount(labels).tolist() == [131, 131, 136]
  assert np.round(boxes * 96).sum() == 78_062
  assert sum(int(example["image"].sum()) for example in examples) == 705_139_346
