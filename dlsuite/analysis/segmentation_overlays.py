"""Images, the truth, what the network says, and where the two differ."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

NEEDS = ("image", "label", "segmentation", "foreground")

_SHOWN = 4
_MISSED, _EXTRA = (213, 94, 0), (0, 114, 178)  # orange and blue of Okabe & Ito 2008


def differences(image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> np.ndarray:
  """Returns the image uint8 [H, W, C] in grey, missed foreground in orange and foreground that is none in blue, [H, W, 3]."""
  picture = np.repeat(image.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
  picture[truth & ~found], picture[found & ~truth] = _MISSED, _EXTRA
  return picture


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws the first test images, a row each.

  Args:
    task: a segmentation's.
    found: `image` uint8 [N, H, W, C], `label` [N, H, W, 1] and `segmentation` [N, H, W].
    path: of the PNG.
  """
  rows = min(_SHOWN, len(found["image"]))
  foreground = task.class_names[task.foreground]
  with figure(path, rows, 4, (11, 0.5 + 2.75 * rows)) as (fig, axes):
    for i, row in enumerate(np.reshape(axes, (rows, 4))):
      image, label, guess = found["image"][i], found["label"][i, ..., 0], found["segmentation"][i]
      pictures = (("image", image), ("truth", label), ("network", guess),
                  (f"orange: {foreground} missed, blue: added",
                   differences(image, label == task.foreground, guess == task.foreground)))
      for axis, (name, picture) in zip(row, pictures, strict=True):
        is_classes = picture.ndim == 2
        axis.imshow(picture.squeeze(), cmap="viridis" if is_classes and task.num_classes > 2 else "gray", vmin=0,
                    vmax=task.num_classes - 1 if is_classes else 255, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        if not i:
          axis.set_title(name, fontsize=9)
      row[0].set_ylabel(f"{100 * np.mean(label != guess):.1f}% wrong", fontsize=9)
    fig.suptitle(f"{task.config.name}: {rows} of {len(found['image'])} test images", fontsize=11)
  return {}
