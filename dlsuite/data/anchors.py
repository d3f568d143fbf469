"""Anchors: the few box sizes that most boxes of a training split are like."""

import numpy as np

_STARTS = 20  # of which the best is taken
_ROUNDS = 300


def likeness(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
  """Returns the intersection over union of sizes [N, 2] with anchors [K, 2] that are laid upon them, [N, K]."""
  shared = np.minimum(sizes[:, np.newaxis], anchors).prod(-1)
  return shared / (sizes.prod(-1)[:, np.newaxis] + anchors.prod(-1) - shared)


def find(sizes: np.ndarray, count: int) -> tuple[np.ndarray, float]:
  """Returns `count` anchors [count, 2], the smallest first, and the mean likeness of a size to the anchor most like it.

  They are the same whenever they are asked for; the first ones are sizes of the data.

  Args:
    sizes: heights and widths [N, 2], above 0.
    count: at most as many as there are different sizes.

  Raises:
    ValueError: if there are fewer different sizes.

  Source: Redmon & Farhadi 2017, "YOLO9000", section 2, "Dimension clusters": k-means whose distance is 1 less the likeness.
  """
  different = np.unique(sizes, axis=0)
  if len(different) < count:
    raise ValueError(f"{count} anchors were asked for, but the boxes have {len(different)} different sizes")
  random, best, found = np.random.RandomState(0), -1.0, different[:count]
  for _ in range(_STARTS):
    anchors = different[random.choice(len(different), count, replace=False)]
    for _ in range(_ROUNDS):
      nearest = likeness(sizes, anchors).argmax(1)
      moved = np.stack([sizes[nearest == k].mean(0) if (nearest == k).any() else anchors[k] for k in range(count)])
      if np.array_equal(moved, anchors):
        break
      anchors = moved
    mean = float(likeness(sizes, anchors).max(1).mean())
    if mean > best:
      best, found = mean, anchors
  return found[np.argsort(found.prod(-1))], best
