"""Which modes of a mixture a generator reaches."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import BLUE, GREY, figure, scatter
from dlsuite.runs.files import Path

NEEDS = ("point", "samples", "good")


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws samples over real points, and how many good samples each mode gets.

  Args:
    task: a GAN's, on points in the plane whose distribution is known.
    found: `point` [N, 2], `samples` [M, 2], and `good`, the samples within three standard deviations of each mode [K].
    path: of the PNG.
  """
  samples, good = found["samples"], found["good"]
  with figure(path, 1, 2, (11, 5)) as (_, axes):
    scatter(axes[0], samples, found["point"])
    axes[0].set_title(f"{task.config.name}: {len(samples):,} samples")
    axes[1].bar(range(1, len(good) + 1), good, color=BLUE)
    axes[1].axhline(len(samples) / len(good), color=GREY, linestyle="--", linewidth=1, label="fair share")
    axes[1].set(ylim=(0, 1.2 * max(good.max(), len(samples) / len(good))), xlabel="mode",
                ylabel="samples within three standard deviations",
                title=f"{100 * good.sum() / len(samples):.0f}% of the samples are near one of {len(good)} modes")
    axes[1].legend(loc="upper right")
  return {}
