"""What all tasks share that learn from images of a tfds data set."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from dlsuite.data import folder, pipeline, sources
from dlsuite.data.clips import is_video
from dlsuite.errors import ConfigError
from dlsuite.tasks.supervised import Supervised


class Images(Supervised):
  """Examples with an `image` uint8 [H, W, C]; of a task with `data.frames` it may be a video [T, H, W, C]."""

  def open_builder(self, name: str, prepare: bool, key: str = "data.name") -> Any:
    """Returns the builder of a tfds set, or of the user's own folder where the task allows one."""
    data = self.config.data
    if name == "folder" and "folder" in data:
      return folder.open_builder(data.folder, data.channels, data.skip_corrupt, prepare)
    return super().open_builder(name, prepare, key)

  @property
  def input_shape(self) -> tuple[int, ...]:
    """Shape of one image as the network sees it, (H, W, C), or of one video, (T, H, W, C).

    Raises:
      ConfigError: if the set's images differ in size and the config does not say what to do.
    """
    key = self.config.data.features.get("image")
    video = "frames" in self.config.data and is_video(dict(self.builder.info.features).get(key))
    if not video:
      sources.feature(self.builder, self.config.data.features, "image", tfds.features.Image)
    shape = pipeline.feature_shape(self.builder, self.config, "image")
    if video and None in shape:
      raise ConfigError(f"the videos of {self.builder.name} differ in length or size: give data.frames, e.g. 16, and "
                        "data.resize, pixels a side, e.g. 112")
    if None in shape:
      raise ConfigError(f"data.resize=0 but the images of {self.builder.name} differ in size: give pixels a side, e.g. 224"
                        + (" (or data.crop, which keeps their shape)" if "crop" in self.config.data else ""))
    return tuple(int(d) for d in shape if d is not None)


def standardized(images: tf.Tensor, options: ConfigDict) -> tf.Tensor:
  """Returns uint8 images as (pixel / 255 - mean) / std, on the device and in the compute type.

  Args:
    images: [..., C].
    options: the config's `data`, with `mean` and `std`, a value for all channels or one a channel.
  """
  mean, std = (tf.constant(values, tf.float32) for values in (options.mean, options.std))
  floats = tf.cast(images, tf.float32) * (1.0 / (255.0 * std)) - mean / std
  return tf.cast(floats, keras.config.dtype_policy().compute_dtype)
