"""What a stateful network hands from one batch to the next: a row for each row of the batch, whichever replica has it."""

from collections.abc import Sequence

import tensorflow as tf

from dlsuite.data.feed import rows_of_replica
from dlsuite.strategy import Strategy


class Carry:
  """Variables [B, ...] that every replica holds whole, so that a checkpoint of any number of replicas fits any other.

  Made inside the strategy's scope.

  Args:
    shapes: of one row of each variable.
    rows: B, over all replicas.
    strategy: the process's strategy.
  """

  def __init__(self, shapes: Sequence[tuple[int, ...]], rows: int, strategy: Strategy) -> None:
    self._replicas = strategy.replicas
    self.variables = [tf.Variable(tf.zeros([rows, *shape]), trainable=False, name=f"carry_{i}")
                      for i, shape in enumerate(shapes)]

  def read(self, start: tf.Tensor) -> list[tf.Tensor]:
    """Returns this replica's rows [b, ...] in replica context, 0 where `start` [b] is 1."""
    keep = 1.0 - start
    return [rows_of_replica(tf.convert_to_tensor(v), self._replicas) * tf.reshape(keep, [-1] + [1] * (len(v.shape) - 1))
            for v in self.variables]

  def write(self, rows: Sequence[tf.Tensor]) -> None:
    """Keeps this replica's rows [b, ...] for its next batch, in replica context."""
    context = tf.distribute.get_replica_context()
    replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
    whole = []
    for variable, value in zip(self.variables, rows, strict=True):
      ours = tf.one_hot(replica, self._replicas)
      places = tf.tensordot(ours, tf.cast(value, tf.float32), 0)  # [R, b, ...], 0 but for this replica's
      whole.append(tf.reshape(places, variable.shape))
    if self._replicas > 1:
      whole = context.all_reduce(tf.distribute.ReduceOp.SUM, whole)
    context.merge_call(self._assign, args=(whole,))

  def _assign(self, strategy: tf.distribute.Strategy, values: list) -> None:
    for variable, value in zip(self.variables, values, strict=True):
      strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,), group=False)
