"""`isbi2012_em`: 60 sections of a fly's nerve cord under the electron microscope, of 30 of which the membranes are known.

The challenge of ISBI 2012: Arganda-Carreras et al. 2015, "Crowdsourcing the creation of image segmentation algorithms for
connectomics", Frontiers in Neuroanatomy 9:142. Two stacks of 30 consecutive sections of 2 x 2 x 1.5 micrometres, 4 x 4 x 50
nanometres a pixel; the labels of the second stack were never published.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dlsuite.data import cells

_ROOT = "https://raw.githubusercontent.com/zhixuhao/unet/b45af4d458437d8281cc218a07fd4380818ece4a/data/membrane"
SECTIONS, SIDE = 30, 512


class Builder(tfds.core.GeneratorBasedBuilder):
  """Images uint8 [512, 512, 1], `label` 0 (membrane) or 1 (cell), `gap` (see `cells.gap`), in the order of the stack.

  The sections of `unlabelled` have labels of 0 that mean nothing.
  """

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    shape = (SIDE, SIDE, 1)
    return self.dataset_info_from_configs(
      description="Serial-section electron microscopy of the ventral nerve cord of a first-instar Drosophila larva.",
      features=tfds.features.FeaturesDict({
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.LabeledImage(labels=["membrane", "cell"], shape=shape),
        "gap": tfds.features.Image(shape=shape),
      }),
      supervised_keys=("image", "label"),
      homepage="https://imagej.net/events/isbi-2012-segmentation-challenge",
      metadata=tfds.core.MetadataDict(unlabelled=["unlabelled"]),
      disable_shuffling=True,  # neighbouring sections look alike: a split must be able to take them in a row
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    names = [f"{folder}/{i}" for folder in ("train/image", "train/label", "test") for i in range(SECTIONS)]
    paths = dl_manager.download({name: f"{_ROOT}/{name}.png" for name in names})
    return {
      "train": self._generate_examples([(paths[f"train/image/{i}"], paths[f"train/label/{i}"]) for i in range(SECTIONS)]),
      "unlabelled": self._generate_examples([(paths[f"test/{i}"], None) for i in range(SECTIONS)]),
    }

  def _generate_examples(self, pairs: list[tuple[Any, Any]]) -> Iterator[tuple[int, dict]]:
    for i, (image, truth) in enumerate(pairs):
      inside = _pixels(truth) > 127 if truth else np.zeros((SIDE, SIDE, 1), bool)
      yield i, {"image": _pixels(image), "label": inside.astype(np.uint8), "gap": cells.gap(inside[..., 0])[..., None]}


def _pixels(path: Any) -> np.ndarray:
  from PIL import Image

  with path.open("rb") as f:
    return np.asarray(Image.open(f).convert("L"))[..., None]
