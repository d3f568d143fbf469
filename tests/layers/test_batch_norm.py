"""Our batch norm against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.layers import processor
from dlsuite.layers.batch_norm import BatchNorm

_SHAPES = [(32, 5), (8, 6, 7, 5)]


def _pair(shape: tuple[int, ...], **arguments: object) -> tuple[BatchNorm, keras.layers.BatchNormalization]:
  options = {"momentum": 0.8, "epsilon": 1e-3} | arguments
  ours, keras_own = BatchNorm(**options), keras.layers.BatchNormalization(**options)
  random = np.random.default_rng(1)
  for layer in (ours, keras_own):
    layer.build(shape)
  factor, offset = random.normal(1, 0.5, shape[-1]), random.normal(0, 1, shape[-1])
  for layer in (ours, keras_own):
    if layer.scale:
      layer.gamma.assign(factor)
    if layer.center:
      layer.beta.assign(offset)
  return ours, keras_own


def _batches(shape: tuple[int, ...], count: int) -> list[tf.Tensor]:
  random = np.random.default_rng(0)
  return [tf.constant(random.normal(3, 2, shape), tf.float32) for _ in range(count)]


def _run(layer: keras.layers.Layer, x: tf.Tensor, training: bool) -> list[np.ndarray]:
  """Returns the output and the gradients of a weighted sum of it by input, gamma and beta."""
  weights = tf.constant(np.random.default_rng(2).normal(size=x.shape), tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer(x, training=training)
    loss = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
  sources = [x, *(v.value for v in layer.trainable_variables)]
  return [y.numpy(), *(g.numpy() for g in tape.gradient(loss, sources))]


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_equal_keras(shape: tuple[int, ...], training: bool) -> None:
  ours, keras_own = _pair(shape)
  for batch in _batches(shape, 3):  # so that the moving averages are not at their start
    ours(batch, training=True)
    keras_own(batch, training=True)
  [x] = _batches(shape, 1)
  for mine, theirs in zip(_run(ours, x, training), _run(keras_own, x, training), strict=True):
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_moving_averages_equal_keras_after_several_steps(shape: tuple[int, ...]) -> None:
  ours, keras_own = _pair(shape)
  for batch in _batches(shape, 5):
    ours(batch, training=True)
    keras_own(batch, training=True)
  np.testing.assert_allclose(ours.moving_mean.numpy(), keras_own.moving_mean.numpy(), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(ours.moving_variance.numpy(), keras_own.moving_variance.numpy(), rtol=1e-5, atol=1e-5)


def test_inference_leaves_the_moving_averages_alone() -> None:
  ours, _ = _pair((4, 5))
  ours(_batches((4, 5), 1)[0], training=False)
  np.testing.assert_array_equal(ours.moving_mean.numpy(), np.zeros(5))
  np.testing.assert_array_equal(ours.moving_variance.numpy(), np.ones(5))


def test_without_scale_and_center_nothing_is_trainable_and_outputs_equal_keras() -> None:
  ours, keras_own = _pair((16, 5), scale=False, center=False)
  [x] = _batches((16, 5), 1)
  assert not ours.trainable_variables
  np.testing.assert_allclose(ours(x, training=True).numpy(), keras_own(x, training=True).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_bfloat16_normalises_in_bfloat16_and_keeps_float32_statistics(shape: tuple[int, ...]) -> None:
  layer = BatchNorm(dtype="mixed_bfloat16")
  [x] = _batches(shape, 1)
  with tf.GradientTape() as tape:
    y = layer(tf.cast(x, tf.bfloat16), training=True)
    loss = tf.reduce_sum(tf.square(tf.cast(y, tf.float32)))
  assert y.dtype == tf.bfloat16
  assert all(v.dtype == "float32" for v in layer.variables)
  gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
  assert all(np.isfinite(g.numpy()).all() for g in gradients)
  values = y.numpy().astype(np.float32).reshape(-1, shape[-1])
  np.testing.assert_allclose(values.mean(0), 0, atol=0.02)
  np.testing.assert_allclose(values.std(0), 1, atol=0.02)


@pytest.mark.parametrize("channels", [5, 16, 24])
@pytest.mark.parametrize("training", [True, False])
def test_channels_added_for_the_processor_change_the_others_by_one_rounding_at_most(
    channels: int, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
  [x] = _batches((8, 6, 7, channels), 1)
  found = []
  for cpu in (True, False):
    monkeypatch.setattr(processor, "is_cpu", lambda cpu=cpu: cpu)
    layer = BatchNorm(dtype="mixed_bfloat16")
    results = _run(layer, tf.cast(x, tf.bfloat16), training)
    found.append([*results, layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    assert found[-1][0].shape == x.shape
  for mine, plain in zip(*([values.astype(np.float32) for values in run] for run in found), strict=True):
    np.testing.assert_allclose(mine, plain, rtol=2**-7, atol=2**-7 * np.abs(plain).max())


def test_a_saved_layer_is_rebuilt_from_its_config() -> None:
  options = {"momentum": 0.7, "epsilon": 1e-2, "center": False, "scale": False, "synchronized": True,
             "gamma_initializer": "zeros"}
  rebuilt = BatchNorm.from_config(BatchNorm(**options).get_config())
  assert {name: getattr(rebuilt, name) for name in options} == options
