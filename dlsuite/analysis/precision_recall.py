"""How much of what is found is right, against how much of what is there is found, a curve for each class."""

from typing import Any

import numpy as np

from dlsuite.metrics.detection import precision_curves
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("boxes", "labels", "detected_boxes", "detected_labels", "detected_scores", "class_names")

_MOST_CLASSES = 20


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws precision over recall at an overlap of 0.5, as pycocotools counts them; with more than 20 classes nothing.

  Args:
    task: with `class_names`.
    found: what `Detection.predict` returns.
    path: of the PNG.

  Returns:
    The average precision of each class of which there is a box.
  """
  names = task.class_names
  recalls, curves = precision_curves(found, len(names))
  numbers = {name: float(curve.mean()) for name, curve in zip(names, curves, strict=True) if curve[0] >= 0}  # -1: without a box
  if len(names) > _MOST_CLASSES:
    return numbers
  with figure(path, size=(7.5, 5.5)) as (_, axis):
    for name, curve, style in zip(names, curves, ("-", "--", "-.", ":") * _MOST_CLASSES, strict=False):
      if name not in numbers:
        continue
      count = int((found["labels"] == names.index(name)).sum())
      axis.plot(recalls, curve, style, label=f"{name}: {numbers[name]:.3f}  ({count:,} boxes)")
    axis.set(xlabel="recall: share of the true boxes that are found", ylabel="precision: share of what is found that is right",
             xlim=(0, 1.01), ylim=(0, 1.02), title=f"{task.config.name}: the test split, right from an overlap of 0.5")
    axis.legend(title="average precision", loc="lower left")
  return numbers
