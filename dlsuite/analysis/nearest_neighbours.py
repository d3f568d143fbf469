"""Which test images the network takes for alike: neighbours in the space of its last features, beside those in pixels."""

from typing import Any

import numpy as np

from dlsuite.probes import drawing
from dlsuite.probes.network import features
from dlsuite.runs.figures import BLUE, ORANGE, figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "predicted", "probabilities", "preprocess")

_NEIGHBOURS, _ROWS, _MOST = 5, 5, 5000


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float] | None:
  """Draws test images beside their five nearest by the cosine of the features, and by the distance of the pixels.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C], `label`, `predicted` [N], `probabilities` [N, K]; of more than 5,000 the first.
    path: of the PNG.

  Returns:
    The share of test images whose nearest other one is of the same class, in both spaces; None if there are too few.
  """
  from sklearn.neighbors import NearestNeighbors

  images, labels = found["image"][:_MOST], found["label"][:_MOST]
  if not drawing.are_images(found) or len(images) <= _NEIGHBOURS:
    return None
  with task.averaged():
    deep = features(task.main_network, drawing.prepared(task, images))
  spaces = {"features": (deep, "cosine"), "pixels": (images.reshape(len(images), -1) / np.float32(255.0), "euclidean")}
  nearest = {name: NearestNeighbors(n_neighbors=_NEIGHBOURS, metric=metric).fit(values).kneighbors(return_distance=False)
             for name, (values, metric) in spaces.items()}
  shares = {name: float(np.mean(labels[places[:, 0]] == labels)) for name, places in nearest.items()}
  rows = [i for i in drawing.chosen(found, _ROWS) if i < len(images)]
  names = drawing.shortened(drawing.class_names(task))
  columns = 2 * _NEIGHBOURS + 2  # the image, its neighbours, a gap, its neighbours in pixels
  with figure(path, len(rows), columns, (10, 1.05 * len(rows) + 1.0)) as (fig, grid):
    axes = np.reshape(grid, (len(rows), columns))
    for row, i in enumerate(rows):
      drawing.show(axes[row, 0], images[i])
      axes[row, 0].set_title(f"{names[labels[i]]}", fontsize=9, loc="center", pad=2)
      axes[row, _NEIGHBOURS + 1].axis("off")
      for first, name, colour in ((1, "features", BLUE), (_NEIGHBOURS + 2, "pixels", ORANGE)):
        for axis, j in zip(axes[row, first:], nearest[name][i], strict=False):
          drawing.show(axis, images[j])
          same = labels[j] == labels[i]
          axis.set_title(names[labels[j]], fontsize=9, loc="center", pad=2, color=colour if same else "black",
                         fontweight="normal" if same else "bold")
    fig.suptitle(f"{task.config.name}: a test image and its five nearest by features (blue) and by pixels (orange); another "
                 f"class in bold.\nThe nearest is of the same class: features {100 * shares['features']:.1f}%, "
                 f"pixels {100 * shares['pixels']:.1f}%", fontsize=10)
  return {f"same_class_{name}": share for name, share in shares.items()}
