"""By how much the odds of the predicted class fall where the image is hidden."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing, evidence
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "preprocess")


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws test images over their heat maps; see `drawing.draw_evidence` for arguments and numbers."""
  return drawing.draw_evidence(task, found, path, evidence.occlusion, "occlusion, the fall of the log odds by a hidden square",
                               "fall, share of the largest", signed=True)
