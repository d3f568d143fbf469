"""`digit_halves`: the digits 0 to 4 and 5 to 9 of `optical_digits` as two sets of five classes each.

What is learnt on one half can be carried to the other: the strokes are alike, the classes are not.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dlsuite.data.builders.optical_digits.optical_digits_dataset_builder import SPLITS

HALVES = {"low": 0, "high": 5}  # the first digit of each


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [8, 8, 1], labels 0 to 4: the digit, in the splits `high_*` less five. Nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.1")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version.", "1.0.1": "Classes are named by both of their digits."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Handwritten digits of 8x8 pixels from scikit-learn, 0 to 4 and 5 to 9 apart.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(names=[f"{i} or {i + 5}" for i in range(5)]),
      }),
      supervised_keys=("image", "label"),
      homepage="https://archive.ics.uci.edu/dataset/80",
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.RandomState(1998).permutation(len(digits.target))  # as in optical_digits: its splits' parts
    bounds = np.cumsum([0, *SPLITS.values()])
    return {
      f"{half}_{split}": self._generate_examples(digits, order[start:stop], first)
      for half, first in HALVES.items() for split, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)
    }

  def _generate_examples(self, digits: Any, chosen: np.ndarray, first: int) -> Iterator[tuple[int, dict]]:
    for i in chosen:
      if first <= digits.target[i] < first + 5:
        image = np.round(digits.images[i] * (255 / 16)).astype(np.uint8)[..., np.newaxis]
        yield int(i), {"image": image, "label": int(digits.target[i]) - first}
