"""Cropping of feature maps to the size of others."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("dlsuite")
class CropLike(keras.layers.Layer):
  """The middle of a feature map, as large as another one; sizes are static.

  Where an odd number of pixels is taken off, the lower and right side lose one more.

  Source: Ronneberger, Fischer & Brox 2015, figure 1 ("copy and crop").
  """

  def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Maps [B, H, W, C] and [B, h, w, D], h at most H and w at most W, to [B, h, w, C]."""
    x, like = inputs
    height, width = like.shape[1], like.shape[2]
    if height is None or width is None or tuple(x.shape[1:3]) == (height, width):
      return x  # while the network is being put together its sizes may be open
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top:top + height, left:left + width, :]

  def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    """Returns [B, h, w, C]."""
    x, like = input_shape
    return (x[0], like[1], like[2], x[3])
