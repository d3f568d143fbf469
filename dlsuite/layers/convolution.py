"""Keras's convolutions, made bearable on processors: in 16 bits without instructions for them, and in groups."""

from collections.abc import Callable

import keras
import tensorflow as tf

from dlsuite.layers import processor

_BLOCK = 16  # channels; measured: what is narrower costs more than the zeros that make it wider


def _widened(convolve: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  """Convolves in the type of `inputs`; where the processor only emulates that, in float32, the sum rounded once.

  TensorFlow's kernels take 4 to 25 times as long for emulated bfloat16 as for float32, and some 80 times for float16. To
  convolve the same 16-bit numbers and round the sum once is what hardware for them does too.
  """
  if not processor.emulates(inputs.dtype.name):
    return convolve(inputs, kernel)
  return tf.cast(convolve(tf.cast(inputs, tf.float32), tf.cast(kernel, tf.float32)), inputs.dtype)


@keras.saving.register_keras_serializable("dlsuite")
class Conv3D(keras.layers.Conv3D):
  """`keras.layers.Conv3D`, arguments and weights the same, faster in 16 bits where those are emulated."""

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves [B, T, H, W, C] with [t, h, w, C, filters]; same dtype."""
    return _widened(super().convolution_op, inputs, kernel)


@keras.saving.register_keras_serializable("dlsuite")
class Conv2D(keras.layers.Conv2D):
  """`keras.layers.Conv2D`, arguments and weights the same, faster in 16 bits where those are emulated.

  For convolutions in groups TensorFlow has no kernels on a CPU, and Keras has XLA compute them there, which takes some 400
  times as long as what is done here: a few groups at a time by an ordinary convolution, whose kernel is zero between one
  group's inputs and another's outputs.
  """

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves [B, H, W, C] with [h, w, C / groups, filters]; same dtype."""
    return _widened(self._convolve, inputs, kernel)

  def _convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    if self.groups == 1 or not processor.is_cpu():
      return super().convolution_op(inputs, kernel)
    height, width, channels, filters = kernel.shape
    merged = next(n for n in range(1, self.groups + 1)  # groups at a time
                  if self.groups % n == 0 and (n * channels >= _BLOCK or n == self.groups))
    blocks = self.groups // merged
    own = tf.reshape(tf.eye(merged, dtype=kernel.dtype), [1, 1, merged, 1, merged, 1])
    outputs = []
    for part, k in zip(tf.split(inputs, blocks, -1), tf.split(kernel, blocks, -1), strict=True):
      wide = tf.reshape(k, [height, width, 1, channels, merged, -1]) * own
      outputs.append(super().convolution_op(part, tf.reshape(wide, [height, width, merged * channels, filters // blocks])))
    return tf.concat(outputs, -1)
