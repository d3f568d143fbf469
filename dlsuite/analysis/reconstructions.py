"""Images, what an autoencoder makes of them, and what as many principal components make of them."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "reconstruction", "code")

_SHOWN = 10


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws the first test image of each class over its reconstructions.

  Args:
    task: an autoencoder's.
    found: `image` uint8 and `reconstruction` [N, H, W, C], `code` [N, Z], `label` [N] if there is one.
    path: of the PNG.

  Returns:
    Mean squared error an image (summed over the pixels) of both, test split; PCA is fitted to the training split.
  """
  from sklearn.decomposition import PCA

  images = found["image"] / 255.0
  flat = images.reshape(len(images), -1)
  train = task.arrays("train")["image"].reshape(-1, flat.shape[1]) / np.float32(255.0)
  code_size = found["code"].shape[1]
  size = min(code_size, flat.shape[1], len(train))
  pca = PCA(size, svd_solver="covariance_eigh").fit(train)
  linear = pca.inverse_transform(pca.transform(flat)).reshape(images.shape)
  numbers = {"network_squared_error": float(np.square(images - found["reconstruction"]).sum((1, 2, 3)).mean()),
             "pca_squared_error": float(np.square(images - linear).sum((1, 2, 3)).mean())}
  chosen = np.unique(found["label"], return_index=True)[1] if "label" in found else np.arange(len(images))
  chosen = chosen[:_SHOWN]
  rows = (("test image", images), (f"network, {code_size} numbers", found["reconstruction"]),
          (f"PCA, {size} components", linear))
  with figure(path, len(rows), len(chosen), (10, 3.6)) as (fig, grid):
    axes = np.reshape(grid, (len(rows), len(chosen)))  # one image makes it flat
    for row, (name, pictures) in enumerate(rows):
      for column, i in enumerate(chosen):
        axis = axes[row, column]
        axis.imshow(np.clip(pictures[i].squeeze(), 0, 1), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
      axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    fig.suptitle(f"{task.config.name}: squared error an image {numbers['network_squared_error']:.3g} (network), "
                 f"{numbers['pca_squared_error']:.3g} (PCA)", fontsize=12)
  return numbers
