"""Which classes are taken for which."""

from typing import Any

import numpy as np

from dlsuite.errors import ConfigError
from dlsuite.probes import drawing
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("label", "predicted", "probabilities", "num_classes")

_MOST_CLASSES = 30


def draw(task: Any, predictions: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws counts by true and predicted class, the diagonal left out of the colours so that mistakes show.

  Args:
    task: a classification task.
    predictions: `label` and `predicted`, [N].
    path: of the PNG.

  Raises:
    ConfigError: if there are too many classes to read.
  """
  classes = task.num_classes
  if classes > _MOST_CLASSES:
    raise ConfigError(f"{classes:,} classes; up to {_MOST_CLASSES} can be read")
  counts = np.zeros((classes, classes), int)
  np.add.at(counts, (predictions["label"], predictions["predicted"]), 1)
  names = drawing.class_names(task)
  mistakes = counts * (1 - np.eye(classes, dtype=int))
  side = 3 + 0.42 * classes
  with figure(path, size=(side + 0.6, side)) as (fig, axis):
    picture = axis.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1, mistakes.max()))
    for i in range(classes):
      for j in range(classes):
        if counts[i, j]:
          axis.text(j, i, counts[i, j], ha="center", va="center", fontsize=8,
                    color="white" if mistakes[i, j] > 0.6 * max(1, mistakes.max()) else "black",
                    fontweight="bold" if i == j else "normal")
    axis.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axis.set_yticks(range(classes), names)
    axis.grid(False)
    wrong, total = int(mistakes.sum()), int(counts.sum())
    axis.set(xlabel="predicted class", ylabel="true class",
             title=f"{task.config.name}: {wrong:,} of {total:,} test examples wrong ({100 * wrong / total:.2f}%)")
    fig.colorbar(picture, ax=axis, label="mistakes", shrink=0.7)
  return {}
