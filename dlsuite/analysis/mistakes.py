"""The mistakes of which the network is surest."""

from typing import Any

import numpy as np

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
    None if there is no mistake.
  """
  wrong = np.flatnonzero(predictions["label"] != predictions["predicted"])
  if not len(wrong):
    return None
  surest = predictions["probabilities"].max(-1)[wrong]
  chosen = wrong[np.argsort(-surest, kind="stable")][: _ROWS * _COLUMNS]
  names = task.builder.info.features[task.config.data.features["label"]].names
  rows = -(-len(chosen) // _COLUMNS)
  with figure(path, rows, _COLUMNS, (8, 0.8 + 1.75 * rows)) as (fig, axes):
    for axis in np.atleast_1d(axes).ravel():
      axis.axis("off")
    for axis, i in zip(np.atleast_1d(axes).ravel(), chosen, strict=False):
      image = predictions["image"][i]
      axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r", vmin=0, vmax=255)
      sure = predictions["probabilities"][i].max()
      axis.set_title(f"{names[predictions['label'][i]]} →\n{names[predictions['predicted'][i]]}  {100 * sure:.1f}%",
                     fontsize=9, loc="center")
    fig.suptitle(f"{task.config.name}: the surest of {len(wrong)} mistakes (true → predicted, probability)", fontsize=11)
  return {}
