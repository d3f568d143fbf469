"""How near to two cells at once a pixel between them lies: what the border weights of segmentation are made of."""

import numpy as np

QUARTERS = 4  # the numbers are in quarters of a pixel
FAR = 255  # stands for a pixel inside a cell, or one with no two cells within `FAR / QUARTERS` pixels together


def gap(cells: np.ndarray) -> np.ndarray:
  """Returns the distance to the nearest cell plus that to the second nearest, of each pixel between cells.

  Args:
    cells: bool [H, W], true inside of cells; two cells are one where they share a pixel's side.

  Returns:
    uint8 [H, W], in quarters of a pixel, at most `FAR`; `FAR` inside of cells. A cell's distance is that to the middle of
    its nearest pixel.

  Source: Ronneberger, Fischer & Brox 2015, equation 2: d1 + d2.
  """
  from scipy import ndimage

  reach = FAR // QUARTERS + 1
  nearest, second = (np.full(cells.shape, np.inf) for _ in range(2))
  labels, _ = ndimage.label(cells)
  for number, box in enumerate(ndimage.find_objects(labels), 1):
    window = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in box)
    distance = ndimage.distance_transform_edt(labels[window] != number)
    second[window] = np.minimum(second[window], np.maximum(nearest[window], distance))
    nearest[window] = np.minimum(nearest[window], distance)
  both = np.where(cells, np.inf, nearest + second)
  return np.minimum(np.round(QUARTERS * both), FAR).astype(np.uint8)
