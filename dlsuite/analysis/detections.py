"""What a detector finds in some test images, beside the truth."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.runs.figures import BLUE, GREEN, ORANGE, figure
from dlsuite.runs.files import Path

NEEDS = ("image", "boxes", "labels", "detected_boxes", "detected_labels", "detected_scores", "class_names")

_IMAGES = 3
_LEAST_SCORE = 0.3  # of what is drawn
_COLOURS = (ORANGE, BLUE, GREEN, "#CC79A7", "#F0E442", "#56B4E9", "#E69F00")  # Okabe & Ito 2008


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws test images with boxes, spread over the split: the truth on the left, on the right what was found with its score.

  Args:
    task: with `class_names`.
    found: what `Detection.predict` returns.
    path: of the PNG.

  Returns:
    How many boxes an image there are, and are found at the score from which they are drawn.
  """
  images, labels, scores = found["image"], found["labels"], found["detected_scores"]
  full = np.flatnonzero((labels >= 0).any(1))
  chosen = full[np.unique(np.linspace(0, len(full) - 1, min(_IMAGES, len(full))).round().astype(int))]
  names = task.class_names
  short, named = drawing.shortened(names), len(names) > len(_COLOURS)  # where classes share colours, each box says its class
  height, width = images.shape[1:3]
  size = (9, 0.9 + len(chosen) * (4.4 * height / width + 0.3))
  with figure(path, len(chosen), 2, size) as (fig, axes):
    for (left, right), i in zip(np.reshape(axes, (-1, 2)), chosen, strict=True):
      for axis in (left, right):
        axis.imshow(images[i] if images.shape[-1] == 3 else images[i, ..., 0], cmap="gray", vmin=0, vmax=255)
        axis.axis("off")
      true, sure = np.flatnonzero(labels[i] >= 0), np.flatnonzero(scores[i] >= _LEAST_SCORE)
      for j in true:
        label = int(labels[i, j])
        _box(left, found["boxes"][i, j], label, short[label] if named else "")
      for j in sure:
        label, score = int(found["detected_labels"][i, j]), f"{100 * scores[i, j]:.0f}"
        _box(right, found["detected_boxes"][i, j], label, f"{short[label]} {score}" if named else score)
      left.set_title(f"test image {i}: {len(true)} true", fontsize=10)
      right.set_title(f"{len(sure)} found, with their scores in %", fontsize=10)
    if not named:
      handles = [fig.axes[0].plot([], [], color=colour, linewidth=2, label=name)[0]
                 for colour, name in zip(_COLOURS, names, strict=False)]
      fig.legend(handles=handles, loc="outside lower center", ncols=len(names))
    fig.suptitle(f"{task.config.name}: boxes of the truth and of the network (score of {100 * _LEAST_SCORE:.0f}% or more)",
                 fontsize=11)
  return {"true_an_image": float((labels >= 0).sum(1).mean()), "found_an_image": float((scores >= _LEAST_SCORE).sum(1).mean())}


def _box(axis: Any, box: np.ndarray, label: int, text: str) -> None:
  top, left, bottom, right = box - 0.5  # a pixel's middle has its number
  colour = _COLOURS[label % len(_COLOURS)]
  axis.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, linewidth=1.5)
  if text:
    axis.text(left, top, text, fontsize=7, color="white", va="top",
              bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.9})
