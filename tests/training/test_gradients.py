"""Clipping against numbers worked out by hand: 3-4-5 triangles."""

import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.training.gradients import all_finite, clip


def clipped(gradients, kind, value=1.0):
  options = ConfigDict({"kind": kind, "value": value})
  return [tf.convert_to_tensor(g).numpy() for g in clip([tf.constant(g, tf.float32) for g in gradients], options)]


@pytest.mark.parametrize(("kind", "value", "expected"), [
  ("none", 1.0, [[3, -4], [0.3, 0.4]]),
  ("norm", 1.0, [[0.6, -0.8], [0.3, 0.4]]),  # 5 -> 1, and 0.5 is short enough
  ("value", 0.35, [[0.35, -0.35], [0.3, 0.35]]),
])
def test_each_variables_gradient_is_clipped_by_itself(kind, value, expected):
  for ours, theirs in zip(clipped([[3, -4], [0.3, 0.4]], kind, value), expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(("value", "expected"), [(1.0, [[0.6, 0], [0, -0.8]]), (6.0, [[3, 0], [0, -4]])])
def test_the_global_norm_scales_all_gradients_by_one_factor_if_they_are_longer_together(value, expected):
  for ours, theirs in zip(clipped([[3, 0], [0, -4]], "global_norm", value), expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(("kind", "row", "other"), [
  ("norm", [0.6, 0.8], [1.0]), ("global_norm", [3 / 13, 4 / 13], [12 / 13]), ("value", [1.0, 1.0], [1.0])])
def test_the_rows_of_a_sparse_gradient_are_clipped_like_a_dense_one(kind, row, other):
  sparse = tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([1]), tf.constant([3, 2]))
  first, second = clip([sparse, tf.constant([12.0])], ConfigDict({"kind": kind, "value": 1.0}))
  np.testing.assert_allclose(tf.convert_to_tensor(first), [[0, 0], row, [0, 0]], rtol=1e-6)
  np.testing.assert_allclose(second, other, rtol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_entry_that_is_not_finite_is_found_in_dense_and_sparse_gradients(bad):
  good = tf.constant([[1.0, 2.0]])
  sparse = tf.IndexedSlices(tf.constant([[1.0, bad]]), tf.constant([1]), tf.constant([3, 2]))
  assert bool(all_finite([good, good * 1e30]))
  assert not bool(all_finite([good, tf.constant([bad])]))
  assert not bool(all_finite([good, sparse]))
