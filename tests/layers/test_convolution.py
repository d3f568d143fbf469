"""Our convolution against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.layers import convolution, processor


def _run(layer: keras.layers.Layer, x: tf.Tensor) -> list[np.ndarray]:
  """Returns the output and its gradients by input, kernel and bias, as float32."""
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = tf.cast(layer(x), tf.float32)
    loss = tf.reduce_sum(y * tf.constant(np.random.default_rng(1).normal(size=y.shape), tf.float32))
  return [y.numpy(), *(g.numpy() for g in tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)]))]


def _both(dtype: str, channels: int = 3, filters: int = 6, groups: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
  x = tf.constant(np.random.default_rng(0).normal(size=(4, 9, 8, channels)), tf.float32)
  ours = convolution.Conv2D(filters, 3, 2, "same", dtype=dtype, groups=groups)
  theirs = keras.layers.Conv2D(filters, 3, 2, "same", dtype=dtype, groups=groups)
  for layer in (ours, theirs):
    layer.build(x.shape)
  theirs.set_weights(ours.get_weights())
  return _run(ours, x), _run(theirs, x)


def test_float32_equals_keras_in_outputs_and_gradients() -> None:
  for mine, keras_own in zip(*_both("float32"), strict=True):
    np.testing.assert_allclose(mine, keras_own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("emulated", [True, False])
def test_bfloat16_equals_keras_to_one_rounding(emulated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(processor, "emulates_bfloat16", lambda: emulated)
  for mine, keras_own in zip(*_both("mixed_bfloat16"), strict=True):
    np.testing.assert_allclose(mine, keras_own, rtol=2**-7, atol=2**-7 * np.abs(keras_own).max())


@pytest.mark.parametrize("cpu", [True, False])
def test_float16_equals_keras_to_a_rounding_of_each_sum(cpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(processor, "is_cpu", lambda: cpu)
  for mine, keras_own in zip(*_both("mixed_float16"), strict=True):
    np.testing.assert_allclose(mine, keras_own, rtol=2**-8, atol=2**-8 * np.abs(keras_own).max())


def test_3_dimensions_equal_keras_in_every_type() -> None:
  x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 6, 5, 3)), tf.float32)
  for dtype, tolerance in (("float32", 1e-5), ("mixed_bfloat16", 2**-7), ("mixed_float16", 2**-8)):
    ours, theirs = (module.Conv3D(4, 3, padding="same", dtype=dtype) for module in (convolution, keras.layers))
    for layer in (ours, theirs):
      layer.build(x.shape)
    theirs.set_weights(ours.get_weights())
    for mine, keras_own in zip(_run(ours, x), _run(theirs, x), strict=True):
      np.testing.assert_allclose(mine, keras_own, rtol=tolerance, atol=tolerance * np.abs(keras_own).max())


# Blocks of all groups at once, of four of them, and of one.
@pytest.mark.parametrize(("channels", "filters", "groups"), [(6, 9, 3), (32, 16, 8), (40, 20, 2)])
def test_groups_equal_keras_in_outputs_and_gradients(channels: int, filters: int, groups: int) -> None:
  for mine, keras_own in zip(*_both("float32", channels, filters, groups), strict=True):
    np.testing.assert_allclose(mine, keras_own, rtol=1e-5, atol=1e-4)


def test_a_device_with_kernels_for_groups_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(processor, "is_cpu", lambda: False)
  for mine, keras_own in zip(*_both("float32", 8, 8, 4), strict=True):
    np.testing.assert_array_equal(mine, keras_own)
