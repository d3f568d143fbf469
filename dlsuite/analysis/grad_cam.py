"""Which places of the last feature maps speak for the predicted class."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing, evidence
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "preprocess")


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws test images over their heat maps; see `drawing.draw_evidence` for arguments and numbers."""
  return drawing.draw_evidence(task, found, path, evidence.grad_cam, "Grad-CAM, the last maps by their gradient",
                               "weight, share of the largest")
