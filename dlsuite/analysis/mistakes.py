"""The mistakes of which the network is surest."""

from typing import Any

import numpy as np

from dlsuite.errors import ConfigError
from dlsuite.probes import drawing
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities")

_ROWS, _COLUMNS = 4, 6


def draw(task: Any, predictions: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws the wrongly classified images with the highest probability for the wrong class.

  Args:
    task: a classification task.
    predictions: `image` [N, H, W, C], `label`, `predicted` [N], `probabilities` [N, classes].
    path: of the PNG.

  Returns:
    No numbers; None if the examples are no images.

  Raises:
    ConfigError: if there is no mistake.
  """
  if not drawing.are_images(predictions):
    return None
  wrong = np.flatnonzero(predictions["label"] != predictions["predicted"])
  if not len(wrong):
    raise ConfigError(f"there is none among {len(predictions['label']):,} test images")
  surest = predictions["probabilities"].max(-1)[wrong]
  chosen = wrong[np.argsort(-surest, kind="stable")][: _ROWS * _COLUMNS]
  names = drawing.shortened(drawing.class_names(task))
  rows = -(-len(chosen) // _COLUMNS)
  with figure(path, rows, _COLUMNS, (8, 0.8 + 1.75 * rows)) as (fig, grid):
    axes = np.ravel(grid)
    for axis in axes[len(chosen):]:
      axis.axis("off")
    for axis, i in zip(axes, chosen, strict=False):
      drawing.show(axis, predictions["image"][i])
      sure = predictions["probabilities"][i].max()
      axis.set_title(f"{names[predictions['label'][i]]} →\n{names[predictions['predicted'][i]]}  {100 * sure:.1f}%",
                     fontsize=9, loc="center")
    fig.suptitle(f"{task.config.name}: the surest of {len(wrong)} mistakes (true → predicted, probability)", fontsize=11)
  return {}
