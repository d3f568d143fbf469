"""What thresholds and a random forest on filters make of the same test images."""

from typing import Any

import numpy as np

from dlsuite.metrics import segmentation as measures
from dlsuite.runs.figures import BLUE, GREY, figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "segmentation", "foreground", "arrays")

_PIXELS = 60_000  # of the training images, that the forest learns from
_TREES = 100


def otsu(images: np.ndarray) -> np.ndarray:
  """Returns whether each pixel is dark by its own image's threshold, bool [N, H, W], of images uint8 [N, H, W].

  Source: Otsu 1979, "A threshold selection method from gray-level histograms".
  """
  measures.skimage()
  from skimage.filters import threshold_otsu

  return np.stack([image <= threshold_otsu(image) for image in images])


def best_threshold(images: np.ndarray, foreground: np.ndarray) -> tuple[int, bool]:
  """Returns the grey value that errs on the fewest pixels, and whether the foreground lies at it and below.

  Args:
    images: uint8 [N, H, W].
    foreground: bool [N, H, W].
  """
  inside, outside = (np.cumsum(np.bincount(images[chosen], minlength=256)) for chosen in (foreground, ~foreground))
  wrong_if_dark = outside + (inside[-1] - inside)  # of `image <= value`, for each value
  wrong = np.stack([wrong_if_dark, foreground.size - wrong_if_dark])
  side, value = np.unravel_index(wrong.argmin(), wrong.shape)
  return int(value), not side


def forest(train: np.ndarray, foreground: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
  """Returns what a random forest on `pixel_features` calls foreground, bool [M, H, W].

  Args:
    train: uint8 [N, H, W]; the pixels that it learns from are drawn evenly from all images, at most a quarter of each, since
      neighbours tell nearly the same.
    foreground: bool [N, H, W].
    test: uint8 [M, H, W].
    seed: of the draw and of the trees.

  Source: Breiman 2001, "Random forests"; on such filters: Arganda-Carreras et al. 2017, "Trainable Weka segmentation".
  """
  from sklearn.ensemble import RandomForestClassifier

  random = np.random.default_rng(seed)
  count = min(_PIXELS // len(train), train[0].size // 4)
  features, classes = [], []
  for image, truth in zip(train, foreground, strict=True):
    chosen = random.choice(image.size, count, replace=False)
    values = measures.pixel_features(image)
    features.append(values.reshape(image.size, -1)[chosen])
    classes.append(truth.ravel()[chosen])
  model = RandomForestClassifier(_TREES, min_samples_leaf=5, random_state=seed, n_jobs=-1)
  model.fit(np.concatenate(features), np.concatenate(classes))
  return np.stack([model.predict(measures.pixel_features(image).reshape(image.size, -1)).reshape(image.shape)
                   for image in test])


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws bars of pixel error and of the foreground's IoU over the test images, one for each way.

  Args:
    task: a segmentation's; the baselines learn from its training images.
    found: `image` uint8 [N, H, W, C], `label` [N, H, W, 1] and `segmentation` [N, H, W].
    path: of the PNG.

  Returns:
    {way_error: %, way_iou} for `network`, `otsu`, `threshold` (the best on the training images) and `forest`. The class is
    the foreground or not.

  Raises:
    ConfigError: if scikit-image is missing.
  """
  train = task.arrays("train")
  greys, test = (_grey(images) for images in (train["image"], found["image"]))
  known, truth = (label[..., 0] == task.foreground for label in (train["label"], found["label"]))
  threshold, is_dark = best_threshold(greys, known)
  ways = {
    "network": found["segmentation"] == task.foreground,
    "otsu": otsu(test) == is_dark,
    "threshold": (test <= threshold) == is_dark,
    "forest": forest(greys, known, test, task.config.seed),
  }
  numbers = {f"{name}_error": measures.pixel_error(truth, guess) for name, guess in ways.items()}
  numbers |= {f"{name}_iou": measures.iou(truth, guess) for name, guess in ways.items()}
  with figure(path, 1, 2, (10, 3.6)) as (fig, axes):
    labels = {"pixel error (%), less is better": "error", f"IoU of {task.class_names[task.foreground]}, more is better": "iou"}
    for axis, (label, measure) in zip(axes, labels.items(), strict=True):
      values = [numbers[f"{name}_{measure}"] for name in ways]
      axis.barh(list(ways), values, color=[BLUE, *[GREY] * (len(ways) - 1)])
      for i, value in enumerate(values):
        axis.text(value, i, f" {value:.3g}", va="center")
      axis.invert_yaxis()
      axis.grid(visible=False, axis="y")
      axis.set(xlabel=label, xlim=(0, 1.15 * max(*values, 1e-9)))
    fig.suptitle(f"{task.config.name}: {len(truth)} test images of {task.builder_of('test').name}", fontsize=11)
  return numbers


def _grey(images: np.ndarray) -> np.ndarray:
  """Returns images [N, H, W, C] as uint8 [N, H, W]."""
  return np.round(images.mean(-1)).astype(np.uint8)
