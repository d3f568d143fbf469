"""`optical_digits`: the 1,797 scans of 8x8 pixels that scikit-learn carries, with a fixed split.

They are the test part of UCI's Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998).
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

SPLITS = {"train": 1197, "valid": 200, "test": 400}


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [8, 8, 1] (0 paper, 255 ink), labels 0 to 9; nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="1,797 handwritten digits of 8x8 pixels with 17 grey levels, from scikit-learn.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(num_classes=10),
      }),
      supervised_keys=("image", "label"),
      homepage="https://archive.ics.uci.edu/dataset/80",
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # A fixed permutation: the file is ordered by writer and by digit.
    order = np.random.RandomState(1998).permutation(len(digits.target))
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    bounds = np.cumsum([0, *SPLITS.values()])
    return {
      name: self._generate_examples(images, digits.target, order[start:stop])
      for name, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)
    }

  def _generate_examples(self, images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, dict]]:
    for i in chosen:
      yield int(i), {"image": images[i], "label": int(labels[i])}
