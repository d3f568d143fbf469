"""`gaussian_ring`: points of eight normal distributions on a circle, on which a generator that collapses is caught in the act.

The set-up of Metz, Poole, Pfau & Sohl-Dickstein 2017, "Unrolled generative adversarial networks", appendix A: eight modes on
a circle of radius 2 with standard deviation 0.02.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

MODES, RADIUS, SPREAD = 8, 2.0, 0.02
SPLITS = {"train": 40_000, "valid": 2_500, "test": 2_500}


def centres() -> np.ndarray:
  """Returns the middle of each mode, float64 [8, 2]."""
  angles = 2 * np.pi * np.arange(MODES) / MODES
  return RADIUS * np.stack([np.cos(angles), np.sin(angles)], 1)


class Builder(tfds.core.GeneratorBasedBuilder):
  """Points float32 [2], and the mode that each was drawn from, 0 to 7; nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Points of eight normal distributions on a circle of radius 2, simulated with fixed seeds.",
      features=tfds.features.FeaturesDict({
        "point": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        "mode": tfds.features.ClassLabel(num_classes=MODES),
      }),
      supervised_keys=("point", "mode"),
      metadata=tfds.core.MetadataDict(centres=centres().tolist(), spread=SPREAD),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    return {name: self._generate_examples(count, seed) for seed, (name, count) in enumerate(SPLITS.items())}

  def _generate_examples(self, count: int, seed: int) -> Iterator[tuple[int, dict]]:
    random = np.random.RandomState(2017 + seed)  # of which NumPy promises never to change the numbers
    modes = random.randint(MODES, size=count)
    points = (centres()[modes] + SPREAD * random.normal(size=(count, 2))).astype(np.float32)
    for i in range(count):
      yield i, {"point": points[i], "mode": int(modes[i])}
