"""`car_racing_sample`: the first pictures of one track a split of `car_racing`, made in seconds."""

from typing import ClassVar

import tensorflow_datasets as tfds

from dlsuite.data.builders.car_racing import car_racing_dataset_builder


class Builder(car_racing_dataset_builder.Builder):
  """As `car_racing`, with 48 pictures a split."""

  VERSION = tfds.core.Version("1.0.0")
  tracks: ClassVar[dict[str, range]] = {"train": range(1), "valid": range(1000, 1001), "test": range(2000, 2001)}
  pictures = 48
