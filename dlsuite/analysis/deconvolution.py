"""What the strongest answers of the feature maps look like in pixels."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.deconvolution import deconvnet, deconvolve
from dlsuite.probes.network import map_layers, outputs_of
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "preprocess")

_LAYERS, _MAPS, _SEARCHED = 4, 8, 200


def _window(pattern: np.ndarray, side: int) -> tuple[slice, slice]:
  """Returns a square of an image, as much of it as there is, that holds what is not zero of a pattern [H, W]."""
  def along(used: np.ndarray) -> slice:
    length = min(side, len(used))
    places = np.flatnonzero(used)
    middle = (places[0] + places[-1] + 1) // 2 if len(places) else len(used) // 2
    first = int(np.clip(middle - length // 2, 0, len(used) - length))
    return slice(first, first + length)

  return along(np.any(pattern, 1)), along(np.any(pattern, 0))


def _extent(pattern: np.ndarray) -> int:
  """Returns the longer side of what is not zero of a pattern [H, W]."""
  return max((int(np.ptp(np.flatnonzero(pattern.any(axis)))) + 1 for axis in (0, 1) if pattern.any()), default=1)


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws for up to four layers the strongest answer of eight maps in the first 200 test images, over the piece of image.

  Args:
    task: one whose network takes images.
    found: `image` uint8 [N, H, W, C].
    path: of the PNG.

  Returns:
    How many pixels a side the largest pattern of each layer has; None if there are no maps.
  """
  network = task.main_network
  if not drawing.are_images(found) or not (all_layers := map_layers(network)):
    return None
  # What a pooling sends back is what the layer before it sends.
  all_layers = [layer for layer in all_layers if "Pool" not in type(layer).__name__] or all_layers
  picked = [all_layers[i] for i in np.unique(np.linspace(0, len(all_layers) - 1, _LAYERS).round().astype(int))]
  images = drawing.seen(task, found["image"][:_SEARCHED])
  inputs = drawing.prepared(task, images)
  shown, numbers = [], {}
  with task.averaged():
    down = deconvnet(network)
    for layer, maps in zip(picked, outputs_of(network, [layer.output for layer in picked], inputs), strict=True):
      peaks = maps.max((1, 2))  # [N, D]
      channels = np.argsort(-peaks.max(0), kind="stable")[:_MAPS]
      of_image = peaks[:, channels].argmax(0)
      patterns = deconvolve(down, layer.name, inputs[of_image], channels)
      grey = np.abs(patterns).max(-1)
      side = max(map(_extent, grey))
      numbers[f"pixels_{layer.name}"] = float(side)
      shown.append((layer.name, side, channels, of_image, patterns, grey))
  with figure(path, 2 * len(shown), _MAPS, (10, 2.15 * len(shown) + 0.8)) as (fig, grid):
    axes = np.reshape(grid, (2 * len(shown), _MAPS))
    for axis in axes.ravel():
      axis.axis("off")
    for row, (name, side, channels, of_image, patterns, grey) in enumerate(shown):
      for column, (channel, i, pattern) in enumerate(zip(channels, of_image, patterns, strict=True)):
        window = _window(grey[column], side)
        piece, limit = pattern[window], float(np.abs(pattern).max()) or 1.0
        top, bottom = axes[2 * row, column], axes[2 * row + 1, column]
        if piece.shape[-1] == 1:
          top.imshow(piece[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit)
        else:
          top.imshow((piece / limit + 1) / 2)
        top.set_title(f"{name} {channel}" if not column else str(channel), fontsize=8, loc="center", pad=2)
        drawing.show(bottom, images[i][window])
        bottom.axis("on")
        bottom.spines[:].set(visible=True, color="#cccccc")  # a piece may be all white
    fig.suptitle(f"{task.config.name}: the strongest answer of each map in pixels, over the piece of a test image that "
                 "caused it", fontsize=11)
  return numbers
