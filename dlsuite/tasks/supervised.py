"""What all tasks share that learn a network from a tfds data set: opening the splits and serving batches."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from dlsuite.data import pipeline, sources
from dlsuite.data.pipeline import Augment, Evaluation, Split
from dlsuite.tasks.base import Task
from dlsuite.training.learner import Batch


class Supervised(Task):
  """A task with one network that maps a batch to outputs, and a loss for each example.

  Subclasses give `build_networks`, `outputs`, `losses` and, if they augment, `augment`.
  """

  augment: Augment | None = None

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set and checks that no two splits share examples."""
    self.builder = sources.open_builder(self.config.data.name, prepare)
    if self.builder.info.splits:
      sources.check_disjoint(self.builder, {key: self.config.data[key] for key in ("train", "valid", "test")})
      sources.check_batch(self.builder, self.config.data.train, self.config.data.batch_size)

  @functools.cached_property
  def _train_split(self) -> Split:
    return Split.open(self.builder, self.config, "train")

  @property
  def steps_per_epoch(self) -> int:
    """Whole batches in the training split."""
    return max(1, self._train_split.size // self.config.data.batch_size)

  def train_batches(self, start_step: int) -> Any:
    """Returns the training batches from a step on."""
    return pipeline.train_batches(self._train_split, self.config, self.strategy, start_step, self.augment)

  @functools.cache  # noqa: B019 - one task a process
  def evaluation(self, split: str) -> Evaluation:
    """Returns the batches of a split, made once."""
    return pipeline.evaluation_batches(Split.open(self.builder, self.config, split), self.config.evaluate.batch_size,
                                       self.strategy)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor:
    """Returns the network's outputs for a batch."""
    raise NotImplementedError

  def losses(self, outputs: tf.Tensor, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the loss of each example [b], and every metric of each example {name: [b]}."""
    raise NotImplementedError

  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from this replica's part {word: [B/R, ...]}."""
    return self.learners["main"].update(lambda part: self.losses(self.outputs(part, True), part, True), batch, step)

  def evaluate_step(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns masked sums over this replica's part."""
    mask = batch[pipeline.MASK]
    with self.learners["main"].averaged():
      _, metrics = self.losses(self.outputs(batch, False), batch, False)
    return {name: tf.reduce_sum(tf.cast(values, tf.float32) * mask) for name, values in metrics.items()} | {
      "count": tf.reduce_sum(mask)}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns every feature and the outputs, float32 [N, ...], of each example, in the split's order."""
    evaluation = self.evaluation(split)

    @tf.function
    def step(batch: Batch) -> dict[str, tf.Tensor]:
      batch = pipeline.own_part(batch, self.strategy)
      with self.learners["main"].averaged():
        return batch | {"outputs": tf.cast(self.outputs(batch, False), tf.float32)}

    parts: dict[str, list[np.ndarray]] = {}
    for _ in range(evaluation.steps):
      results = self.strategy.tf.run(step, args=(next(evaluation.batches),))
      for name, value in results.items():
        parts.setdefault(name, []).append(self.strategy.gathered(value))
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    real = joined.pop(pipeline.MASK) > 0
    return {name: values[real] for name, values in joined.items()}
