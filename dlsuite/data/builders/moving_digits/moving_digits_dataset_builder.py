"""`moving_digits`: a handwritten digit that moves in one of eight ways, so that no single frame tells which.

The canvas is closed: what leaves on one side comes back on the other. With a start that is equally likely everywhere, every
frame of a video is a digit at a place that is equally likely everywhere, whatever the direction; a classifier of frames
cannot do better than to guess, one in eight. The digits are the scans of `optical_digits`, with its split.

The idea of digits that move is that of Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised learning of video
representations using LSTMs", section 4.1; the directions, the closed canvas and all sizes are ours.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dlsuite.data.builders.optical_digits import optical_digits_dataset_builder as optical_digits

FRAMES, SIDE = 8, 24  # frames a video, pixels a side
WAYS = {"east": (0, 1), "northeast": (-1, 1), "north": (-1, 0), "northwest": (-1, -1),
        "west": (0, -1), "southwest": (1, -1), "south": (1, 0), "southeast": (1, 1)}  # rows down, columns right
SPEEDS = (1, 2, 3)  # pixels a frame, in each direction that a way has
SPLITS = {"train": 4000, "valid": 500, "test": 1000}


def video(digit: np.ndarray, way: int, speed: int, row: int, column: int) -> np.ndarray:
  """Returns the frames of one video.

  Args:
    digit: uint8 [8, 8].
    way: place in `WAYS`.
    speed: pixels a frame.
    row: of the digit's upper side in the first frame, 0 to 23.
    column: of its left side.

  Returns:
    uint8 [8, 24, 24, 1].
  """
  canvas = np.zeros((SIDE, SIDE), np.uint8)
  canvas[:digit.shape[0], :digit.shape[1]] = digit
  down, right = list(WAYS.values())[way]
  frames = [np.roll(canvas, (row + t * speed * down, column + t * speed * right), (0, 1)) for t in range(FRAMES)]
  return np.stack(frames)[..., np.newaxis]


class Builder(tfds.core.GeneratorBasedBuilder):
  """Videos uint8 [8, 24, 24, 1] (0 paper, 255 ink), labels 0 to 7; nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Handwritten digits of scikit-learn that move in one of eight directions on a closed canvas, simulated.",
      features=tfds.features.FeaturesDict({
        "video": tfds.features.Tensor(shape=(FRAMES, SIDE, SIDE, 1), dtype=np.uint8, encoding="zlib"),
        "label": tfds.features.ClassLabel(names=list(WAYS)),
        "digit": tfds.features.ClassLabel(num_classes=10),
      }),
      supervised_keys=("video", "label"),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.RandomState(1998).permutation(len(digits.target))  # the split of `optical_digits`
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    bounds = np.cumsum([0, *optical_digits.SPLITS.values()])
    scans = {name: order[bounds[i]:bounds[i + 1]] for i, name in enumerate(optical_digits.SPLITS)}
    return {name: self._generate_examples(images[scans[name]], digits.target[scans[name]], count, seed)
            for seed, (name, count) in enumerate(SPLITS.items())}

  def _generate_examples(self, images: np.ndarray, targets: np.ndarray, count: int, seed: int) -> Iterator[tuple[int, dict]]:
    random = np.random.RandomState(2015 + seed)  # of which NumPy promises never to change the numbers
    for i in range(count):
      scan, way, speed, row, column = (int(random.randint(n)) for n in (len(images), len(WAYS), len(SPEEDS), SIDE, SIDE))
      yield i, {"video": video(images[scan], way, SPEEDS[speed], row, column), "label": way, "digit": int(targets[scan])}
