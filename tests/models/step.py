"""One training step of a network in a precision."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def finite_step(build: Callable[..., keras.Model], precision: str, side: int, frames: int = 0, **arguments: object) -> None:
  """Asserts that logits are float32 and every gradient of a loss is finite and some are not zero, in training mode."""
  shape = (*([frames] if frames else []), side, side, 3)
  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy(precision)
  try:
    network = build(shape, 10, **arguments)
    image = np.random.default_rng(0).normal(0, 1, (2, *shape)).astype(np.float32)
    with tf.GradientTape() as tape:
      outputs = network(tf.cast(image, keras.config.dtype_policy().compute_dtype), training=True)
      heads = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
      loss = tf.add_n([tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.ones(head.shape[:-1], tf.int32), head))
                       for head in heads])
    assert all(head.dtype == tf.float32 for head in heads)
    gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
    assert all(bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(g)))) for g in gradients)
    assert any(float(tf.reduce_max(tf.abs(tf.convert_to_tensor(g)))) > 0 for g in gradients)
  finally:
    keras.config.set_dtype_policy(before)
