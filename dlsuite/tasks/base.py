"""What the loop asks of a task: batches, one training step, one evaluation step, and its variables."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.pipeline import Evaluation
from dlsuite.strategy import Strategy
from dlsuite.training.learner import Batch, Learner


class Task(abc.ABC):
  """One kind of learning: data, networks, losses, metrics.

  A module below `dlsuite/tasks` exposes one subclass as `TASK`.

  Attributes:
    metrics: names of what `train_step` and `evaluate_step` return; `loss` comes first.
    networks: the networks by name, once `build` was called.
    learners: the learners by name, once `build` was called.
  """

  metrics: tuple[str, ...] = ("loss",)

  def __init__(self, config: ConfigDict, strategy: Strategy) -> None:
    self.config, self.strategy = config, strategy
    self.networks: dict[str, keras.Model] = {}
    self.learners: dict[str, Learner] = {}

  @abc.abstractmethod
  def open(self, prepare: bool = True) -> None:
    """Finds the data, and prepares them unless `prepare` is False."""

  @property
  @abc.abstractmethod
  def steps_per_epoch(self) -> int:
    """Training steps that make one pass over the training split."""

  @abc.abstractmethod
  def build_networks(self) -> dict[str, keras.Model]:
    """Returns new networks; called in the strategy's scope."""

  @abc.abstractmethod
  def train_batches(self, start_step: int) -> Any:
    """Returns a distributed iterator of batches from a step on."""

  @abc.abstractmethod
  def evaluation(self, split: str) -> Evaluation:
    """Returns the batches of `valid` or `test`."""

  @abc.abstractmethod
  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from one batch in replica context; returns the metrics' sums over this replica's examples."""

  @abc.abstractmethod
  def evaluate_step(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the metrics' sums over this replica's unmasked examples, and their number as `count`."""

  def build(self, total_steps: int, warmup_steps: int) -> None:
    """Makes networks and learners in the strategy's scope, from the config's seed."""
    precision = self.strategy.precision(self.config)
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(self.config.seed)
    with self.strategy.tf.scope():
      self.networks = self.build_networks()
      for network in self.networks.values():
        for layer in _layers(network):
          if self.config.strategy.sync_batch_norm and hasattr(layer, "synchronized"):
            layer.synchronized = True
      self.learners = self.build_learners(total_steps, warmup_steps)

  def build_learners(self, total_steps: int, warmup_steps: int) -> dict[str, Learner]:
    """Returns the learners; by default one for all networks together."""
    networks = list(self.networks.values())
    return {"main": Learner(networks, self.config, self.strategy, total_steps, warmup_steps)}

  def weights(self) -> dict[str, list[keras.Variable]]:
    """Returns the weights of every network, without the random seeds."""
    return {f"network.{name}": list(network.weights) for name, network in self.networks.items()}

  def variables(self) -> dict[str, list]:
    """Returns all that a checkpoint must hold, by group."""
    groups: dict[str, list] = dict(self.weights())
    for name, learner in self.learners.items():
      groups |= {f"learner.{name}.{group}": values for group, values in learner.variables().items()}
    return groups

  def evaluated_weights(self) -> dict[str, list[Any]]:
    """Returns the values of `weights()` as evaluation uses them: averaged where the config asks for that."""
    averages = {id(v): a for learner in self.learners.values() if learner.averages
                for v, a in zip(learner.trainable, learner.averages, strict=True)}
    return {group: [averages.get(id(v), v) for v in values] for group, values in self.weights().items()}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns the task's outputs for each example of a split, in its order."""
    raise NotImplementedError

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns the columns and rows of predictions.csv."""
    raise NotImplementedError


def _layers(network: keras.Model) -> list[keras.layers.Layer]:
  return list(network._flatten_layers(include_self=False, recursive=True))
