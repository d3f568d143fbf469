"""Augmentation of image batches inside the input pipeline, seeded by example."""

import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data import colour, mixing
from dlsuite.data.rand_augment import rand_augment
from dlsuite.data.randomness import Uniform

# Each use takes random numbers of its own. From 32 to 71 they are those of `dlsuite.data.crops`.
_PLACE, _COIN, _CUTOUT, _JITTER, _LIGHTING, _MIX, _RAND = (0, 1), 2, (3, 4), (5, 6, 7), 8, 16, 128


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


def cutout(images: tf.Tensor, size: int, fill: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
  """Covers a square round a random pixel; what of it lies outside the image is cut off.

  Args:
    images: uint8 [B, H, W, C].
    size: pixels a side.
    fill: uint8 [C] or [1], the cover's colour.
    row: float32 [B] in [0, 1), the place of the centre.
    column: float32 [B] in [0, 1).

  Source: DeVries & Taylor 2017, "Improved regularization of convolutional neural networks with cutout", section 3.2 (size 16
  on CIFAR-10, 8 on CIFAR-100; the cover is zero after the mean is taken off).
  """
  inside = mixing.box(images.shape[1], images.shape[2], size, size, row, column)
  return tf.where(inside[..., None], fill, images)


def augment(images: tf.Tensor, options: ConfigDict, uniform: Uniform, mean: tuple[float, ...] = (0.0,)) -> tf.Tensor:
  """Applies what `data.augment` asks for to each of the images uint8 [B, H, W, C]; `mean` is `data.mean`."""
  if options.pad_crop:
    images = pad_crop(images, options.pad_crop, *map(uniform, _PLACE))
  if options.flip:
    images = flip(images, uniform(_COIN))
  if options.rand_layers:
    images = rand_augment(images, options.rand_layers, options.rand_magnitude, uniform, _RAND)
  strengths = (options.brightness, options.contrast, options.saturation)
  if any(strengths):
    images = colour.jitter(images, *(1.0 + strength * (2.0 * uniform(draw) - 1.0) if strength else None
                                     for strength, draw in zip(strengths, _JITTER, strict=True)))
  if options.lighting:
    images = colour.lighting(images, options.lighting, uniform, _LIGHTING)
  if options.cutout:
    fill = tf.constant([round(255 * value) for value in mean], tf.uint8)
    images = cutout(images, options.cutout, fill, *map(uniform, _CUTOUT))
  return images


def mixed(batch: dict[str, tf.Tensor], options: ConfigDict, uniform: Uniform) -> dict[str, tf.Tensor]:
  """Returns a batch whose images are mixed by `data.augment.mixup` and `cutmix`, with `label2` and the `weight` of `label`."""
  if not mixing.mixes(options):
    return batch
  images, second, weight = mixing.mix(batch["image"], batch["label"], options, uniform, _MIX)
  return batch | {"image": images, "label2": second, "weight": weight}
