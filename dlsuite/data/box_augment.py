"""Augmentation of images with boxes inside the input pipeline, seeded by example; the boxes move with what they surround."""

import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.augment import flip
from dlsuite.data.boxes import GREY, NO_BOX, area
from dlsuite.data.pipeline import Batch
from dlsuite.data.randomness import Uniform

_LEAST_SHARE = 0.3  # of a box's area that must still be seen, or the box is dropped
_GREY_WEIGHTS = (0.299, 0.587, 0.114)  # Rec. ITU-R BT.601


def window(images: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, corner: tf.Tensor, size: tf.Tensor
           ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Shows a window of each image at the image's own size; grey where it stands out.

  Args:
    images: [B, H, W, C].
    boxes: float32 [B, M, 4], in shares of the image.
    labels: int32 [B, M].
    corner: float32 [B, 2], the window's top and left in shares of the image.
    size: float32 [B], its height and width in shares of the image's.

  Returns:
    float32 [B, H, W, C]; the boxes in shares of the window, cut off at its border; the labels, without those of boxes of
    which less than 30% are seen.
  """
  height, width = images.shape[1], images.shape[2]
  pixels, side = tf.constant([height, width], tf.float32), size[:, tf.newaxis]
  # `crop_and_resize` wants the middles of the first and of the last pixel, of an image that is H - 1 middles long.
  first = (corner * pixels + 0.5 * side - 0.5) / (pixels - 1.0)
  last = (corner * pixels + (pixels - 0.5) * side - 0.5) / (pixels - 1.0)
  shown = tf.image.crop_and_resize(images, tf.concat([first, last], 1), tf.range(tf.shape(images)[0]), [height, width],
                                   extrapolation_value=GREY)
  moved = (boxes - tf.tile(corner, [1, 2])[:, tf.newaxis]) / side[:, tf.newaxis]
  cut = tf.clip_by_value(moved, 0.0, 1.0)
  seen = area(cut) >= _LEAST_SHARE * area(moved)
  return shown, cut, tf.where(seen, labels, NO_BOX)


def mirror(images: tf.Tensor, boxes: tf.Tensor, coin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Mirrors the images [B, H, W, C], left for right, whose coin, float32 [B], is below one half, and their boxes."""
  top, left, bottom, right = tf.unstack(boxes, axis=-1)
  mirrored = tf.stack([top, 1.0 - right, bottom, 1.0 - left], -1)
  return flip(images, coin), tf.where((coin < 0.5)[:, tf.newaxis, tf.newaxis], mirrored, boxes)


def turn_over(images: tf.Tensor, boxes: tf.Tensor, coin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """As `mirror`, upside down."""
  top, left, bottom, right = tf.unstack(boxes, axis=-1)
  turned = tf.stack([1.0 - bottom, left, 1.0 - top, right], -1)
  chosen = (coin < 0.5)[:, tf.newaxis, tf.newaxis]
  return tf.where(chosen[..., tf.newaxis], tf.reverse(images, [1]), images), tf.where(chosen, turned, boxes)


def jitter_colour(images: tf.Tensor, strength: float, light: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor
                  ) -> tf.Tensor:
  """Changes light, contrast and saturation of images float32 [B, H, W, C] by up to a share of themselves.

  Args:
    images: in [0, 255].
    strength: the largest change.
    light: float32 [B] in [0, 1), like the next two: one half changes nothing.
    contrast: as `light`.
    saturation: as `light`; of no effect on grey images.
  """
  def factor(uniform: tf.Tensor) -> tf.Tensor:
    return (1.0 + strength * (2.0 * uniform - 1.0))[:, tf.newaxis, tf.newaxis, tf.newaxis]

  if images.shape[-1] == 3:
    grey = tf.reduce_sum(images * tf.constant(_GREY_WEIGHTS), -1, keepdims=True)
    images = grey + (images - grey) * factor(saturation)
  mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
  return (mean + (images - mean) * factor(contrast)) * factor(light)


def augment(batch: Batch, options: ConfigDict, uniform: Uniform) -> Batch:
  """Applies what `data.augment` asks for to a batch of `image`, `boxes` and `labels`."""
  images, boxes, labels = batch["image"], batch["boxes"], batch["labels"]
  if options.zoom or options.shift:
    # An object grows as much as it shrinks: the window's side is the inverse of the factor, which is even on a log scale.
    size = tf.exp(-tf.math.log(1.0 + options.zoom) * (2.0 * uniform(0) - 1.0))
    offset = options.shift * (2.0 * tf.stack([uniform(1), uniform(2)], 1) - 1.0)
    images, boxes, labels = window(images, boxes, labels, 0.5 * (1.0 - size)[:, tf.newaxis] + offset, size)
  if options.flip != "none":
    images, boxes = mirror(images, boxes, uniform(3))
  if options.flip == "both":
    images, boxes = turn_over(images, boxes, uniform(4))
  if options.colour:
    images = jitter_colour(tf.cast(images, tf.float32), options.colour, uniform(5), uniform(6), uniform(7))
  pixels = tf.cast(tf.clip_by_value(tf.round(tf.cast(images, tf.float32)), 0.0, 255.0), tf.uint8)
  return batch | {"image": pixels, "boxes": boxes, "labels": labels}
