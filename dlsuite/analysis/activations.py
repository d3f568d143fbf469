"""What the layers make of one image."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.network import map_layers, outputs_of
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "preprocess")

_ROWS, _COLUMNS = 6, 8


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws the strongest maps of up to six layers, from the first to the last, of the first test image that is right.

  Args:
    task: one whose network takes images.
    found: `image` uint8 [N, H, W, C]; of a classification task also `label`, `predicted` [N] and `probabilities` [N, K].
    path: of the PNG.

  Returns:
    The share of zeros in the maps over the first hundred test images, by layer; None if there are no maps.
  """
  network = task.main_network
  if not drawing.are_images(found) or not (layers := map_layers(network)):
    return None
  layers = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, _ROWS).round().astype(int))]
  images = drawing.seen(task, found["image"][[drawing.first(found), *range(min(100, len(found["image"])))]])
  with task.averaged():
    outputs = outputs_of(network, [layer.output for layer in layers], drawing.prepared(task, images))
  with figure(path, len(layers), _COLUMNS + 1, (10, 1.15 * len(layers) + 0.7)) as (fig, grid):
    axes = np.reshape(grid, (len(layers), _COLUMNS + 1))
    for axis in axes.ravel():
      axis.axis("off")
    for row, (layer, values) in enumerate(zip(layers, outputs, strict=True)):
      maps = values[0]
      order = np.argsort(-np.abs(maps).max((0, 1)), kind="stable")[:_COLUMNS]
      name = f"{layer.name}\n{maps.shape[0]}x{maps.shape[1]}x{maps.shape[2]}"
      if not row:
        axes[0, 0].axis("on")
        drawing.show(axes[0, 0], images[0])
        axes[0, 0].set_xlabel(name, fontsize=8)
      else:
        axes[row, 0].text(0.5, 0.5, name, fontsize=8, ha="center", va="center", transform=axes[row, 0].transAxes)
      limit = float(np.abs(maps).max()) or 1.0
      shades = {"cmap": "RdBu_r", "vmin": -limit} if maps.min() < 0 else {"cmap": "viridis", "vmin": 0}
      for axis, i in zip(axes[row, 1:], order, strict=False):
        axis.imshow(maps[..., i], vmax=limit, **shades)
        axis.set_title(str(i), fontsize=8, loc="center", pad=2)
    fig.suptitle(f"{task.config.name}: the strongest maps of each layer, bright where they answer", fontsize=11)
  return {f"zeros_{layer.name}": float(np.mean(values[1:] == 0)) for layer, values in zip(layers, outputs, strict=True)}
