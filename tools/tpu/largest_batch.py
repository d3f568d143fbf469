"""The largest batch that fits, with as few compilations as the border allows; no TensorFlow import."""

import dataclasses
import math
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Need:
  """What a program of one batch needs of the memory.

  Attributes:
    fits: whether it compiles and fits.
    bytes: that it needs, as far as they are known; else 0.
  """

  fits: bool
  bytes: float = 0.0


@dataclasses.dataclass(frozen=True)
class Border:
  """Where a program stops fitting.

  Attributes:
    largest: global batch that fits; 0 if not even the smallest does.
    next: the smallest tried that does not; 0 if the search stopped at its limit without one.
    tried: by batch, in the order of trying.
  """

  largest: int
  next: int
  tried: dict[int, Need]


def search(need_of: Callable[[int], Need], unit: int, start: int, hbm: float, limit: int, tolerance: float = 0.0) -> Border:
  """Finds the border.

  The need grows nearly linearly with the batch, so a line through what is known tells where to look next; near a known end
  the steps grow from one unit, and every fourth try halves. Both ends are tried themselves, so that the answer holds at
  the border whatever the curve does elsewhere.

  Args:
    need_of: compiles at a batch.
    unit: every batch is a multiple of it.
    start: the first batch tried.
    hbm: bytes of memory that can be had, towards which the line is drawn.
    limit: no batch above is tried.
    tolerance: how far apart the ends may stay, as a share of the largest that fits; 0: one unit.
  """
  tried: dict[int, Need] = {}
  most, low, high = max(1, limit // unit), 0, 0  # in units: `low` fits, or is 0; `high` does not, or is 0
  guess, turn, reach = min(most, max(1, start // unit)), 0, 1
  while not high or high - low > max(1.0, tolerance * low):
    tried[guess * unit] = need_of(guess * unit)
    if tried[guess * unit].fits:
      low = guess
    else:
      high = guess
    if low == most:
      break
    line = _on_the_line(tried, low * unit, high * unit, hbm) // unit
    end = high or 64 * low
    if high and (not line or turn % 4 == 3):
      guess = (low + high) // 2
    elif not line:
      guess = 2 * low
    elif low < line < end:
      guess, reach = line, 1
    else:  # the line ends at a border that is known: the true one is near it
      guess, reach = (low + reach if line <= low else end - reach), 2 * reach
    turn += bool(high)
    guess = min(max(guess, low + 1), high - 1 if high else most)
  return Border(low * unit, high * unit, tried)


def _on_the_line(tried: dict[int, Need], low: int, high: int, hbm: float) -> int:
  """Returns the batch that needs `hbm`, on the line through both ends or else through the two largest that fit; 0: no line."""
  points = [(batch, tried[batch].bytes) for batch in (low, high) if batch and tried[batch].bytes]
  if len(points) < 2 or points[0][1] >= points[1][1]:
    points = sorted((batch, need.bytes) for batch, need in tried.items() if need.fits)[-2:]
  if len(points) < 2:
    return 0
  (b0, n0), (b1, n1) = points
  slope = (n1 - n0) / (b1 - b0)
  return math.floor(b1 + (hbm - n1) / slope) if slope > 0 else 0
