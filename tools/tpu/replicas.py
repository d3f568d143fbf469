"""A tf.distribute strategy for export: one replica's program, written as it would run on each of many chips.

On a TPU, TPUStrategy compiles what `strategy.run` calls as one program that every core runs on its part of the batch, and
a reduction in it becomes a cross-replica sum. Here the same Python code is traced on a machine without a TPU; a replica's
number is XLA's replica id and a reduction XLA's all-reduce, one operation a tensor, as TPUStrategy has it.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.distribute import distribute_lib, one_device_strategy


class ReplicaStrategy(tf.distribute.Strategy):
  """Traces one replica's program for `replicas` of them. Variables are plain; nothing may be executed.

  Args:
    replicas: how many run the program in step.
  """

  def __init__(self, replicas: int) -> None:
    super().__init__(_Extended(self, replicas))

  def distribute_datasets_from_function(self, dataset_fn: Callable, options: Any = None) -> tf.data.Dataset:
    """Returns the undistributed dataset, whose elements are each one replica's part of a batch."""
    return dataset_fn(tf.distribute.InputContext(1, 0, self.num_replicas_in_sync))


class _Extended(one_device_strategy.OneDeviceExtended):
  def __init__(self, container_strategy: tf.distribute.Strategy, replicas: int) -> None:
    super().__init__(container_strategy, "/cpu:0")
    self._replicas = replicas

  @property
  def _num_replicas_in_sync(self) -> int:
    return self._replicas

  def _call_for_each_replica(self, fn: Callable, args: tuple, kwargs: dict) -> Any:
    with _Context(self._container_strategy()):
      return fn(*args, **kwargs)

  def _reduce_to(self, reduce_op: tf.distribute.ReduceOp, value: Any, destinations: Any, options: Any) -> tf.Tensor:
    if reduce_op not in (tf.distribute.ReduceOp.SUM, tf.distribute.ReduceOp.MEAN):
      raise NotImplementedError(f"TPUStrategy reduces by SUM and MEAN, not {reduce_op}")
    tensor = tf.convert_to_tensor(value)  # sparse gradients become dense, as they do on a TPU
    if self._replicas == 1:
      return tf.identity(tensor)
    if reduce_op == tf.distribute.ReduceOp.MEAN:
      tensor *= tf.constant(1.0 / self._replicas, tensor.dtype)
    return gen_xla_ops.xla_all_reduce(input=tensor, group_assignment=[list(range(self._replicas))], reduce_op="Add",
                                      mode="CrossReplica")


class _Context(distribute_lib.ReplicaContext):
  def __init__(self, strategy: tf.distribute.Strategy) -> None:
    super().__init__(strategy, replica_id_in_sync_group=0)

  @property
  def replica_id_in_sync_group(self) -> tf.Tensor:
    """The number of the replica, int32, known only when the program runs."""
    if self.num_replicas_in_sync == 1:
      return tf.constant(0, tf.int32)
    return gen_xla_ops.xla_replica_id()

  @property
  def devices(self) -> tuple[str, ...]:
    """The one device of the trace."""
    return self._strategy.extended.worker_devices
