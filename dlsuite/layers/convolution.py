"""Keras's 2-D convolution, made bearable in bfloat16 on processors that have no instructions for it."""

import functools
import pathlib

import keras
import tensorflow as tf


@functools.cache
def emulates_bfloat16() -> bool:
  """Returns whether this process computes on an x86 CPU without AVX-512, where oneDNN refuses bfloat16 convolutions."""
  if tf.config.get_visible_devices("GPU") or tf.config.list_logical_devices("TPU"):
    return False
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  flags = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
  return "avx2" in flags and "avx512" not in flags


@keras.saving.register_keras_serializable("dlsuite")
class Conv2D(keras.layers.Conv2D):
  """`keras.layers.Conv2D`, arguments and weights the same.

  Where bfloat16 is emulated, TensorFlow's kernels for it take 4 to 25 times as long as those for float32; there the
  same bfloat16 numbers are convolved in float32 and the sum is rounded once, which is also what the hardware does.
  """

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves [B, H, W, C] with [h, w, C / groups, filters]; same dtype."""
    if self.compute_dtype != "bfloat16" or not emulates_bfloat16():
      return super().convolution_op(inputs, kernel)
    wide = super().convolution_op(keras.ops.cast(inputs, "float32"), keras.ops.cast(kernel, "float32"))
    return keras.ops.cast(wide, self.compute_dtype)
