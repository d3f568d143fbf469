"""What an evaluation adds up."""

import tensorflow as tf

from dlsuite.training import steps


def test_more_is_counted_than_float32_tells_apart(strategy):
  batches = iter(tf.data.Dataset.from_tensor_slices({"weight": [[2.0**24], [1.0], [1.0]]}))
  whole_pass = steps.evaluate_pass(lambda batch: {"count": tf.reduce_sum(batch["weight"])}, ["count"], strategy)
  assert whole_pass(batches, tf.constant(3, tf.int64)).numpy().tolist() == [2**24 + 2]
