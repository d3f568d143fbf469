"""Anchors against clusters that are known."""

import numpy as np
import pytest

from dlsuite.data import anchors


def test_the_likeness_is_worked_out_by_hand():
  # 2x3 on 4x2: shared 2x2, together 6 + 8 - 4.
  np.testing.assert_allclose(anchors.likeness(np.array([[2.0, 3.0]]), np.array([[4.0, 2.0], [2.0, 3.0]])), [[0.4, 1.0]])


def test_separate_clusters_are_found_and_stand_in_order_of_their_area():
  random = np.random.default_rng(0)
  middles = np.array([[10.0, 12.0], [40.0, 20.0], [90.0, 95.0]])
  sizes = np.concatenate([middle * random.uniform(0.95, 1.05, (200, 2)) for middle in middles[::-1]])
  found, mean = anchors.find(sizes, 3)
  np.testing.assert_allclose(found, middles, rtol=0.01)
  assert mean == pytest.approx(anchors.likeness(sizes, middles).max(1).mean(), abs=0.002)


def test_one_anchor_a_size_is_perfect_and_more_are_refused():
  sizes = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]])
  found, mean = anchors.find(sizes, 2)
  np.testing.assert_array_equal(found, [[1, 2], [3, 1]])
  assert mean == 1
  with pytest.raises(ValueError, match="3 anchors were asked for, but the boxes have 2 different sizes"):
    anchors.find(sizes, 3)
