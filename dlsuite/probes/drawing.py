"""Which test images are looked at, and heat maps laid over them."""

from typing import Any

import numpy as np

from dlsuite.probes import evidence
from dlsuite.probes.evidence import Evidence
from dlsuite.runs.figures import figure
from dlsuite.runs.files import Path

_COLUMNS = 6
_SCORED = 50  # images that a method is scored on
_LETTERS = 12  # of a name, for which a narrow column has room


def are_images(found: dict[str, np.ndarray]) -> bool:
  """Returns whether the examples are single images large enough to look at, [N, H, W, C]."""
  images = found["image"]
  return images.ndim == 4 and min(images.shape[1:3]) >= 8


def prepared(task: Any, images: np.ndarray) -> np.ndarray:
  """Returns uint8 images as the network takes them, float32."""
  return np.asarray(task.preprocess(images), np.float32)


def chosen(found: dict[str, np.ndarray], count: int = _COLUMNS) -> np.ndarray:
  """Returns places of test images: the surest mistake last if there is one, before it the first right one of each class."""
  right = found["label"] == found["predicted"]
  wrong = np.flatnonzero(~right)
  surest = wrong[np.argsort(-found["probabilities"][wrong].max(-1), kind="stable")][:1]
  firsts = np.array([np.flatnonzero(right & (found["label"] == label))[0] for label in np.unique(found["label"][right])], int)
  return np.concatenate([firsts[:count - len(surest)], surest]).astype(int)


def first(found: dict[str, np.ndarray]) -> int:
  """Returns the place of the first test image that is classified right; of a task without classes an image, 0."""
  return int(chosen(found)[0]) if "probabilities" in found and "predicted" in found else 0


def seen(task: Any, images: np.ndarray) -> np.ndarray:
  """Returns as much of uint8 images as the task's network sees at once: all, or the middle tile of a network of tiles."""
  if not hasattr(task, "sides"):
    return images
  side = task.sides[1]
  borders = [max(0, side - length) for length in images.shape[1:3]]
  images = np.pad(images, [(0, 0), *((border // 2, border - border // 2) for border in borders), (0, 0)], "symmetric")
  top, left = ((length - side) // 2 for length in images.shape[1:3])
  return images[:, top:top + side, left:left + side]


def class_names(task: Any) -> list[str]:
  """Returns the names of the classes."""
  return list(task.builder.info.features[task.config.data.features["label"]].names)


def shortened(names: list[str]) -> list[str]:
  """Returns names of at most 12 letters, those cut off with an ellipsis at their end: for the titles of narrow columns."""
  return [name if len(name) <= _LETTERS else f"{name[:_LETTERS - 1]}…" for name in names]


def show(axis: Any, image: np.ndarray, **options: Any) -> Any:
  """Draws one uint8 image [H, W, C] without axes; grey ones dark on white, as ink."""
  picture = axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r", vmin=0, vmax=255, **options)
  axis.set(xticks=[], yticks=[])
  axis.grid(visible=False)
  axis.spines[:].set_visible(False)
  return picture


def draw_evidence(task: Any, found: dict[str, np.ndarray], path: Path, method: Evidence, name: str, label: str,
                  signed: bool = False) -> dict[str, float] | None:
  """Draws images over what a method says speaks for the predicted class, and scores the method.

  Args:
    task: a classification task.
    found: `image` uint8 [N, H, W, C], `label`, `predicted` [N], `probabilities` [N, K].
    path: of the PNG.
    method: one of `evidence`.
    name: of the method, for the title.
    label: of the colour scale.
    signed: whether the heat may be negative.

  Returns:
    The mean probability of the predicted class over the first test images, as it is, without the fifth of the pixels that
    speaks most for it, and without as many at random; None if the examples are no images.
  """
  network = task.main_network
  if not are_images(found):
    return None
  places, names = chosen(found), shortened(class_names(task))
  with task.averaged():
    heats = method(network, prepared(task, found["image"][places]), found["predicted"][places])
    scored, classes = prepared(task, found["image"][:_SCORED]), found["predicted"][:_SCORED]
    scored_heats = method(network, scored, classes)
    random = np.random.default_rng(0).random(scored_heats.shape)
    numbers = {"probability": evidence.without_top_pixels(network, scored, classes, random, 0.0),
               "without_top_fifth": evidence.without_top_pixels(network, scored, classes, scored_heats),
               "without_random_fifth": evidence.without_top_pixels(network, scored, classes, random)}
  with figure(path, 2, len(places), (1.5 * len(places) + 1.4, 4.1)) as (fig, grid):
    axes = np.reshape(grid, (2, len(places)))
    for column, i in enumerate(places):
      show(axes[0, column], found["image"][i])
      right = found["label"][i] == found["predicted"][i]
      title = names[found["predicted"][i]] if right else f"{names[found['predicted'][i]]},\nnot {names[found['label'][i]]}"
      axes[0, column].set_title(f"{title}\n{100 * found['probabilities'][i].max():.0f}%", fontsize=10, loc="center")
      # Each image has a scale of its own: a sure class has gradients that are small everywhere.
      limit = float(np.abs(heats[column]).max()) or 1.0
      show(axes[1, column], found["image"][i], alpha=0.35)
      if not heats[column].any():  # Grad-CAM where every weight is negative
        axes[1, column].set_xlabel("nothing speaks for it", fontsize=8)
      picture = axes[1, column].imshow(heats[column] / limit, cmap="RdBu_r" if signed else "inferno_r",
                                       vmin=-1 if signed else 0, vmax=1, alpha=0.75)
    fig.colorbar(picture, ax=axes, label=label, shrink=0.8)
    fig.suptitle(f"{task.config.name}: {name}; hiding the top fifth of the pixels takes the probability\nfrom "
                 f"{numbers['probability']:.2f} to {numbers['without_top_fifth']:.2f}, "
                 f"a random fifth to {numbers['without_random_fifth']:.2f}", fontsize=11)
  return numbers
