"""Augmentation of image batches inside the input pipeline, seeded by example."""

from collections.abc import Callable

import tensorflow as tf
from ml_collections import ConfigDict

Uniform = Callable[[int], tf.Tensor]  # draw number -> float32 [B] in [0, 1)


def pad_crop(images: tf.Tensor, padding: int, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
  """Pads by zeros and crops back at a random place: a shift by up to `padding` pixels.

  Args:
    images: [B, H, W, C], any dtype.
    padding: pixels on each side.
    row: float32 [B] in [0, 1), the place of the crop.
    column: float32 [B] in [0, 1).

  Returns:
    [B, H, W, C].

  Source: He et al. 2015, section 4.2 (CIFAR-10, padding 4).
  """
  height, width = images.shape[1], images.shape[2]
  padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
  places = 2 * padding + 1
  rows = tf.cast(row * places, tf.int32)[:, None] + tf.range(height)  # [B, H]
  columns = tf.cast(column * places, tf.int32)[:, None] + tf.range(width)  # [B, W]
  return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def flip(images: tf.Tensor, coin: tf.Tensor) -> tf.Tensor:
  """Mirrors the images [B, H, W, C] whose coin, float32 [B], is below one half."""
  return tf.where((coin < 0.5)[:, None, None, None], tf.reverse(images, [2]), images)


def augment(images: tf.Tensor, options: ConfigDict, uniform: Uniform) -> tf.Tensor:
  """Applies what `data.augment` asks for to images [B, H, W, C]."""
  if options.pad_crop:
    images = pad_crop(images, options.pad_crop, uniform(0), uniform(1))
  if options.flip:
    images = flip(images, uniform(2))
  return images
