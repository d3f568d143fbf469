"""Several looks at each image of an evaluation, whose probabilities are averaged."""

import tensorflow as tf


def centre(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
  """Returns the middle of images [B, H, W, C] as [B, height, width, C]."""
  if (images.shape[1], images.shape[2]) == (height, width):
    return images
  top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
  return images[:, top:top + height, left:left + width]


def mirrored(images: tf.Tensor) -> tf.Tensor:
  """Returns images [B, H, W, C] with left and right in each other's place."""
  return tf.reverse(images, [2])


def ten_crop(images: tf.Tensor, height: int, width: int) -> list[tf.Tensor]:
  """Returns ten times [B, height, width, C] of images [B, H, W, C]: four corners, the centre, and these five mirrored.

  Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.
  """
  bottom, right = images.shape[1] - height, images.shape[2] - width
  corners = [images[:, top:top + height, left:left + width] for top in (0, bottom) for left in (0, right)]
  five = [*corners, centre(images, height, width)]
  return [*five, *map(mirrored, five)]
