"""Measures of a segmentation that count objects, and the table of numbers that describes each pixel to a forest."""

import types
from typing import Any

import numpy as np

from dlsuite.errors import ConfigError


def skimage() -> types.ModuleType:
  """Returns scikit-image.

  Raises:
    ConfigError: if it is not installed.
  """
  try:
    import skimage as found
  except ImportError as e:
    raise ConfigError("needs the extra `vision`: pip install -e .[vision]") from e
  return found


def pixel_error(truth: np.ndarray, found: np.ndarray) -> float:
  """Returns the share of pixels that differ, %."""
  return 100.0 * float(np.mean(truth != found))


def iou(truth: np.ndarray, found: np.ndarray) -> float:
  """Returns the pixels that both give to the foreground over those that either does; 1 if none does.

  Args:
    truth: bool, any shape: the pixels of all images count together.
    found: bool, the same shape.

  Source: Everingham et al. 2015, "The PASCAL visual object classes challenge", section 3.2.
  """
  either = int(np.sum(truth | found))
  return float(np.sum(truth & found)) / either if either else 1.0


def adapted_rand_error(truth: np.ndarray, found: np.ndarray) -> float:
  """Returns 1 minus the F-score of the Rand index over pairs of pixels inside of true cells.

  The cells are the connected pieces of `truth` and `found`, bool [H, W], true inside. 0 is best. It counts splits and
  mergers; a pixel of a true cell that no found cell has is a piece of its own, so that a membrane that is too wide costs what
  it covers; where no two pixels belong together the error is 1. The challenge thins the borders first, which is not done here.

  Raises:
    ConfigError: if scikit-image is missing.

  Source: Arganda-Carreras et al. 2015, "Crowdsourcing the creation of image segmentation algorithms for connectomics".
  """
  skimage()
  from skimage.measure import label
  from skimage.metrics import adapted_rand_error as measure

  pieces = label(found, connectivity=1)
  nowhere = pieces == 0  # which would else count as one object
  pieces[nowhere] = pieces.max() + 1 + np.arange(np.count_nonzero(nowhere))
  with np.errstate(invalid="ignore"):
    error, _, _ = measure(label(truth, connectivity=1), pieces)
  return 1.0 if np.isnan(error) else float(error)


def pixel_features(image: np.ndarray) -> np.ndarray:
  """Returns what filters say of each pixel: at scales of 1 to 16 pixels the Gaussian mean, the gradient's size (Sobel) and
  the two eigenvalues of the Hessian.

  Args:
    image: [H, W].

  Returns:
    float32 [H, W, 20].

  Raises:
    ConfigError: if scikit-image is missing.
  """
  skimage()
  from skimage.feature import multiscale_basic_features

  found: Any = multiscale_basic_features(image.astype(np.float32) / 255.0, sigma_min=1, sigma_max=16)
  return found.astype(np.float32)
