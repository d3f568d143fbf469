"""Keras's 2-D convolution, made bearable on processors: in bfloat16 without instructions for it, and in groups."""

import keras
import tensorflow as tf

from dlsuite.layers import processor

_BLOCK = 16  # channels; measured: what is narrower costs more than the zeros that make it wider


@keras.saving.register_keras_serializable("dlsuite")
class Conv2D(keras.layers.Conv2D):
  """`keras.layers.Conv2D`, arguments and weights the same.

  Where bfloat16 is emulated, TensorFlow's kernels for it take 4 to 25 times as long as those for float32; there the
  same bfloat16 numbers are convolved in float32 and the sum is rounded once, which is also what the hardware does.

  For convolutions in groups TensorFlow has no kernels on a CPU, and Keras has XLA compute them there, which takes some 400
  times as long as what is done here: a few groups at a time by an ordinary convolution, whose kernel is zero between one
  group's inputs and another's outputs.
  """

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves [B, H, W, C] with [h, w, C / groups, filters]; same dtype."""
    if self.compute_dtype != "bfloat16" or not processor.emulates_bfloat16():
      return self._convolve(inputs, kernel)
    wide = self._convolve(keras.ops.cast(inputs, "float32"), keras.ops.cast(kernel, "float32"))
    return keras.ops.cast(wide, self.compute_dtype)

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
