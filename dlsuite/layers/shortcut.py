"""Shortcuts of residual networks that have no parameters."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("dlsuite")
class PaddedShortcut(keras.layers.Layer):
  """The identity, subsampled by a stride, with zeros for the channels that the input does not have.

  Args:
    filters: channels of the output, at least those of the input.
    stride: every how many pixels one is kept, in both directions.

  Source: He et al. 2015, section 3.3, option A.
  """

  def __init__(self, filters: int, stride: int = 1, **kwargs: object) -> None:
    super().__init__(**kwargs)
    self.filters, self.stride = filters, stride

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Maps [B, H, W, C] to [B, H / stride, W / stride, filters]."""
    x = x[:, ::self.stride, ::self.stride, :]
    return tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, self.filters - x.shape[-1]]])

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    return super().get_config() | {"filters": self.filters, "stride": self.stride}
