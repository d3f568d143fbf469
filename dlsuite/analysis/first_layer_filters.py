"""What the first layer looks for: the filters of a convolution, or the weights of a dense layer drawn as images."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("input_shape",)

_MOST = 64


def draw(task: Any, predictions: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws each filter of the first layer with a kernel, at most 64; of several channels that are not colours the first.

  Returns:
    None if no layer's kernel can be drawn as images.
  """
  network = task.main_network
  for layer in network.layers:
    kernel = getattr(layer, "kernel", None)
    if kernel is not None and len(kernel.shape) in (2, 3, 4):
      break
  else:
    return None
  values = np.asarray(kernel.numpy(), np.float32)
  if values.ndim == 2:
    if values.shape[0] != np.prod(task.input_shape):
      return None
    values = values.reshape(*task.input_shape, -1)
  values = values if values.ndim == 4 else values[:, :, None, :]
  channels, count = values.shape[2], min(values.shape[3], _MOST)
  as_colour = channels == 3
  pictures = [values[..., i] for i in range(count)] if as_colour else [values[:, :, 0, i] for i in range(count)]
  limit = float(np.abs(values[..., :count]).max()) or 1.0
  columns = min(8, count)
  rows = -(-count // columns)
  with figure(path, rows, columns, (1.15 * columns + 1, 1.2 * rows + 0.9)) as (fig, axes):
    grid = np.atleast_1d(axes).ravel()
    for axis in grid:
      axis.axis("off")
    for i, (axis, picture) in enumerate(zip(grid, pictures, strict=False)):
      if as_colour:
        axis.imshow((picture / limit + 1) / 2)
      else:
        shown = axis.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
      axis.set_title(str(i), fontsize=8, loc="center")
    if not as_colour:
      fig.colorbar(shown, ax=axes, label="weight", shrink=0.9)
    fig.suptitle(f"{task.config.name}: {count} filters of {layer.name} ({values.shape[0]}x{values.shape[1]})", fontsize=11)
  return {}
