"""Our pooling of videos against Keras's."""

import keras
import numpy as np
import pytest

from dlsuite.layers.pooling import MaxPool3D


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_videos_are_pooled_in_every_type_and_pass_the_gradient_to_the_largest(dtype: str) -> None:
  import tensorflow as tf

  x = tf.cast(np.random.default_rng(0).permutation(192).reshape(2, 2, 4, 4, 3), dtype)  # whole in 8 bits
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = MaxPool3D((2, 2, 2), padding="same", dtype=dtype)(x)
  expected = keras.layers.MaxPool3D((2, 2, 2), padding="same")(tf.cast(x, tf.float32))
  np.testing.assert_array_equal(tf.cast(y, tf.float32), expected)
  assert y.dtype == dtype
  gradient = tf.cast(tape.gradient(y, x), tf.float32).numpy()
  assert gradient.sum() == expected.numpy().size
  assert set(np.unique(gradient)) <= {0, 1}
