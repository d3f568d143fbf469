"""What a task trains from: an endless stream of batches, or an agent that gathers its own."""

import abc
from typing import Any

import numpy as np
import tensorflow as tf

# What one call of the compiled loop reads: a distributed iterator, or {word: [count, B, ...]}, one global batch a step.
Source = Any


class Feed(abc.ABC):
  """Hands the loop what its next call trains on. The loop cannot tell the kinds apart."""

  @abc.abstractmethod
  def limit(self, step: int) -> int:
    """Returns how many steps from `step` on one call may make at most."""

  @abc.abstractmethod
  def source(self, step: int, count: int) -> Source:
    """Returns the batches of the steps `step` to `step + count`, not included; steps come in order."""

  def logs(self) -> dict[str, float]:
    """Returns what the feed has to say for the next training row, e.g. the returns of the episodes since the last."""
    return {}

  def state(self) -> dict[str, np.ndarray]:
    """Returns all that the feed needs, beside the step and the networks, to go on to the bit."""
    return {}

  def restore(self, arrays: dict[str, np.ndarray]) -> None:  # noqa: B027 - most feeds have nothing to restore
    """Takes what `state` returned."""


class Stream(Feed):
  """Batches of a data set: they depend on the step alone, so there is nothing to save.

  Args:
    iterator: distributed, at the first step that will be asked for.
  """

  def __init__(self, iterator: Any) -> None:
    self._iterator = iterator

  def limit(self, step: int) -> int:
    """Returns a number that no run reaches."""
    return 2**62

  def source(self, step: int, count: int) -> Source:
    """Returns the iterator."""
    return self._iterator


def is_stacked(source: Source) -> bool:
  """Returns whether a source is {word: [count, B, ...]}."""
  return isinstance(source, dict)


def rows_of_replica(value: tf.Tensor, replicas: int) -> tf.Tensor:
  """Returns this replica's part [B/R, ...] of a global batch [B, ...], in replica context."""
  if replicas == 1:
    return value
  parts = tf.reshape(value, [replicas, value.shape[0] // replicas, *value.shape[1:]])  # a slice would lose the static shape
  return parts[tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)]
