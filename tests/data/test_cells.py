"""Distances between cells, the simulated membranes and the sections of ISBI 2012, against distances worked out by hand."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from scipy import ndimage

from dlsuite import catalog
from dlsuite.data import cells, sources
from dlsuite.data.builders.isbi2012_em.isbi2012_em_dataset_builder import Builder
from dlsuite.errors import DataError
from dlsuite.tasks.segmentation import Segmentation
from experiments.vision import unet


def test_between_two_walls_the_gap_is_their_distance_plus_one_pixel_wherever_one_stands():
  inside = np.ones((6, 12), bool)
  inside[:, 4:9] = False
  found = cells.gap(inside)
  assert (found[:, 4:9] == 4 * (5 + 1)).all()  # 1 + 5, 2 + 4, 3 + 3 pixels to the middle of each cell's nearest pixel
  assert (found[inside] == cells.FAR).all()


def test_the_gap_is_the_sum_of_the_two_smallest_distances_to_different_cells():
  random = np.random.default_rng(0)
  inside = ndimage.zoom(random.random((9, 9)) > 0.6, 6, order=0)
  labels, count = ndimage.label(inside)
  assert count > 5
  every = np.sort([ndimage.distance_transform_edt(labels != i) for i in range(1, count + 1)], axis=0)
  expected = np.minimum(np.round(4 * (every[0] + every[1])), 255)
  np.testing.assert_array_equal(cells.gap(inside)[~inside], expected[~inside])


@pytest.mark.parametrize("count", [0, 1])
def test_with_fewer_than_two_cells_no_pixel_is_between_two(count):
  inside = np.zeros((5, 5), bool)
  inside[:2, :2] = count
  assert (cells.gap(inside) == cells.FAR).all()


def test_cells_that_touch_at_a_corner_are_two():
  inside = np.kron(np.eye(2, dtype=bool), np.ones((3, 3), bool))
  assert cells.gap(inside)[2, 3] == 4 * 2


@pytest.fixture(scope="module")
def membranes():
  builder = sources.open_builder("cell_membranes")
  return {name: tfds.as_numpy(builder.as_dataset(split=name, batch_size=-1)) for name in builder.info.splits}


def test_the_simulated_splits_have_their_sizes_and_no_image_twice(membranes):
  assert {name: len(part["image"]) for name, part in membranes.items()} == {"train": 40, "valid": 10, "test": 20}
  assert len({image.tobytes() for part in membranes.values() for image in part["image"]}) == 70


def test_the_simulated_images_are_the_same_ones_for_ever(membranes):
  # Taken when the set was made; another version of SciPy may round some pixels the other way.
  means = {name: (part["image"].mean(), part["label"].mean()) for name, part in membranes.items()}
  assert means == {name: pytest.approx(value, abs=0.01) for name, value in {
    "train": (149.351, 0.8203), "valid": (148.431, 0.8230), "test": (149.471, 0.8190)}.items()}


def test_simulated_membranes_are_darker_than_cells_but_not_told_from_them_by_a_threshold(membranes):
  part = membranes["train"]
  inside = part["label"] == 1
  assert part["image"][~inside].mean() < part["image"][inside].mean() - 20
  errors = [((part["image"] > grey) != inside).mean() for grey in range(256)]
  assert 0.08 < min(errors) < inside.mean()


def test_the_gap_of_a_simulated_image_is_that_of_its_label(membranes):
  part = membranes["test"]
  for label, gap in zip(part["label"][:3, ..., 0], part["gap"][:3, ..., 0], strict=True):
    np.testing.assert_array_equal(gap, cells.gap(label == 1))


@pytest.mark.data
def test_the_sections_of_isbi_2012_come_in_the_stacks_order_with_two_classes(real_data_dir, strategy):
  builder = Builder(data_dir=str(real_data_dir))
  if not builder.info.splits:
    pytest.skip("no prepared isbi2012_em in the user's tfds folder")
  part = tfds.as_numpy(builder.as_dataset(split="train", batch_size=-1))
  assert part["image"].shape == part["label"].shape == part["gap"].shape == (30, 512, 512, 1)
  assert part["label"].mean() == pytest.approx(0.7804, abs=1e-4)
  membranes = 1 - part["label"][:20].mean()  # of the sections that train
  assert np.multiply(unet.WEIGHTS, (membranes, 1 - membranes)) == pytest.approx((0.5, 0.5), abs=0.002)
  inside = part["label"].reshape(30, -1).astype(float)
  alike = np.corrcoef(inside)
  assert np.diag(alike, 1).mean() > 2 * np.abs(alike[np.triu_indices(30, 10)]).mean()  # neighbours resemble each other


@pytest.mark.data
def test_sections_without_labels_are_refused(real_data_dir, strategy, monkeypatch):
  monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(real_data_dir))
  config = catalog.load("experiments/vision/unet.py:isbi").copy_and_resolve_references()
  config.unlock()
  config.data.test = "unlabelled[:3]"
  with pytest.raises(DataError, match=r"data\.test='unlabelled\[:3\]' of isbi2012_em has no labels"):
    Segmentation(config, strategy).open()
