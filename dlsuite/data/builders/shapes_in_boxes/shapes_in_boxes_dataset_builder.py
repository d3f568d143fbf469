"""`shapes_in_boxes`: circles, squares and triangles of any size and colour on noise, each with the box around it."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

SIDE = 96  # pixels
NAMES = ("circle", "square", "triangle")
MOST = 6  # shapes in an image; one image in seven is empty
SMALLEST, LARGEST = 10, 36  # pixels a side
CONTRAST = 60.0  # least distance of a shape's colour from the background's, of 255
SPLITS = {"train": 1200, "valid": 200, "test": 300}


def inside(label: int, top: int, left: int, side: int) -> np.ndarray:
  """Returns which pixels a shape covers, bool [96, 96]; those of its box's four sides are among them."""
  y, x = np.mgrid[:SIDE, :SIDE] + 0.5  # the pixels' middles
  y, x = (y - top) / side, (x - left) / side  # in the box's own measure, [0, 1]
  if label == 0:
    return (y - 0.5) ** 2 + (x - 0.5) ** 2 <= 0.25
  if label == 1:
    return (np.maximum(y, x) <= 1) & (np.minimum(y, x) >= 0)
  return (y >= 0) & (y <= 1) & (np.abs(x - 0.5) <= y / 2 + 0.5 / side)  # half a pixel wider, or the tip would fall between two


def draw(random: np.random.RandomState) -> tuple[np.ndarray, list[dict]]:
  """Returns an image uint8 [96, 96, 3] and its objects, whose boxes overlap by less than a fifth of the smaller one."""
  background = random.randint(256, size=3)
  image = background + 6.0 * random.randint(-4, 5, size=(SIDE, SIDE, 1))
  boxes: list[tuple[int, int, int]] = []
  objects = []
  for _ in range(random.randint(MOST + 1)):
    side = random.randint(SMALLEST, LARGEST + 1)
    top, left = random.randint(SIDE - side + 1, size=2)
    label, colour = random.randint(len(NAMES)), random.randint(256, size=3)
    if np.linalg.norm(colour - background) < CONTRAST or any(_shared((top, left, side), other) >= 0.2 for other in boxes):
      continue
    boxes.append((top, left, side))
    image[inside(label, top, left, side)] += colour - background  # the noise goes on over the shape
    edges = np.array([top, left, top + side, left + side], np.float32) / SIDE
    objects.append({"bbox": tfds.features.BBox(*map(float, edges)), "label": label})
  return np.clip(np.round(image), 0, 255).astype(np.uint8), objects


def _shared(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
  """Returns the common area of two squares (top, left, side) as a share of the smaller one."""
  sides = [max(0, min(a + one[2], b + other[2]) - max(a, b)) for a, b in zip(one[:2], other[:2], strict=True)]
  return sides[0] * sides[1] / min(one[2], other[2]) ** 2


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [96, 96, 3] of up to six shapes, `objects` with `bbox` and `label`; nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Circles, squares and triangles on noise with the boxes around them, simulated with fixed seeds.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=(SIDE, SIDE, 3)),
        "objects": tfds.features.Sequence({
          "bbox": tfds.features.BBoxFeature(),
          "label": tfds.features.ClassLabel(names=list(NAMES)),
        }),
      }),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    return {name: self._generate_examples(count, seed) for seed, (name, count) in enumerate(SPLITS.items())}

  def _generate_examples(self, count: int, seed: int) -> Iterator[tuple[int, dict]]:
    random = np.random.RandomState(2016 + seed)  # of which NumPy promises never to change the numbers
    for i in range(count):
      image, objects = draw(random)
      yield i, {"image": image, "objects": objects}
