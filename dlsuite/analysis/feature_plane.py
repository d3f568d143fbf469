"""The last features of the test images in the plane, by PCA and by t-SNE."""

from typing import Any

import matplotlib
import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.network import features
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "probabilities", "preprocess")

_MOST = 1000  # points: t-SNE takes seconds, and more hide each other
_LISTED = 20  # classes that are named


def planes(values: np.ndarray) -> dict[str, np.ndarray]:
  """Returns points [N, D] in the plane, float [N, 2], by method; the same whenever it is asked.

  Source: t-SNE: van der Maaten & Hinton 2008; it starts from the first two principal components.
  """
  from sklearn.decomposition import PCA
  from sklearn.manifold import TSNE
  from threadpoolctl import threadpool_limits

  perplexity = min(30.0, (len(values) - 1) / 3)
  with threadpool_limits(1):  # so few points on several threads wait for each other, on a busy machine for minutes
    return {"PCA": PCA(2, svd_solver="full").fit_transform(values),
            "t-SNE": TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(values)}


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws both planes, coloured by class.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C] and `label` [N]; of more than 1,000 the first.
    path: of the PNG.

  Returns:
    The share of images whose nearest other one is of the same class, in the space of all features and in each plane; None
    if there are too few images.
  """
  from sklearn.neighbors import NearestNeighbors

  labels = found["label"][:_MOST]
  if not drawing.are_images(found) or len(labels) < 5:
    return None
  with task.averaged():
    deep = features(task.main_network, drawing.prepared(task, found["image"][:_MOST]))
  flat = planes(deep)

  def same_class(values: np.ndarray) -> float:
    nearest = NearestNeighbors(n_neighbors=1).fit(values).kneighbors(return_distance=False)[:, 0]
    return float(np.mean(labels[nearest] == labels))

  numbers = {"features": same_class(deep), "pca": same_class(flat["PCA"]), "tsne": same_class(flat["t-SNE"])}
  names, shades = drawing.class_names(task), matplotlib.colormaps["tab20" if len(np.unique(labels)) > 10 else "tab10"]
  with figure(path, 1, 2, (11, 5.4)) as (fig, axes):
    for axis, (method, points), share in zip(axes, flat.items(), (numbers["pca"], numbers["tsne"]), strict=True):
      for label in np.unique(labels):
        own = points[labels == label]
        axis.plot(*own.T, "o", markersize=4, alpha=0.6, color=shades(int(label) % shades.N))
        if len(np.unique(labels)) <= _LISTED:
          axis.annotate(names[label], np.median(own, 0), fontsize=11, weight="bold", ha="center", va="center",
                        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.85,
                              "edgecolor": shades(int(label) % shades.N)})
      axis.set(xticks=[], yticks=[], xlabel=f"{method} 1", ylabel=f"{method} 2",
               title=f"{method}: the nearest is of the same class, {100 * share:.1f}%")
    fig.suptitle(f"{task.config.name}: the {deep.shape[1]} last features of {len(labels):,} test images (all of them: "
                 f"{100 * numbers['features']:.1f}%)", fontsize=12)
  return {f"same_class_{name}": share for name, share in numbers.items()}
