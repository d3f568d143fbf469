"""The ring of eight normal distributions against the figures of Metz et al. 2017, appendix A."""

import numpy as np
import pytest
import scipy.stats
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.data.builders.gaussian_ring import gaussian_ring_dataset_builder as ring


@pytest.fixture(scope="module")
def splits():
  """{split: {"point": [n, 2], "mode": [n]}}"""
  builder = sources.open_builder("gaussian_ring")
  return {name: tfds.as_numpy(builder.as_dataset(split=name, batch_size=-1)) for name in builder.info.splits}


@pytest.fixture(scope="module")
def offsets(splits):
  """Of all points from the middle of their mode, [N, 2]."""
  angles = [part["mode"] * np.pi / 4 for part in splits.values()]
  return np.concatenate([part["point"] - 2 * np.stack([np.cos(a), np.sin(a)], 1)
                         for part, a in zip(splits.values(), angles, strict=True)])


def test_the_splits_have_their_sizes_and_no_point_in_common(splits):
  assert {name: len(part["point"]) for name, part in splits.items()} == {"train": 40_000, "valid": 2_500, "test": 2_500}
  points = np.concatenate([part["point"] for part in splits.values()])
  assert len(np.unique(points, axis=0)) == 45_000


def test_the_modes_lie_on_a_circle_of_radius_2_an_eighth_of_a_turn_apart():
  centres = ring.centres() @ [1, 1j]
  np.testing.assert_allclose(np.abs(centres), 2)
  np.testing.assert_allclose(np.roll(centres, -1) / centres, np.exp(1j * np.pi / 4))


def test_points_are_normal_around_their_mode_with_deviation_0_02(offsets):
  assert np.abs(offsets.mean(0)).max() < 5 * 0.02 / 45_000 ** 0.5
  for axis in offsets.T:
    assert scipy.stats.kstest(axis, "norm", (0, 0.02)).pvalue > 0.001
  assert abs(np.corrcoef(offsets.T)[0, 1]) < 5 / 45_000 ** 0.5


def test_the_modes_are_equally_likely_in_every_split(splits):
  for part in splits.values():
    assert scipy.stats.chisquare(np.bincount(part["mode"], minlength=8)).pvalue > 0.001


def test_the_points_are_the_same_ones_for_ever(splits):
  # Sums taken when the set was made, of the modes and of the coordinates without their sign.
  assert {name: part["mode"].sum() for name, part in splits.items()} == {"train": 140_101, "valid": 8_874, "test": 8_908}
  found = {name: np.abs(part["point"]).sum(dtype=np.float64) for name, part in splits.items()}
  assert found == pytest.approx({"train": 96_830.21, "valid": 6_085.72, "test": 6_074.88}, abs=0.01)
