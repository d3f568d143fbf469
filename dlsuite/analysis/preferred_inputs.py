"""What each class would like to see: images made by climbing the gradient of its logit."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.network import logits
from dlsuite.probes.preferred import preferred_inputs
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "probabilities", "num_classes", "preprocess")

_MOST = 10  # classes
_PENALTY = 0.02  # a squared quarter of the pixels' range: leaves those grey which speak neither for the class nor against it


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws an image for each of the first ten classes, within the range of pixels.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C], for its shape.
    path: of the PNG.

  Returns:
    The mean probability of the classes for their images; None if the examples are no images.
  """
  if not drawing.are_images(found):
    return None
  network, classes = task.main_network, np.arange(min(task.num_classes, _MOST))
  ends = np.stack([np.zeros_like(found["image"][0]), np.full_like(found["image"][0], 255)])
  low, high = drawing.prepared(task, ends)[:, 0, 0]  # [C] each
  with task.averaged():
    liked = preferred_inputs(network, classes, low, high, _PENALTY, unit=(high - low) / 4)
    scores = logits(network, liked)
  log_probabilities = (scores - np.logaddexp.reduce(scores, 1, keepdims=True))[classes, classes]
  pixels = np.round(255 * (liked - low) / (high - low)).astype(np.uint8)
  columns, names = min(5, len(classes)), drawing.shortened(drawing.class_names(task))
  rows = -(-len(classes) // columns)
  with figure(path, rows, columns, (8, 1.75 * rows + 0.8)) as (fig, grid):
    axes = np.ravel(grid)
    for axis in axes[len(classes):]:
      axis.axis("off")
    for axis, image, label in zip(axes, pixels, classes, strict=False):
      drawing.show(axis, image)
      axis.set_title(f"{names[label]}, {100 * np.exp(log_probabilities[label]):.0f}%", fontsize=10, loc="center")
    fig.suptitle(f"{task.config.name}: the image that each class likes best, and its probability", fontsize=11)
  return {"probability": float(np.exp(log_probabilities).mean())}
