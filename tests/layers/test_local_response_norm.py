"""Local response normalisation against its formula."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite.layers.local_response_norm import LocalResponseNorm


def test_each_channel_is_divided_as_the_formula_of_2012_says():
  x = np.random.default_rng(0).normal(0, 30, (2, 3, 4, 7)).astype(np.float32)
  wanted = np.empty_like(x)
  for i in range(7):  # b_i = a_i / (k + alpha sum_{j = max(0, i - n/2)}^{min(N - 1, i + n/2)} a_j^2)^beta
    total = np.square(x[..., max(0, i - 2):min(6, i + 2) + 1]).sum(-1)
    wanted[..., i] = x[..., i] / (2 + 1e-4 * total) ** 0.75
  np.testing.assert_allclose(LocalResponseNorm()(x), wanted, rtol=1e-5)


def test_its_gradient_is_that_of_tensorflows_own_operation():
  x, upstream = (tf.constant(np.random.default_rng(seed).normal(0, 30, (2, 3, 4, 9)), tf.float32) for seed in (0, 1))
  gradients = []
  for normalised in (LocalResponseNorm(), lambda x: tf.nn.local_response_normalization(x, 2, 2.0, 1e-4, 0.75)):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = normalised(x)
    gradients.append(tape.gradient(y, x, upstream))
  np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "alpha", "beta", "k"), [(3, 0.1, 0.5, 1.0), (7, 0.02, 1.2, 3.0), (5, 0.05, 0.75, 1.5)])
def test_with_other_constants_it_is_tensorflows_own_operation_and_its_gradient_that_of_the_formula(size, alpha, beta, k):
  x, upstream = (tf.constant(np.random.default_rng(seed).normal(0, 3, (2, 3, 4, 9)), tf.float32) for seed in (0, 1))
  layer = LocalResponseNorm(size, alpha, beta, k)

  def formula(x):
    sums = [tf.reduce_sum(tf.square(x[..., max(0, i - size // 2):i + size // 2 + 1]), -1) for i in range(9)]
    return x / (k + alpha * tf.stack(sums, -1)) ** beta

  gradients = []
  for normalised in (layer, formula):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = normalised(x)
    gradients.append(tape.gradient(y, x, upstream))
  np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)
  wanted = tf.nn.local_response_normalization(x, depth_radius=size // 2, bias=k, alpha=alpha, beta=beta)
  np.testing.assert_allclose(layer(x), wanted, rtol=1e-4, atol=1e-6)


def test_short_types_do_not_overflow_where_their_squares_would():
  x = tf.fill((1, 1, 1, 5), tf.constant(3000.0, tf.float16))
  y = LocalResponseNorm(dtype="float16")(x)
  assert y.dtype == tf.float16
  np.testing.assert_allclose(y[0, 0, 0, 2], 3000 / (2 + 1e-4 * 5 * 3000.0**2) ** 0.75, rtol=2e-3)


def test_a_saved_layer_is_rebuilt_from_its_config():
  rebuilt = LocalResponseNorm.from_config(LocalResponseNorm(size=3, alpha=0.1, beta=0.5, k=1.0).get_config())
  assert (rebuilt.size, rebuilt.alpha, rebuilt.beta, rebuilt.k) == (3, 0.1, 0.5, 1.0)
