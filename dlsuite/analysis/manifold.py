"""What the decoder makes of a grid of codes in the plane."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import figure, tiles
from dlsuite.runs.files import Path

NEEDS = ("code", "decode")

_SIDE = 15


def _labels(places: np.ndarray, codes: np.ndarray) -> list[str]:
  return [f"{v:.1f}".replace("-0.0", "0.0") for v in np.interp(places, (np.arange(_SIDE) + 0.5) / _SIDE, codes)]


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws the decoded grid: of a variational code the normal's quantiles (Kingma & Welling 2014, figure 4), else the range
  that holds 96% of the test codes.

  Args:
    task: an autoencoder's.
    found: `code` [N, Z]; `mean` is there if the code is variational.
    path: of the PNG.

  Returns:
    None if the code has not two numbers.
  """
  from scipy.stats import norm

  if found["code"].shape[1] != 2:
    return None
  shares = np.linspace(0.02, 0.98, _SIDE)
  if "mean" in found:
    columns = rows = norm.ppf(shares)
  else:
    low, high = np.quantile(found["code"], [0.02, 0.98], axis=0)
    columns, rows = (np.linspace(low[i], high[i], _SIDE) for i in (0, 1))
  grid = np.stack(np.meshgrid(columns, rows[::-1]), -1).reshape(-1, 2)
  with figure(path, size=(8, 8)) as (_, axis):
    axis.imshow(tiles(task.decode(grid), _SIDE), extent=(0, 1, 0, 1))
    places = np.linspace(0.5, _SIDE - 0.5, 5) / _SIDE
    axis.set_xticks(places, _labels(places, columns))
    axis.set_yticks(places, _labels(places, rows))
    axis.grid(visible=False)
    axis.set(xlabel="code 1", ylabel="code 2", title=f"{task.config.name}: the decoded plane of codes")
  return {}
