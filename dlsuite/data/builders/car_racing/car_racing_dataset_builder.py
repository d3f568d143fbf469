"""`car_racing`: pictures from a car on random tracks, and the steering of a driver who knows the track; simulated.

Needs the extra `driving`. The driver's hands are pushed now and then, so that the car also comes to places where the driver
alone would never be; what is recorded is always what the driver would do there (Laskey et al. 2017, "DART: noise injection
for robust imitation learning"; Pomerleau 1991, section 4, shifts the pictures to the same end).
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dlsuite.rl import track

_PUSH_EVERY = 20  # pictures between two pushes, on average
_PUSH_LENGTH = (3, 9)  # pictures
_PUSH_MOST = 0.6  # of steering


def drive(seed: int, pictures: int) -> Iterator[tuple[np.ndarray, float]]:
  """Yields pictures uint8 [66, 200, 3] and the driver's steering from -1 (left) to 1, of one track."""
  random = np.random.RandomState(seed)  # of which NumPy promises never to change the numbers
  road = track.Road(seed)
  push, left = 0.0, 0
  try:
    for _ in range(pictures):
      steering = road.steering()
      yield road.picture(), steering
      if not left and random.uniform() < 1 / _PUSH_EVERY:
        push, left = float(random.uniform(-_PUSH_MOST, _PUSH_MOST)), int(random.randint(*_PUSH_LENGTH))
      road.drive(float(np.clip(steering + (push if left else 0.0), -1.0, 1.0)))
      left = max(0, left - 1)
      if road.over:
        return
  finally:
    road.close()


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [66, 200, 3], steering float32 []; nothing is downloaded.

  Attributes:
    tracks: seeds of each split's tracks; no track is in two splits.
    pictures: of each track; 400 are about a lap.
  """

  tracks: ClassVar[dict[str, range]] = {"train": range(16), "valid": range(1000, 1003), "test": range(2000, 2003)}
  pictures = 400

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Pictures of gymnasium's CarRacing and the steering of a scripted driver.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=(track.HEIGHT, track.WIDTH, 3)),
        "steering": tfds.features.Tensor(shape=(), dtype=np.float32),
        "track": tfds.features.Scalar(dtype=np.int32),
      }),
      supervised_keys=("image", "steering"),
      homepage="https://gymnasium.farama.org/environments/box2d/car_racing/",
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    track.simulator()
    return {name: self._generate_examples(seeds) for name, seeds in self.tracks.items()}

  def _generate_examples(self, seeds: range) -> Iterator[tuple[int, dict]]:
    for seed in seeds:
      for i, (picture, steering) in enumerate(drive(seed, self.pictures)):
        yield seed * self.pictures + i, {"image": picture, "steering": np.float32(steering), "track": seed}
