"""Random numbers that depend only on (seed, epoch, example), so that no order, batch size or restart changes them."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Uniform = Callable[[int], tf.Tensor]  # draw number -> float32 [B] in [0, 1), of a batch's examples

_GAMMA = 0x9E3779B97F4A7C15


def _mix(x: tf.Tensor) -> tf.Tensor:
  x = (x ^ tf.bitwise.right_shift(x, tf.constant(30, tf.uint64))) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
  x = (x ^ tf.bitwise.right_shift(x, tf.constant(27, tf.uint64))) * tf.constant(0x94D049BB133111EB, tf.uint64)
  return x ^ tf.bitwise.right_shift(x, tf.constant(31, tf.uint64))


def splitmix64(x: tf.Tensor) -> tf.Tensor:
  """Returns the SplitMix64 output that follows state `x`, elementwise.

  Args:
    x: uint64, any shape.

  Returns:
    uint64, the shape of `x`.

  Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 17.
  """
  return _mix(x + tf.constant(_GAMMA, tf.uint64))


def uniform(seed: int, epoch: tf.Tensor, example: tf.Tensor, draw: int | tf.Tensor) -> tf.Tensor:
  """Returns one number in [0, 1) for each example.

  Args:
    seed: the run's seed.
    epoch: int64, a scalar or one for each example [B].
    example: int64 [B], the examples' indices in the split.
    draw: which of an example's random numbers, below 2**20; each use takes its own. Several, int [D], are drawn at once.

  Returns:
    float32 [B], or [B, D].
  """
  if isinstance(draw, tf.Tensor):
    example = example[:, tf.newaxis]
    epoch = epoch[:, tf.newaxis] if epoch.shape.rank else epoch
  stream = tf.constant(seed << 20, tf.uint64) + tf.cast(draw, tf.uint64)
  state = splitmix64(tf.cast(epoch, tf.uint64) + stream * tf.constant(_GAMMA, tf.uint64))
  bits = splitmix64(splitmix64(tf.cast(example, tf.uint64)) ^ state)
  return tf.cast(tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64)), tf.float32) * 2.0**-24


def box_muller(u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
  """Returns a standard normal number, float32, of each pair of independent numbers in [0, 1), elementwise.

  Source: Box & Muller 1958, "A note on the generation of random normal deviates".
  """
  return tf.sqrt(-2.0 * tf.math.log(1.0 - u)) * tf.cos(2.0 * np.pi * v)


def normal(seed: int, epoch: tf.Tensor, example: tf.Tensor, size: int) -> tf.Tensor:
  """Returns standard normal numbers for each example.

  Args:
    seed: the run's seed.
    epoch: scalar int64, or the step, where an example is a row of its batch.
    example: int64 [B].
    size: how many, at most 2**18; they take the upper half of an example's draws.

  Returns:
    float32 [B, size].
  """
  if size > 1 << 18:
    raise ValueError(f"an example has 2**18 normal numbers, not {size}")
  first, second = (1 << 19) + tf.range(size), (3 << 18) + tf.range(size)
  return box_muller(uniform(seed, epoch, example, first), uniform(seed, epoch, example, second))


def shuffled_indices(positions: tf.Tensor, size: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
  """Returns the examples at some positions of an epoch's permutation, without making the permutation.

  Args:
    positions: int64 [B], each in [0, size).
    size: number of examples.
    seed: the run's seed.
    epoch: scalar int64: each epoch has its own permutation.

  Returns:
    int64 [B]; over all positions each index in [0, size) comes once.
  """
  key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
  return tf.random.experimental.index_shuffle(positions, key, tf.constant(size - 1, tf.int64))
