"""One training step of a network in a precision."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def finite_step(build: Callable[..., keras.Model], precision: str, side: int, frames: int = 0, **arguments: object) -> None:
  """Asserts that logits are float32 and that a step of gradient descent on a loss, in training mode, changes every kernel and
  leaves all weights finite."""
  shape = (*([frames] if frames else []), side, side, 3)
  before, scale = keras.config.dtype_policy(), 32.0 if precision == "mixed_float16" else 1.0
  keras.config.set_dtype_policy(precision)
  try:
    network = build(shape, 10, **arguments)
    for variable in network.trainable_variables:
      if variable.name == "gamma":
        variable.assign(tf.ones_like(variable))  # those that begin at 0 would let no gradient through
    image = np.random.default_rng(0).normal(0, 1, (2, *shape)).astype(np.float32)
    with tf.GradientTape() as tape:
      outputs = network(tf.cast(image, keras.config.dtype_policy().compute_dtype), training=True)
      heads = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
      loss = scale * tf.add_n([tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.ones(head.shape[:-1], tf.int32), head)) for head in heads])
    assert all(head.dtype == tf.float32 for head in heads)
    gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
    kernels = {v.path: v.numpy() for v in network.trainable_variables if "kernel" in v.name}
    keras.optimizers.SGD(1.0).apply([tf.convert_to_tensor(g) / scale for g in gradients], network.trainable_variables)
    for variable in network.variables:
      if variable.dtype == "float32":
        assert np.isfinite(variable.numpy()).all(), variable.path
    assert kernels
    for variable in network.trainable_variables:
      assert variable.path not in kernels or (variable.numpy() != kernels[variable.path]).any(), variable.path
  finally:
    keras.config.set_dtype_policy(before)
