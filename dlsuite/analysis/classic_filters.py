"""Filters that people made, beside those that the first layer learnt, on the same image."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.network import map_layers, outputs_of
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "preprocess")

_COLUMNS = 7


def classic(image: np.ndarray) -> dict[str, np.ndarray]:
  """Returns what the classic filters make of a grey image, by their names.

  Args:
    image: float [H, W].

  Returns:
    float [H, W] each: blur (a normal distribution of one pixel), median of 3x3, edges (size of Sobel's gradient), high-pass
    (the image without its blur), dilation and erosion (maximum and minimum of 3x3).
  """
  from scipy import ndimage

  blur = ndimage.gaussian_filter(image, 1.0)
  return {"blur": blur, "median": ndimage.median_filter(image, 3),
          "edges": np.hypot(ndimage.sobel(image, 0), ndimage.sobel(image, 1)), "high-pass": image - blur,
          "dilation": ndimage.grey_dilation(image, (3, 3)), "erosion": ndimage.grey_erosion(image, (3, 3))}


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws two test images through both kinds of filters.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C], `label`, `predicted` [N], `probabilities` [N, K].
    path: of the PNG.

  Returns:
    No numbers; None if there are no maps.
  """
  network = task.main_network
  if not drawing.are_images(found) or not (layers := map_layers(network)):
    return None
  images = found["image"][drawing.chosen(found)[:2]]
  with task.averaged():
    (maps,) = outputs_of(network, [layers[0].output], drawing.prepared(task, images))
  strongest = np.argsort(-np.abs(maps).max((0, 1, 2)), kind="stable")[:_COLUMNS - 1]
  with figure(path, 2 * len(images), _COLUMNS, (9.5, 2.9 * len(images) + 0.6)) as (fig, grid):
    axes = np.reshape(grid, (2 * len(images), _COLUMNS))
    for axis in axes.ravel():
      axis.axis("off")
    for i, image in enumerate(images):
      drawing.show(axes[2 * i, 0], image)
      axes[2 * i, 0].set_title("image", fontsize=9, loc="center", pad=2)
      for axis, (name, values) in zip(axes[2 * i, 1:], classic(image.mean(-1)).items(), strict=True):
        low = float(values.min()) if name != "high-pass" else -float(np.abs(values).max())
        axis.imshow(values, cmap="gray_r" if name != "high-pass" else "RdBu_r", vmin=low, vmax=-low if low < 0 else None)
        axis.set_title(name, fontsize=9, loc="center", pad=2)
      for axis, channel in zip(axes[2 * i + 1, 1:], strongest, strict=False):
        values, limit = maps[i, ..., channel], float(np.abs(maps[..., channel]).max()) or 1.0
        signed = values.min() < 0
        axis.imshow(values, cmap="RdBu_r" if signed else "gray_r", vmin=-limit if signed else 0, vmax=limit)
        axis.set_title(f"{layers[0].name} {channel}", fontsize=9, loc="center", pad=2)
    fig.suptitle(f"{task.config.name}: filters that people made, and below what {layers[0].name} learnt", fontsize=11)
  return {}
