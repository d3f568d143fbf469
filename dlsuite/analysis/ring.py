"""Which modes of the ring of normal distributions a generator reaches."""

import pathlib
from typing import Any

import numpy as np

from dlsuite.data.builders.gaussian_ring.gaussian_ring_dataset_builder import SPREAD, centres
from dlsuite.metrics.sample_quality import modes_covered
from dlsuite.runs.figures import BLUE, GREY, figure

NEEDS = ("point", "samples")


def draw(task: Any, found: dict[str, np.ndarray], path: pathlib.Path) -> dict[str, float] | None:
  """Draws samples over real points, and how many good samples each mode gets.

  Args:
    task: a GAN's, on `gaussian_ring`.
    found: `point` [N, 2] and `samples` [M, 2].
    path: of the PNG.

  Returns:
    None if the samples are no points.
  """
  from dlsuite.tasks.gan import scatter

  if "point" not in found:
    return None
  samples = found["samples"]
  distances = np.linalg.norm(samples[:, np.newaxis] - centres(), axis=-1)
  good = distances.min(1) <= 3 * SPREAD
  counts = np.bincount(distances.argmin(1)[good], minlength=len(centres()))
  covered = modes_covered(samples, centres(), SPREAD)
  with figure(path, 1, 2, (11, 5)) as (_, axes):
    scatter(axes[0], samples, found["point"])
    axes[0].set_title(f"{task.config.name}: {len(samples):,} samples")
    axes[1].bar(range(1, len(counts) + 1), counts, color=BLUE)
    axes[1].axhline(len(samples) / len(counts), color=GREY, linestyle="--", linewidth=1, label="fair share")
    axes[1].set(xlabel="mode", ylabel="samples within three standard deviations",
                title=f"{covered['modes']:.0f} of {len(counts)} modes; {covered['high_quality']:.0f}% of the samples good")
    axes[1].legend()
  return {}
