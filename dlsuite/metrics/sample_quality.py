"""How good the samples of a generator are, from samples alone."""

import numpy as np


def good_samples(samples: np.ndarray, centres: np.ndarray, spread: float) -> np.ndarray:
  """Returns how many samples lie within three standard deviations of each mode of a mixture.

  Args:
    samples: float [N, D].
    centres: of the modes, float [M, D].
    spread: standard deviation of each mode.

  Returns:
    int [M]; a sample counts for its nearest centre alone.
  """
  distances = np.linalg.norm(samples[:, np.newaxis] - centres, axis=-1)
  return np.bincount(distances.argmin(1)[distances.min(1) <= 3 * spread], minlength=len(centres))


def modes_covered(samples: np.ndarray, centres: np.ndarray, spread: float) -> dict[str, float]:
  """Judges samples by the mixture of equal shares that they should come from; arguments as for `good_samples`.

  Returns:
    `high_quality`: the percentage of samples within three standard deviations of a centre; `modes`: how many centres have
    at least a tenth of their fair share of such samples; `coverage`: the percentage that remains of `high_quality` if no
    mode counts for more than its fair share, so that neither stray samples nor lost modes are rewarded.

  Source: Srivastava et al. 2017, VEEGAN, section 5.1 (modes and high-quality samples; there one sample makes a mode
  covered, here a tenth of the fair share keeps a stray one from counting).
  """
  counts, fair = good_samples(samples, centres, spread), len(samples) / len(centres)
  return {"modes": float(np.sum(counts >= max(1.0, fair / 10))), "high_quality": 100.0 * counts.sum() / len(samples),
          "coverage": 100.0 * np.minimum(counts, fair).sum() / len(samples)}


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Returns the squared distance of each row of `a` [N, D] to each of `b` [M, D], float32 [N, M]."""
  norms = np.square(a).sum(1)[:, np.newaxis] + np.square(b).sum(1)
  return np.maximum(norms - 2.0 * a @ b.T, 0.0)


def parzen_log_likelihood(distances: np.ndarray, width: float, dimensions: int) -> np.ndarray:
  """Returns the log density of points under normal kernels around a generator's samples, in nats.

  Args:
    distances: squared, of each point to each sample, [N, M].
    width: the kernels' standard deviation.
    dimensions: D of the space.

  Returns:
    float64 [N].

  Source: Breuleux, Bengio & Vincent 2011; used by Goodfellow et al. 2014, table 1, with the width chosen on a validation set.
  """
  scores = distances.astype(np.float64) / (-2.0 * width ** 2)
  highest = scores.max(1, keepdims=True)
  total = np.log(np.exp(scores - highest).mean(1)) + highest[:, 0]
  return total - 0.5 * dimensions * np.log(2 * np.pi * width ** 2)
