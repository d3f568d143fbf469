"""What all tasks share that learn from images of a tfds data set."""

import tensorflow_datasets as tfds

from dlsuite.data import pipeline, sources
from dlsuite.errors import ConfigError
from dlsuite.tasks.supervised import Supervised


class Images(Supervised):
  """Examples with an `image` uint8 [H, W, C]."""

  @property
  def input_shape(self) -> tuple[int, ...]:
    """Shape of one image as the network sees it, (H, W, C).

    Raises:
      ConfigError: if the set's images differ in size and the config does not say what to do.
    """
    sources.feature(self.builder, self.config.data.features, "image", tfds.features.Image)
    shape = pipeline.feature_shape(self.builder, self.config, "image")
    if None in shape:
      raise ConfigError(f"data.resize=0 but the images of {self.builder.name} differ in size: give pixels a side, e.g. 224"
                        + (" (or data.crop, which keeps their shape)" if "crop" in self.config.data else ""))
    return tuple(int(d) for d in shape if d is not None)
