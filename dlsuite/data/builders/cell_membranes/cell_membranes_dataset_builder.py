"""`cell_membranes`: simulated sections through tissue, in which membranes are dark, but so is much that is none."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dlsuite.data import cells

SIDE = 128
SPLITS = {"train": 40, "valid": 10, "test": 20}
_CELLS = 24  # seeds an image
_THICKNESS = 1.6  # pixels from a membrane's middle to its edge


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [128, 128, 1], `label` 0 (membrane) or 1 (cell), `gap` (see `cells.gap`); nothing is downloaded.

  Cells are those of Voronoi (1908) on a bent plane. Membranes differ in darkness along their way; cells in brightness, and
  they hold round dark bodies as dark as a membrane. All is blurred a little and noisy.
  """

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    shape = (SIDE, SIDE, 1)
    return self.dataset_info_from_configs(
      description="Voronoi cells with noisy membranes and dark bodies inside, simulated with fixed seeds.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.LabeledImage(labels=["membrane", "cell"], shape=shape),
        "gap": tfds.features.Image(shape=shape),
      }),
      supervised_keys=("image", "label"),
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    return {name: self._generate_examples(count, seed) for seed, (name, count) in enumerate(SPLITS.items())}

  def _generate_examples(self, count: int, seed: int) -> Iterator[tuple[int, dict]]:
    random = np.random.RandomState(1908 + seed)  # of which NumPy promises never to change the numbers
    for i in range(count):
      image, inside = section(random)
      yield i, {"image": image[..., None], "label": inside.astype(np.uint8)[..., None], "gap": cells.gap(inside)[..., None]}


def section(random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
  """Returns an image uint8 [128, 128] and whether each pixel lies inside of a cell, bool [128, 128]."""
  from scipy import ndimage
  from scipy.spatial import cKDTree

  def smooth(sigma: float, spread: float) -> np.ndarray:
    field = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), sigma, mode="wrap")
    return spread * field / field.std()

  rows, columns = np.mgrid[:SIDE, :SIDE]
  bent = np.stack([rows + smooth(10, 3), columns + smooth(10, 3)], -1)
  seeds = random.uniform(-0.1 * SIDE, 1.1 * SIDE, size=(_CELLS, 2))
  distances, owners = cKDTree(seeds).query(bent, k=2)
  between = np.linalg.norm(seeds[owners[..., 0]] - seeds[owners[..., 1]], axis=-1)
  to_border = (distances[..., 1] ** 2 - distances[..., 0] ** 2) / (2 * between)  # from the line half way between two seeds
  inside = to_border > _THICKNESS

  grey = random.normal(165, 12, size=_CELLS)[owners[..., 0]] + smooth(6, 8)
  for row, column, radius, darkness in zip(*random.uniform(0, SIDE, size=(2, 20)), random.uniform(2, 5, 20),
                                           random.uniform(30, 90, 20), strict=True):
    grey -= darkness / (1 + np.exp(2 * (np.hypot(rows - row, columns - column) - radius)))
  membrane = 1 / (1 + np.exp(2.5 * (to_border - _THICKNESS)))
  grey -= membrane * np.clip(70 + smooth(8, 25), 10, None)
  noisy = ndimage.gaussian_filter(grey, 0.8) + random.normal(0, 14, size=(SIDE, SIDE))
  return np.clip(np.round(noisy), 0, 255).astype(np.uint8), inside
