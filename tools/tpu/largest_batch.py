"""The largest batch that fits, with as few compilations as the border allows; no TensorFlow import."""

import dataclasses
import math
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Border:
  """Where a program stops fitting.

  Attributes:
    largest: global batch that fits; 0 if not even the smallest does.
    next: the smallest tried that does not; 0 if the search stopped at its limit without one.
    tried: {batch: peak bytes, or None where it did not fit}, in the order of trying.
  """

  largest: int
  next: int
  tried: dict[int, float | None]


def search(peak_of: Callable[[int], float | None], unit: int, start: int, hbm: float, limit: int, tolerance: float = 0.0
           ) -> Border:
  """Finds the border.

  The peak grows nearly linearly with the batch, so the line through the last two that fit tells where to look next; this
  and halving take turns. Both ends are tried themselves, so that the answer holds at the border whatever the curve does
  elsewhere.

  Args:
    peak_of: compiles at a batch; returns the peak in bytes, or None if it does not fit.
    unit: every batch is a multiple of it.
    start: the first batch tried.
    hbm: bytes of memory, towards which the line is drawn.
    limit: no batch above is tried.
    tolerance: how far apart the ends may stay, as a share of the largest that fits; 0: one unit.
  """
  tried: dict[int, float | None] = {}
  most, low, high = max(1, limit // unit), 0, 0  # in units: `low` fits, or is 0; `high` does not, or is 0
  guess, by_line = min(most, max(1, start // unit)), True
  while not high or high - low > max(1.0, tolerance * low):
    tried[guess * unit] = peak_of(guess * unit)
    if tried[guess * unit] is None:
      high = guess
    else:
      low = guess
    if low == most:
      break
    line = _on_the_line(tried, unit, hbm)
    if not high:
      guess = min(most, max(2 * low, min(line, 64 * low)))
    else:
      guess = line if by_line and low < line < high else (low + high) // 2
      by_line = not by_line
  return Border(low * unit, high * unit, tried)


def _on_the_line(tried: dict[int, float | None], unit: int, hbm: float) -> int:
  """Returns how many units reach `hbm` on the line through the two largest batches that fit; 0 if there is no line."""
  points = sorted((batch, peak) for batch, peak in tried.items() if peak is not None)[-2:]
  if len(points) < 2:
    return 0
  (b0, p0), (b1, p1) = points
  slope = (p1 - p0) / (b1 - b0)
  return math.floor((b1 + (hbm - p1) / slope) / unit) if slope > 0 else 0
