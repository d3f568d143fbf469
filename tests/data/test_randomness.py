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
