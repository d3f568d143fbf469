"""The compiled inner loops: K training steps a call, and a pass over a split."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dlsuite.data import feed
from dlsuite.data.pipeline import own_part
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task

# (source, first step, number of steps, sums so far [M], stop flag) ->
# (sums [M], first step with a metric that is not finite or -1, that step's sums [M], seconds spent waiting for data,
# stop flags summed over workers)
RunSteps = Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]]


def train_steps(task: Task, strategy: Strategy) -> RunSteps:
  """Returns the function that makes `count` training steps in one call.

  The sums are carried from call to call in the graph's own order of addition, so that the number of steps a call
  changes no bit of any metric. Waiting for data is the time from the start of an iteration until its batch is there.
  """
  replica_step = replica_train_step(task, strategy)

  @tf.function(reduce_retracing=True)
  def run(source: feed.Source, first: tf.Tensor, count: tf.Tensor, sums: tf.Tensor, stop: tf.Tensor) -> Any:
    stacked = feed.is_stacked(source)

    def body(i: tf.Tensor, sums: tf.Tensor, bad: tf.Tensor, lost: tf.Tensor, waited: tf.Tensor) -> tuple:
      with tf.control_dependencies([i]):
        began = tf.timestamp()
      batch = {word: value[i] for word, value in source.items()} if stacked else next(source)
      with tf.control_dependencies(_local_tensors(strategy, batch)):
        ready = tf.timestamp()
      step = first + i
      new = _first(strategy, strategy.tf.run(replica_step, args=(batch, step, stacked)))
      first_bad = (bad < 0) & ~tf.reduce_all(tf.math.is_finite(new))
      return i + 1, sums + new, tf.where(first_bad, step, bad), tf.where(first_bad, new, lost), waited + ready - began

    zero = tf.zeros([], tf.int64)
    start = (zero, sums, zero - 1, tf.zeros_like(sums), tf.zeros([], tf.float64))
    _, sums, bad, lost, waited = tf.while_loop(lambda i, *_: i < count, body, start)
    if strategy.workers > 1:
      stop = _first(strategy, strategy.tf.run(lambda: _over_replicas(stop)))
    return sums, bad, lost, waited, stop

  return run


def replica_train_step(task: Task, strategy: Strategy) -> Callable[[Any, tf.Tensor, bool], tf.Tensor]:
  """Returns what each replica runs for one training step: (batch, step, whether it is of a stacked source) -> the sums of
  the task's metrics over all replicas, float32 [M]."""

  def replica_step(batch: Any, step: tf.Tensor, stacked: bool) -> tf.Tensor:
    if stacked:
      part = {word: feed.rows_of_replica(value, strategy.replicas) for word, value in batch.items()}
    else:
      part = own_part(batch, strategy)
    sums = task.train_step(part, step)
    return _over_replicas(tf.stack([sums[name] for name in task.metrics]))

  return replica_step


def evaluate_pass(evaluate_step: Callable[[Any], dict[str, tf.Tensor]], names: Sequence[str], strategy: Strategy,
                  length: int | None = None) -> Callable[[Any, tf.Tensor], tf.Tensor]:
  """Returns the function (iterator, batches) -> the sums that `names` name, float64 [N]: float32 counts to 2^24 only.

  Args:
    evaluate_step: the sums over one replica's part of a batch, each one number or [K].
    names: of the sums, in the order wanted.
    strategy: the process's strategy.
    length: how many numbers all sums are together; by default each is one.
  """

  replica_step = replica_evaluate_step(evaluate_step, names, strategy)

  @tf.function(reduce_retracing=True)
  def run(iterator: Any, count: tf.Tensor) -> tf.Tensor:
    def body(i: tf.Tensor, sums: tf.Tensor) -> tuple:
      found = _first(strategy, strategy.tf.run(replica_step, args=(next(iterator),)))
      return i + 1, sums + tf.cast(found, tf.float64)

    nothing = tf.zeros([length or len(names)], tf.float64)
    return tf.while_loop(lambda i, _: i < count, body, (tf.zeros([], tf.int64), nothing))[1]

  return run


def replica_evaluate_step(evaluate_step: Callable[[Any], dict[str, tf.Tensor]], names: Sequence[str], strategy: Strategy
                          ) -> Callable[[Any], tf.Tensor]:
  """Returns what each replica runs for one batch of an evaluation: (batch) -> the sums over all replicas, float32 [N].

  The arguments are those of `evaluate_pass`.
  """

  def replica_step(batch: Any) -> tf.Tensor:
    sums = evaluate_step(own_part(batch, strategy))
    return _over_replicas(tf.concat([tf.reshape(sums[name], [-1]) for name in names], 0))

  return replica_step


def _over_replicas(value: tf.Tensor) -> tf.Tensor:
  """Returns the sum over all replicas of all workers, in replica context."""
  # The copy is placed on the replica's device: a reduction of a tensor without one fails on several workers.
  return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))


def _first(strategy: Strategy, value: Any) -> tf.Tensor:
  """Returns this worker's first replica's value, where all replicas hold the same."""
  return strategy.tf.experimental_local_results(value)[0]


def _local_tensors(strategy: Strategy, batch: Any) -> list[tf.Tensor]:
  return [part for value in tf.nest.flatten(batch) for part in strategy.tf.experimental_local_results(value)]
