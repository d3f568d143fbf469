"""Videos frame by frame, with what the network takes them for."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.runs.figures import ORANGE, figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities")

_ROWS, _FRAMES = 8, 8


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws the first test video of each class, at most eight of them and eight frames of each.

  Args:
    task: a classification task.
    found: `image` uint8 [N, T, H, W, C], `label`, `predicted` [N], `probabilities` [N, K].
    path: of the PNG.

  Returns:
    The test accuracy of the class that is recognised least; None if the examples are no videos.
  """
  videos, labels = found["image"], found["label"]
  if videos.ndim != 5:
    return None
  right = labels == found["predicted"]
  accuracies = {int(label): float(right[labels == label].mean()) for label in np.unique(labels)}
  rows = np.unique(labels, return_index=True)[1][:_ROWS]
  frames = np.unique(np.linspace(0, videos.shape[1] - 1, _FRAMES).round().astype(int))
  names = drawing.class_names(task)
  with figure(path, len(rows), len(frames), (1.0 * len(frames) + 2.4, 1.05 * len(rows) + 0.7)) as (fig, grid):
    axes = np.reshape(grid, (len(rows), len(frames)))
    for row, i in enumerate(rows):
      for axis, frame in zip(axes[row], frames, strict=True):
        drawing.show(axis, videos[i, frame])
        axis.spines[:].set_visible(True)
        axis.spines[:].set_color("#cccccc")
        if not row:
          axis.set_title(f"frame {frame + 1}", fontsize=9, loc="center")
      guess = f"taken for {names[found['predicted'][i]]}, {100 * found['probabilities'][i].max():.0f}%"
      axes[row, 0].set_ylabel(f"{names[labels[i]]}\n{guess}", rotation=0, ha="right", va="center", fontsize=9,
                              color="black" if right[i] else ORANGE)
    worst = min(accuracies, key=accuracies.__getitem__)
    fig.suptitle(f"{task.config.name}: {100 * right.mean():.1f}% of {len(labels):,} test videos right; least, "
                 f"{names[worst]}: {100 * accuracies[worst]:.1f}%", fontsize=11)
  return {"least_accuracy": accuracies[worst]}
