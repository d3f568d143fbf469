"""Splits and mergers of cells: the Rand error of the network's cells by the threshold on its probability.

The challenge's warping error (Jain et al. 2010) is in no library for Python, and so is not measured.
"""

from typing import Any

import numpy as np

from dlsuite.metrics import segmentation as measures
from dlsuite.runs.figures import BLUE, GREEN, ORANGE, figure
from dlsuite.runs.files import Path

NEEDS = ("label", "probability", "foreground")

_THRESHOLDS = np.linspace(0.05, 0.95, 19)
_TWO = 2


def curve(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
  """Returns the mean Rand error of some images by threshold, [T].

  Args:
    truth: bool [N, H, W], true inside of cells.
    probability: [N, H, W], of lying inside.
  """
  return np.array([np.mean([measures.adapted_rand_error(t, p > threshold) for t, p in zip(truth, probability, strict=True)])
                   for threshold in _THRESHOLDS])


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws the error over the threshold, validation and test split; cells are what is not the foreground's membrane.

  Args:
    task: a segmentation's with two classes; the one that is not its foreground is the inside of cells.
    found: `label` [N, H, W, 1] and `probability` [N, H, W, 2]; the same as `valid_label` and `valid_probability` if there is
      a validation split.
    path: of the PNG.

  Returns:
    `rand_error` of the test images at the threshold that is best on the validation images (one half without those), and
    `least_rand_error`, at the best one of all, as the challenge counts; None if there are not two classes.

  Raises:
    ConfigError: if scikit-image is missing.
  """
  if task.num_classes != _TWO:
    return None
  cell = 1 - task.foreground
  curves = {"test": curve(found["label"][..., 0] == cell, found["probability"][..., cell])}
  if "valid_label" in found:
    curves["valid"] = curve(found["valid_label"][..., 0] == cell, found["valid_probability"][..., cell])
  chosen = int(curves["valid"].argmin()) if "valid" in curves else len(_THRESHOLDS) // 2
  numbers = {"rand_error": float(curves["test"][chosen]), "least_rand_error": float(curves["test"].min()),
             "threshold": float(_THRESHOLDS[chosen])}
  with figure(path) as (_, axis):
    for name, colour in (("valid", ORANGE), ("test", BLUE)):
      if name in curves:
        axis.plot(_THRESHOLDS, curves[name], "o-", color=colour, label=name, markersize=4)
    axis.plot(_THRESHOLDS[chosen], numbers["rand_error"], "*", color=GREEN, markersize=13, zorder=5,
              label="threshold chosen on valid" if "valid" in curves else "threshold one half")
    axis.set(xlabel="a pixel is inside of a cell above this probability", ylabel="adapted Rand error (0 is best)",
             ylim=(0, None),
             title=f"{task.config.name}: Rand error {numbers['rand_error']:.3f}, mean of {len(found['label'])} test images")
    axis.legend()
  return numbers
