"""Videos of any length and size as clips of fixed ones, and as images of many channels."""

from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data.crops import resized


def is_video(feature: Any) -> bool:
  """Returns whether a feature of a tfds set is a `Video`, or a `Tensor` that can be read as one, [T, H, W, C]."""
  return isinstance(feature, tfds.features.Video) or (isinstance(feature, tfds.features.Tensor) and len(feature.shape) == 4)


def clip(video: tf.Tensor, frames: int, size: int) -> tf.Tensor:
  """Returns frames that divide a video evenly, the first and the last among them, each brought to a square.

  Args:
    video: uint8 [T, H, W, C]; of one shorter than `frames` some come again.
    frames: how many; 0 keeps all, 1 takes the middle one.
    size: pixels a side; 0 keeps the size.

  Returns:
    uint8 [frames, size, size, C].
  """
  if frames:
    last = tf.cast(tf.shape(video)[0] - 1, tf.float32)
    places = tf.linspace(0.0, last, frames) if frames > 1 else last[tf.newaxis] / 2
    video = tf.gather(video, tf.cast(tf.round(places), tf.int32))
  return resized(video, size) if size else video


def as_images(videos: tf.Tensor) -> tf.Tensor:
  """Returns videos [B, T, H, W, C] as images [B, H, W, T C]: what is then done to an image is done to all frames alike."""
  _, frames, height, width, channels = videos.shape
  return tf.reshape(tf.transpose(videos, [0, 2, 3, 1, 4]), [-1, height, width, frames * channels])


def as_videos(images: tf.Tensor, frames: int) -> tf.Tensor:
  """Returns what `as_images` made, and something has changed since, as videos [B, T, H, W, C] again."""
  _, height, width, channels = images.shape
  return tf.transpose(tf.reshape(images, [-1, height, width, frames, channels // frames]), [0, 3, 1, 2, 4])
