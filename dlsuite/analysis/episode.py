"""A film of one test episode."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import film
from dlsuite.runs.files import Path

NEEDS = ("return", "episode")

_MOST = 500  # pictures
_EVERY = 2  # agent steps a picture


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Writes a GIF beside `path`, at half of the pixels a side.

  Args:
    task: a reinforcement task's, with a method `episode(frames)`.
    found: `return` of the test episodes [N].
    path: of the PNG that other analyses write.

  Returns:
    The least, the mean and the largest return of the test episodes.
  """
  pictures, _ = task.episode(_MOST)
  film([frame[::2, ::2] for frame in pictures[::_EVERY]], path.with_suffix(".gif"), milliseconds=40)
  returns = found["return"]
  return {"least": float(returns.min()), "mean": float(returns.mean()), "largest": float(returns.max())}
