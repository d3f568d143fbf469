"""Shortcuts of residual networks, without parameters and with a projection."""

import keras
import tensorflow as tf
from keras import layers

from dlsuite.layers.conv_norm import convolution, norm


def add_relu(x: keras.KerasTensor, y: keras.KerasTensor, stride: int, name: str) -> keras.KerasTensor:
  """Returns ReLU(x + y) of a block's input and branch, the input projected where their shapes differ.

  Args:
    x: [B, H, W, C].
    y: [B, ceil(H / stride), ceil(W / stride), D].
    stride: of the 1x1 convolution that projects, before batch norm.
    name: prefix of the layers' names.

  Source: He et al. 2015, section 3.3, option B.
  """
  if stride > 1 or x.shape[-1] != y.shape[-1]:
    x = norm(convolution(x, y.shape[-1], 1, stride, f"{name}_shortcut"), f"{name}_shortcut")
  return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


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
