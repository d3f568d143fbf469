"""Laps that the network drives alone, and a film of the first."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import film
from dlsuite.runs.files import Path

NEEDS = ("steering", "drives")

_COMPLETE = 0.95  # of the tiles: CarRacing's own measure of a lap


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Writes a GIF beside `path`, at half of the pixels a side.

  Args:
    task: with a method `drives()`.
    found: what the task predicted on its test split.
    path: of the PNG that other analyses write.

  Returns:
    The least and the mean share of the tiles visited, the share of the tracks on which the lap was completed (95% of the
    tiles), and the share of the time that the car's middle was on the grass.
  """
  drives, pictures = task.drives()
  film([picture[::2, ::2] for picture in pictures], path.with_suffix(".gif"), milliseconds=80)
  visited = drives["visited"]
  return {"least_visited": float(visited.min()), "mean_visited": float(visited.mean()),
          "laps_completed": float((visited >= _COMPLETE).mean()), "off_road": float(drives["off_road"].mean())}
