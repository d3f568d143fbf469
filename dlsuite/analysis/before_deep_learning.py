"""The pipelines of the years before, on the same splits: hand-made features and a support vector machine, trees, neighbours."""

from typing import Any

import numpy as np

from dlsuite.data import views
from dlsuite.errors import ConfigError
from dlsuite.probes import drawing
from dlsuite.runs.figures import BLUE, GREY, figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "arrays")

_MOST = 10_000  # training and test images each: a support vector machine's time grows with their square
_PIXELS = 500_000_000  # numbers in all of either; photographs are fewer


def gradients_histogram(images: np.ndarray) -> np.ndarray:
  """Returns the histogram of oriented gradients of each image: nine directions, cells of an eighth of a side, rounded
  down and at least two pixels (8x8 cells of 32 pixels, 9x9 of 28), blocks of 2x2 cells.

  Args:
    images: uint8 [N, H, W, C].

  Returns:
    float [N, D].

  Raises:
    ConfigError: if the extra is missing.

  Source: Dalal & Triggs 2005, "Histograms of oriented gradients for human detection".
  """
  try:
    from skimage.feature import hog
  except ImportError as e:
    raise ConfigError("analysis before_deep_learning needs the extra `vision`: pip install -e .[vision]") from e

  cell = max(2, min(images.shape[1:3]) // 8)
  return np.stack([hog(image, 9, (cell, cell), (2, 2), channel_axis=-1) for image in images])


def errors(train: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
  """Returns the error in % of each pipeline, always the same for the same images.

  Args:
    train: `image` uint8 [N, H, W, C] and `label` [N].
    images: of the test, uint8 [M, H, W, C].
    labels: [M].

  Source: Cortes & Vapnik 1995 (here with a radial kernel, C = 10); Breiman 2001 (200 trees); Cover & Hart 1967 (3 neighbours).
  """
  from sklearn.ensemble import RandomForestClassifier
  from sklearn.neighbors import KNeighborsClassifier
  from sklearn.svm import SVC

  def pixels(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1) / np.float32(255.0)

  pipelines = {"HOG + SVM": (gradients_histogram, SVC(C=10.0)),
               "random forest on pixels": (pixels, RandomForestClassifier(200, random_state=0)),
               "3 nearest neighbours in pixels": (pixels, KNeighborsClassifier(3))}
  return {name: 100 * float(np.mean(model.fit(features(train["image"]), train["label"]).predict(features(images)) != labels))
          for name, (features, model) in pipelines.items()}


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws a bar for each pipeline and one for the network; of large splits the first 10,000 images, of large images fewer.

  All look at what the network sees of an image, its middle where that is larger.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C], `label`, `predicted` [N].
    path: of the PNG.

  Returns:
    Errors in %; None if the examples are no images.
  """
  if not drawing.are_images(found):
    return None
  most = min(_MOST, max(1, _PIXELS // found["image"][0].size))
  train = task.arrays("train", most)
  train["image"] = views.centre(train["image"], *found["image"].shape[1:3])
  images, labels = found["image"][:most], found["label"][:most]
  numbers = errors(train, images, labels)
  bars = numbers | {f"network, {task.config.name}": 100 * float(np.mean(found["predicted"][:most] != labels))}
  with figure(path, size=(8, 3.4)) as (_, axis):
    axis.barh(list(bars), list(bars.values()), color=[GREY] * len(numbers) + [BLUE])
    for i, value in enumerate(bars.values()):
      axis.text(value, i, f" {value:.2f}", va="center")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set(xlabel=f"error on {len(labels):,} test images (%), less is better", xlim=(0, 1.15 * max(*bars.values(), 0.1)),
             title=f"{task.builder.name}: pipelines learn from {len(train['label']):,} images, the network from all")
  return {name.replace(" ", "_").replace("+", "and"): value for name, value in numbers.items()}
