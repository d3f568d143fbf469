"""The two halves against scikit-learn's digits."""

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from dlsuite.data import sources


def test_the_halves_are_the_scans_of_five_digits_each_and_together_all_of_them():
  builder = sources.open_builder("digit_halves")
  scans = load_digits()
  known = {np.round(image * 255 / 16).astype(np.uint8).tobytes(): digit
           for image, digit in zip(scans.images, scans.target, strict=True)}
  seen = set()
  for half, first in (("low", 0), ("high", 5)):
    for split in ("train", "valid", "test"):
      for example in tfds.as_numpy(builder.as_dataset(split=f"{half}_{split}")):
        name = example["image"].tobytes()
        assert known[name] == example["label"] + first
        seen.add(name)
  assert len(seen) == 1797


def test_a_half_is_made_of_the_split_of_the_same_name():
  halves, whole = sources.open_builder("digit_halves"), sources.open_builder("optical_digits")
  for split in ("train", "valid", "test"):
    assert sum(halves.info.splits[f"{half}_{split}"].num_examples for half in ("low", "high")) == (
      whole.info.splits[split].num_examples)
