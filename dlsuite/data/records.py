"""The records of a split that is too large for memory, in an order that depends only on (seed, epoch)."""

from typing import Any

import tensorflow as tf

from dlsuite.data import randomness

_SHUFFLE_BLOCK = 16_384  # records
_OPEN_FILES = 16


def shuffled(builder: Any, split: str, seed: int, epoch: tf.Tensor) -> tf.data.Dataset:
  """Returns the serialized examples of a split: files in a permuted order, interleaved, then blocks shuffled.

  Args:
    builder: a prepared tfds builder.
    split: a tfds split string.
    seed: the run's seed.
    epoch: scalar int64; each epoch has its own order.
  """
  files = builder.info.splits[split].file_instructions
  names = tf.constant([str(f.filename) for f in files])
  skips = tf.constant([f.skip for f in files], tf.int64)
  takes = tf.constant([f.take if f.take is not None else -1 for f in files], tf.int64)
  order = randomness.shuffled_indices(tf.range(len(files), dtype=tf.int64), len(files), seed, epoch)

  def read(i: tf.Tensor) -> tf.data.Dataset:
    dataset = tf.data.TFRecordDataset(names[i])
    return dataset.skip(skips[i]).take(takes[i])

  dataset = tf.data.Dataset.from_tensor_slices(order).interleave(
    read, cycle_length=_OPEN_FILES, block_length=16, num_parallel_calls=2, deterministic=True)
  # Block by block: tf.data's own shuffle takes no seed that is a tensor, and mixes in the global one.
  key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
  blocks = dataset.batch(_SHUFFLE_BLOCK).enumerate()

  def shuffle(i: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_shuffle(block, key + tf.stack([tf.zeros_like(i), i * 2**32]))

  return blocks.map(shuffle).prefetch(1).unbatch()  # one block is read while the one before it is learnt
