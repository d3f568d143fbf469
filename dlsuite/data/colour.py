"""Colours of image batches: blending with a paler self, jitter, and the lighting noise of AlexNet."""

import tensorflow as tf

from dlsuite.data.randomness import Uniform, box_muller

# Principal components of the RGB values of ImageNet's training images scaled to [0, 1], and their standard deviations, as
# they are passed on since fb.resnet.torch (Gross & Wilber 2016).
_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
_DEVIATIONS = (0.2175, 0.0188, 0.0045)


def grey(images: tf.Tensor) -> tf.Tensor:
  """Returns the luma of images uint8 [B, H, W, C] as float32 [B, H, W, 1], whole numbers.

  Source: ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), in the 16-bit integers of Pillow.
  """
  if images.shape[-1] == 1:
    return tf.cast(images, tf.float32)
  red, green, blue = tf.unstack(tf.cast(images, tf.float32), axis=-1)  # all sums stay below 2^24, where floats are exact
  return tf.floor((19595.0 * red + 38470.0 * green + 7471.0 * blue + 32768.0) / 65536.0)[..., tf.newaxis]


def blend(pale: tf.Tensor, images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Returns pale + factor (images - pale) as uint8 [B, H, W, C], cut off to whole numbers as Pillow does.

  Args:
    pale: float32, broadcast to [B, H, W, C].
    images: uint8 [B, H, W, C].
    factor: float32 [B]: 0 is all pale, 1 the images, more exaggerates them.
  """
  mixed = pale + factor[:, None, None, None] * (tf.cast(images, tf.float32) - pale)
  return tf.cast(tf.clip_by_value(mixed, 0.0, 255.0), tf.uint8)


def mean_grey(images: tf.Tensor) -> tf.Tensor:
  """Returns the mean luma of each image, rounded: float32 [B, 1, 1, 1]."""
  return tf.floor(tf.reduce_mean(grey(images), [1, 2, 3], keepdims=True) + 0.5)


def jitter(images: tf.Tensor, brightness: tf.Tensor | None, contrast: tf.Tensor | None, saturation: tf.Tensor | None
           ) -> tf.Tensor:
  """Changes brightness, then contrast, then saturation of images uint8 [B, H, W, C].

  Args:
    images: uint8 [B, H, W, C].
    brightness: factors float32 [B], 1 changes nothing; None is off.
    contrast: the same, away from each image's mean grey.
    saturation: the same, away from each pixel's grey.

  Source: Howard 2013, "Some improvements on deep convolutional neural network based image classification", section 2.2
  (there in random order).
  """
  if brightness is not None:
    images = blend(tf.zeros([]), images, brightness)
  if contrast is not None:
    images = blend(mean_grey(images), images, contrast)
  if saturation is not None:
    images = blend(grey(images), images, saturation)
  return images


def lighting(images: tf.Tensor, deviation: float, uniform: Uniform, first: int) -> tf.Tensor:
  """Adds to all pixels of an image one random multiple of each principal component of natural colours.

  Args:
    images: uint8 [B, H, W, 3].
    deviation: of the multiples, in units of the component's own; 0.1 in the paper.
    uniform: the examples' random numbers.
    first: the first of the six draws that are used.

  Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.
  """
  normal = tf.stack([box_muller(uniform(first + i), uniform(first + 3 + i)) for i in range(3)], 1)  # [B, 3]
  shift = tf.matmul(deviation * normal * tf.constant(_DEVIATIONS), tf.constant(_COMPONENTS), transpose_b=True)  # [B, RGB]
  shifted = tf.cast(images, tf.float32) + 255.0 * shift[:, None, None, :]
  return tf.cast(tf.clip_by_value(tf.round(shifted), 0.0, 255.0), tf.uint8)
