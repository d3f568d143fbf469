"""The codes of the test images in the plane, by class."""

from typing import Any

import matplotlib
import numpy as np

from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("code",)

_MOST = 4000  # points: more hide each other
_LISTED = 20  # classes that are named: more names would cover the plane


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws the codes; of more than two numbers, their first two principal components; of one number, over the classes.

  Args:
    task: an autoencoder's.
    found: `code` [N, Z], `label` [N] if there is one.
    path: of the PNG.

  Returns:
    The share of test images whose nearest other code belongs to the same class, if there are classes.
  """
  from sklearn.decomposition import PCA
  from sklearn.neighbors import KNeighborsClassifier

  codes, labels = found["code"], found.get("label", np.zeros(len(found["code"]), int))
  if codes.shape[1] > 2:
    flat, axes_names = PCA(2).fit_transform(codes), ("first principal component", "second")
  else:
    flat = codes if codes.shape[1] == 2 else np.column_stack([codes, labels])
    axes_names = ("code 1", "code 2" if codes.shape[1] == 2 else "class")
  classes, by_class = np.unique(labels), "label" in found
  shades = matplotlib.colormaps["tab20" if len(classes) > 10 else "tab10"]
  with figure(path, size=(8, 6.5)) as (_, axis):
    for label in classes:
      points, shade = flat[:_MOST][labels[:_MOST] == label], shades(int(label) % shades.N)
      axis.plot(*points.T, "o", markersize=3, alpha=0.6, color=shade)
      if len(points) and by_class and len(classes) <= _LISTED:
        axis.annotate(str(label), np.median(points, 0), fontsize=15, weight="bold", ha="center", va="center",
                      bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": shade})
    axis.set(xlabel=axes_names[0], ylabel=axes_names[1],
             title=f"{task.config.name}: codes of {min(len(codes), _MOST):,} test images{', by class' if by_class else ''}")
  if not by_class or len(codes) < 2:
    return {}
  nearest = KNeighborsClassifier(1).fit(codes, labels).kneighbors(return_distance=False)[:, 0]
  return {"nearest_code_of_same_class": float(np.mean(labels[nearest] == labels))}
