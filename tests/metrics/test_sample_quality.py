"""Sample quality against constructed samples, SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import KernelDensity

from dlsuite.metrics.sample_quality import modes_covered, parzen_log_likelihood, squared_distances

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
SPREAD = 0.5


def around(counts, distance):
  """Returns as many samples as `counts` says at a distance from each centre."""
  return np.repeat(CENTRES, counts, axis=0) + np.array([distance, 0.0])


def test_samples_up_to_three_deviations_from_a_centre_are_good_and_no_others():
  assert modes_covered(around([1, 1, 1, 1], 3 * SPREAD), CENTRES, SPREAD) == {"modes": 4, "high_quality": 100, "coverage": 100}
  assert modes_covered(around([1, 1, 1, 1], 3.01 * SPREAD), CENTRES, SPREAD) == {"modes": 0, "high_quality": 0, "coverage": 0}
  mixed = np.concatenate([around([3, 0, 0, 0], 0.1), around([0, 1, 0, 0], 4.0)])
  assert modes_covered(mixed, CENTRES, SPREAD) == {"modes": 1, "high_quality": 75, "coverage": 25}


def test_a_mode_counts_from_a_tenth_of_its_fair_share_on():
  # Of 400 samples 100 are a centre's fair share.
  assert modes_covered(around([380, 10, 9, 1], 0.0), CENTRES, SPREAD) == {"modes": 2, "high_quality": 100, "coverage": 30}


def test_samples_on_one_mode_are_good_and_cover_their_fair_share_alone():
  assert modes_covered(around([400, 0, 0, 0], 0.0), CENTRES, SPREAD) == {"modes": 1, "high_quality": 100, "coverage": 25}


def test_few_samples_cover_a_mode_with_one():
  assert modes_covered(around([2, 1, 0, 0], 0.0), CENTRES, SPREAD)["modes"] == 2


@pytest.mark.parametrize(("size", "samples", "scale"), [(2, 7, 1.0), (784, 50, 0.3)])
def test_squared_distances_are_scipys(size, samples, scale):
  random = np.random.default_rng(size)
  a, b = (scale * random.random((count, size)).astype(np.float32) for count in (5, samples))
  np.testing.assert_allclose(squared_distances(a, b), cdist(a, b, "sqeuclidean"), rtol=1e-4, atol=1e-5)


def test_a_point_is_at_no_negative_distance_from_itself():
  points = np.random.default_rng(0).random((40, 300)).astype(np.float32)
  found = squared_distances(points, points)
  assert found.min() >= 0
  np.testing.assert_allclose(np.diag(found), 0, atol=1e-3)  # float32, squares that sum to 100


@pytest.mark.parametrize("width", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("size", [2, 64])
def test_the_parzen_likelihood_is_that_of_scikit_learns_kernel_density(width, size):
  random = np.random.default_rng(1)
  samples, points = random.random((60, size)), random.random((20, size))
  ours = parzen_log_likelihood(cdist(points, samples, "sqeuclidean"), width, size)
  theirs = KernelDensity(bandwidth=width, kernel="gaussian", rtol=1e-12).fit(samples).score_samples(points)
  np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_the_parzen_likelihood_of_far_points_is_finite():
  # One sample at distance 100: log N(100; 0, 0.1 ** 2) = -100^2 / 0.02 - log(0.1) - log(2 pi) / 2.
  expected = -500_000 - np.log(0.1) - 0.5 * np.log(2 * np.pi)
  np.testing.assert_allclose(parzen_log_likelihood(np.array([[1e4]]), 0.1, 1), [expected])
