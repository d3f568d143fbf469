"""What a generative network makes of noise, beside real examples."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import figure, tiles
from dlsuite.runs.files import Path

NEEDS = ("image", "samples")

_SIDE = 10


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws samples and as many test images.

  Args:
    task: with a method `samples(count)` -> pixels in [0, 1], [N, H, W, C].
    found: `image` uint8 [N, H, W, C].
    path: of the PNG.
  """
  with figure(path, 1, 2, (11, 5.8)) as (_, axes):
    real = found["image"][:_SIDE ** 2] / 255.0
    for axis, name, pictures in ((axes[0], "samples", task.samples(_SIDE ** 2)), (axes[1], "test images", real)):
      axis.imshow(tiles(pictures, _SIDE))
      axis.axis("off")
      axis.set_title(f"{task.config.name}: {name}")
  return {}
