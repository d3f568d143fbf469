"""Where a language model is surprised: the test text, each byte on the colour of its cost in bits."""

from typing import Any

import matplotlib
import numpy as np

from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("text", "bits")

_ROWS, _COLUMNS = 30, 88
_MOST = 8.0  # bits: what a byte costs without any model


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws the first lines of the test text.

  Args:
    task: a language model's.
    found: `text` uint8 [N] and `bits` [N] that each byte costs.
    path: of the PNG.
  """
  shown: list[tuple[int, int, int]] = []  # row, column, place in the text
  row = column = 0
  for i, byte in enumerate(found["text"]):
    if column == _COLUMNS:
      row, column = row + 1, 0
    if row == _ROWS:
      break
    shown.append((row, column, i))
    row, column = (row + 1, 0) if byte == ord("\n") else (row, column + 1)
  costs = np.full((_ROWS, _COLUMNS), np.nan)
  for r, c, i in shown:
    costs[r, c] = found["bits"][i]
  shades = matplotlib.colormaps["YlOrRd"].with_extremes(bad="white")
  with figure(path, size=(11, 6.4)) as (fig, axis):
    picture = axis.imshow(costs, cmap=shades, vmin=0, vmax=_MOST, aspect=1.9, alpha=0.85)
    for r, c, i in shown:
      character = chr(found["text"][i])
      if character.isprintable() and character != " ":
        axis.text(c, r, character, family="monospace", fontsize=8, ha="center", va="center", parse_math=False)
    axis.grid(visible=False)
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"{task.config.name}: what each byte of the test text costs (line ends coloured too)")
    fig.colorbar(picture, ax=axis, label=f"bits ({_MOST:.0f} and more: dark)", shrink=0.7)
  return {}
