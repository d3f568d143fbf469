"""Which pixels the logit of the predicted class is most sensitive to."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing, evidence
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "preprocess")


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws test images over their heat maps; see `drawing.draw_evidence` for arguments and numbers."""
  return drawing.draw_evidence(task, found, path, evidence.saliency, "saliency, the gradient of the predicted class's logit",
                               "gradient's size, share of the largest")
