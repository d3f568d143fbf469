"""What the loop asks of a task: batches, one training step, one evaluation step, and its variables."""

import abc
import contextlib
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.feed import Feed
from dlsuite.errors import ConfigError, first_line
from dlsuite.layers.nested import inner_layers
from dlsuite.strategy import Strategy
from dlsuite.training import fine_tuning
from dlsuite.training.learner import Batch, Learner


@dataclasses.dataclass(frozen=True)
class Measurement:
  """What an evaluation found.

  Attributes:
    values: {metric: mean}, the names of `Task.reported`.
    count: over how many.
    unit: of what, e.g. `examples`, `bytes`, `episodes`.
  """

  values: dict[str, float]
  count: int
  unit: str


class Task(abc.ABC):
  """One kind of learning: data, networks, losses, metrics.

  A module below `dlsuite/tasks` exposes one subclass as `TASK`, may add keys to the config by a literal `OPTIONS`, and
  names in a literal `GIVES` what it gives to the model's `build`.

  Attributes:
    metrics: names of the sums that `train_step` returns; the first is shown while the run goes on.
    reported: names that an evaluation reports, if they are not `metrics`.
    curves: names of the metrics that the learning curves show; else the first and that of the reference.
    units: of the metrics that have one, as the curves show them.
    network: name of the network of a model whose `build` returns only one.
    networks: the networks by name, once `build` was called.
    learners: the learners by name, once `build` was called.
  """

  metrics: tuple[str, ...] = ("loss",)
  reported: tuple[str, ...] = ()
  curves: tuple[str, ...] = ()
  units: Mapping[str, str] = {}
  network = "network"

  def __init__(self, config: ConfigDict, strategy: Strategy) -> None:
    self.config, self.strategy = config, strategy
    self.reported = self.reported or self.metrics
    self.networks: dict[str, keras.Model] = {}
    self.learners: dict[str, Learner] = {}

  @abc.abstractmethod
  def open(self, prepare: bool = True) -> None:
    """Finds the data, and prepares them unless `prepare` is False."""

  @property
  def steps_per_epoch(self) -> int:
    """Training steps that make one pass over the training split; 0 where there is none to pass over."""
    return 0

  @property
  def data_identity(self) -> str:
    """The data as they are on this machine; a run goes on only with the same."""
    return ""

  @abc.abstractmethod
  def build_networks(self) -> dict[str, keras.Model]:
    """Returns new networks; called in the strategy's scope."""

  @abc.abstractmethod
  def feed(self, start_step: int) -> Feed:
    """Returns what the run trains from, from a step on."""

  @abc.abstractmethod
  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from one batch in replica context; returns the metrics' sums over this replica's examples."""

  @abc.abstractmethod
  def evaluate(self, split: str) -> Measurement:
    """Measures the networks, with averaged weights where there are any, on `valid` or `test`."""

  def measure(self, split: str) -> Measurement:
    """Measures the networks at the end: with all that the config asks of a final evaluation alone."""
    return self.evaluate(split)

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the name of the data and rows (split, what it reads, its size)."""
    return "", []

  def summarize(self, means: dict[str, float]) -> dict[str, float]:
    """Returns the values to report from the means of the metrics."""
    return means

  def culprit(self, lost: list[str]) -> str:
    """Returns what has diverged, from the names of the metrics that a training step left without a finite value."""
    return f"the {lost[0]}"

  def check(self, values: dict[str, float]) -> str:
    """Returns what has gone wrong with the networks though every number is finite, or an empty text."""
    return ""

  def frame(self) -> np.ndarray | None:
    """Returns a picture uint8 [H, W, 3] of what the networks can do now, for the film of the run, or None."""
    return None

  def generate(self, prompt: str) -> str:
    """Returns what a language model writes after a text."""
    raise NotImplementedError

  def build_model(self, **given: Any) -> dict[str, keras.Model]:
    """Returns what the builder of `model.name` makes of the task's and the config's arguments, by name.

    Raises:
      ConfigError: if it refuses them.
    """
    arguments = {key: value for key, value in self.config.model.items() if key != "name"}
    build = importlib.import_module(f"dlsuite.models.{self.config.model.name}").build
    try:
      made = build(**given, **arguments)
    except ValueError as e:
      of_data = ", ".join(f"{key}={value!r}" for key, value in given.items())
      of_config = ", ".join(f"model.{key}={value!r}" for key, value in arguments.items())
      if "resize" in self.config.data:
        of_data += f" (data.resize={self.config.data.resize})"
      raise ConfigError(f"model.name={self.config.model.name!r} cannot be built for {of_data} with {of_config or 'defaults'}: "
                        f"{first_line(e)}") from e
    return made if isinstance(made, dict) else {self.network: made}

  def build(self, total_steps: int, warmup_steps: int) -> None:
    """Makes networks and learners in the strategy's scope, from the config's seed."""
    precision = self.strategy.precision(self.config)
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    keras.utils.set_random_seed(self.config.seed)
    with self.strategy.tf.scope():
      self.networks = self.build_networks()
      fine_tuning.freeze(self.networks, self.config.optimizer.frozen)
      for network in self.networks.values():
        for layer in inner_layers(network):
          if self.config.strategy.sync_batch_norm and hasattr(layer, "synchronized"):
            layer.synchronized = True
      self.learners = self.build_learners(total_steps, warmup_steps)

  @property
  def main_network(self) -> keras.Model:
    """The first network as it is evaluated, of the same weights: what the analyses look at."""
    return next(iter(self.networks.values()))

  def build_learners(self, total_steps: int, warmup_steps: int) -> dict[str, Learner]:
    """Returns the learners; by default one for all networks together."""
    return {"main": Learner(list(self.networks.values()), self.config, self.strategy, total_steps, warmup_steps)}

  def averaged(self) -> contextlib.AbstractContextManager:
    """Returns a scope in which all networks compute with their averaged weights, if the config asks for averages."""
    pairs = [(v, a.value) for learner in self.learners.values() if learner.averages
             for v, a in zip(learner.trainable, learner.averages, strict=True)]
    return keras.StatelessScope(pairs) if pairs else contextlib.nullcontext()

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

  def analysed(self) -> dict[str, np.ndarray]:
    """Returns what the analyses look at: by default the predictions of the test split."""
    return self.predict("test")

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns the columns and rows of predictions.csv."""
    raise NotImplementedError
