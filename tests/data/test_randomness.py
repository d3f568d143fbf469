"""Random numbers by (seed, epoch, example). The SplitMix64 outputs are those of Vigna's reference program for seed 0."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite.data import randomness

GAMMA = 0x9E3779B97F4A7C15
EXAMPLES = 20_000


def uniform(seed=0, epoch=0, examples=range(EXAMPLES), draw=0):
  return randomness.uniform(seed, tf.constant(epoch, tf.int64), tf.constant(list(examples), tf.int64), draw).numpy()


def permutation(size, seed=0, epoch=0):
  positions = tf.range(size, dtype=tf.int64)
  return randomness.shuffled_indices(positions, size, seed, tf.constant(epoch, tf.int64)).numpy()


def test_splitmix64_gives_the_published_outputs_as_its_state_goes_on():
  states = tf.constant([0, GAMMA, 2 * GAMMA % 2**64], tf.uint64)
  expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
  assert randomness.splitmix64(states).numpy().tolist() == expected


def test_uniform_fills_the_unit_interval_evenly():
  values = uniform()
  assert values.dtype == np.float32
  assert values.min() >= 0
  assert values.max() < 1
  counts = np.bincount((values * 10).astype(int), minlength=10)
  # Chi-squared of 9 degrees of freedom: above 27.9 once in a thousand.
  assert ((counts - EXAMPLES / 10) ** 2 / (EXAMPLES / 10)).sum() < 27.9


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"draw": 1}, {"examples": range(1, EXAMPLES + 1)}])
def test_uniform_gives_unrelated_numbers_for_another_seed_epoch_draw_or_example(other):
  first, second = uniform(), uniform(**other)
  assert (first == second).mean() < 0.01
  assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(EXAMPLES)


def test_several_draws_for_examples_of_several_epochs_are_those_of_each_alone():
  epochs, examples = tf.constant([3, 3, 4], tf.int64), tf.constant([5, 6, 5], tf.int64)
  together = randomness.uniform(1, epochs, examples, tf.range(3)).numpy()
  alone = [[randomness.uniform(1, epochs[i], examples[i:i + 1], draw).numpy()[0] for draw in range(3)] for i in range(3)]
  np.testing.assert_array_equal(together, alone)


def test_uniform_does_not_depend_on_the_other_examples_of_the_batch():
  whole = uniform(examples=range(100))
  assert uniform(examples=[97, 3, 50]).tolist() == whole[[97, 3, 50]].tolist()
  assert uniform(examples=[3]).tolist() == whole[[3]].tolist()


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1197])
def test_shuffled_indices_are_a_permutation(size):
  for epoch in range(3):
    assert sorted(permutation(size, seed=5, epoch=epoch)) == list(range(size))


def test_every_position_can_be_asked_for_alone():
  alone = [randomness.shuffled_indices(tf.constant([i], tf.int64), 50, 3, tf.constant(2, tf.int64)).numpy()[0]
           for i in range(50)]
  assert alone == permutation(50, seed=3, epoch=2).tolist()


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_another_epoch_or_seed_has_another_permutation(other):
  # Two unrelated permutations agree at one position on average.
  assert (permutation(1197) == permutation(1197, **other)).sum() < 10


def test_every_order_of_three_examples_comes_about_equally_often():
  orders = [tuple(permutation(3, epoch=epoch).tolist()) for epoch in range(600)]
  counts = [orders.count(order) for order in set(orders)]
  assert len(counts) == 6
  assert sum((count - 100) ** 2 / 100 for count in counts) < 20.5  # chi-squared, 5 degrees of freedom, one in a thousand


def test_a_normal_number_is_box_and_mullers_radius_times_the_cosine_of_the_angle():
  u = tf.constant([1 - np.exp(-2.0), 1 - np.exp(-2.0), 1 - np.exp(-0.5), 0.0], tf.float32)  # radii of 2, 2, 1 and 0
  np.testing.assert_allclose(randomness.box_muller(u, tf.constant([0.0, 0.5, 0.25, 0.3])), [2, -2, 0, 0], atol=1e-5)


def normal(seed=0, step=0, rows=range(2000), size=250):
  return randomness.normal(seed, tf.constant(step, tf.int64), tf.constant(list(rows), tf.int64), size).numpy()


def largest_correlation(columns):
  """Returns the largest correlation between any two of the columns of [N, D], in units of its deviation 1/sqrt(N)."""
  found = np.corrcoef(columns, rowvar=False)
  np.fill_diagonal(found, 0)
  return np.abs(found).max() * np.sqrt(len(columns))


def test_normal_numbers_have_mean_0_and_variance_1_and_the_shape_of_the_bell():
  values = normal()
  n = values.size  # 500,000
  assert (values.dtype, values.shape) == (np.float32, (2000, 250))
  assert np.isfinite(values).all()
  # Each of these estimates is off by more than 5 of its own standard deviations once in two million.
  assert abs(values.mean()) < 5 / np.sqrt(n)
  assert abs(values.var() - 1) < 5 * np.sqrt(2 / n)
  assert abs((values**3).mean()) < 5 * np.sqrt(15 / n)
  assert abs((values**4).mean() - 3) < 5 * np.sqrt(96 / n)
  for bound, share in ((-1.0, 0.158655), (0.0, 0.5), (1.0, 0.841345), (3.0, 0.998650)):
    assert abs((values < bound).mean() - share) < 5 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("function", [np.copy, np.abs], ids=["values", "sizes"])
def test_normal_numbers_of_different_draws_and_of_different_rows_have_nothing_to_do_with_each_other(function):
  values = function(normal())
  # 250 columns make 31,125 pairs: the largest of so many is about 4.2 deviations, above 6.5 once in 400,000 times.
  assert largest_correlation(values) < 6.5
  assert largest_correlation(values[:250].T) < 6.5
  for axis in (0, 1):  # what all neighbours have in common shows in all pairs together
    for distance in (1, 2, 100):
      first, second = (np.take(values, part, axis).ravel() for part in (
        range(values.shape[axis] - distance), range(distance, values.shape[axis])))
      assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)


@pytest.mark.parametrize("other", [{"step": 1}, {"step": 2**40}, {"seed": 1}, {"rows": range(1, 2001)},
                                   {"rows": range(2000, 4000)}])
@pytest.mark.parametrize("function", [np.copy, np.abs], ids=["values", "sizes"])
def test_normal_numbers_of_another_step_seed_or_row_are_unrelated(other, function):
  first, second = function(normal()), function(normal(**other))
  assert (first == second).mean() < 0.001
  assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


def test_normal_numbers_have_nothing_to_do_with_the_uniform_ones_of_the_same_example():
  columns = np.stack([uniform(draw=draw) for draw in range(8)] + list(normal(rows=range(EXAMPLES), size=8).T), 1)
  assert largest_correlation(columns) < 5


def test_a_row_gets_the_same_normal_numbers_whatever_rows_stand_beside_it_and_however_many_are_drawn():
  whole = normal(rows=range(100), step=3)
  # To the last bit but one: the processor's vectors round a logarithm otherwise than what is left over at their end.
  for ours, theirs in ((normal(rows=[97, 3, 50], step=3), whole[[97, 3, 50]]), (normal(rows=[3], step=3), whole[[3]]),
                       (normal(rows=range(50, 60), step=3, size=7), whole[50:60, :7])):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
