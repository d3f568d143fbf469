"""What all tasks share that learn from the examples of a tfds data set: opening the splits, serving batches, evaluating."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from dlsuite.data import pipeline, randomness, sources
from dlsuite.data.feed import Feed, Stream
from dlsuite.data.pipeline import Augment, Evaluation, Split
from dlsuite.tasks.base import Measurement, Task
from dlsuite.training import steps
from dlsuite.training.learner import Batch

_EVALUATION = 2**40  # stands for the step in the noise of an evaluation


class Supervised(Task):
  """A task whose networks map a batch to outputs, with a loss for each example.

  Subclasses give `build_networks`, `outputs`, `losses` and, if they augment, `augment`.

  Attributes:
    noise_size: how many standard normal numbers each example brings along as `noise`; those of a row depend on seed, step
      and its place in the global batch, in an evaluation on seed and its place in the split.
  """

  augment: Augment | None = None
  noise_size: int = 0

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set and checks that no two splits share examples."""
    self.builder = sources.open_builder(self.config.data.name, prepare)
    if self.builder.info.splits:
      sources.check_disjoint(self.builder, {key: self.config.data[key] for key in ("train", "valid", "test")})
      sources.check_batch(self.builder, self.config.data.train, self.config.data.batch_size)

  @property
  def data_identity(self) -> str:
    """The set's name and version."""
    return str(self.builder.info.full_name)

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the set's full name and what each split reads."""
    splits, data = self.builder.info.splits, self.config.data

    def size(split: str) -> str:
      return "-" if not split else f"{splits[split].num_examples:,}" if splits else "not prepared"

    return self.data_identity, [[key, data[key] or "-", size(data[key])] for key in ("train", "valid", "test")]

  def split(self, key: str) -> Split:
    """Returns a split ready to be read; `key` is `train`, `valid` or `test`."""
    return Split.open(self.builder, self.config, key)

  @functools.cached_property
  def _train_split(self) -> Split:
    return self.split("train")

  @property
  def steps_per_epoch(self) -> int:
    """Whole batches in the training split; 0 if the set is not prepared."""
    return max(1, self._train_split.size // self.config.data.batch_size) if self.builder.info.splits else 0

  def train_batches(self, start_step: int) -> Any:
    """Returns a distributed iterator of the training batches from a step on."""
    return pipeline.train_batches(self._train_split, self.config, self.strategy, start_step, self.augment)

  def feed(self, start_step: int) -> Feed:
    """Returns the training batches as a feed."""
    return Stream(self.train_batches(start_step))

  @functools.cache  # noqa: B019 - one task a process
  def evaluation(self, split: str) -> Evaluation:
    """Returns the batches of a split, made once."""
    return pipeline.evaluation_batches(self.split(split), self.config.evaluate.batch_size, self.strategy)

  def arrays(self, split: str) -> dict[str, np.ndarray]:
    """Returns the examples of a split, {word: [N, ...]}."""
    return self.split(split).arrays()

  def outputs(self, batch: Batch, training: bool) -> Any:
    """Returns the networks' outputs for a batch."""
    raise NotImplementedError

  def predicted(self, batch: Batch) -> Any:
    """Returns what `predict` keeps of a batch: by default the outputs."""
    return self.outputs(batch, False)

  def losses(self, outputs: Any, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the loss of each example [b], and every metric of each example {name: [b]}."""
    raise NotImplementedError

  def with_noise(self, batch: Batch, step: tf.Tensor) -> Batch:
    """Returns a training batch with its `noise`, in replica context."""
    if not self.noise_size:
      return batch
    part = next(iter(batch.values())).shape[0]
    replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
    rows = replica * part + tf.range(part, dtype=tf.int64)
    return batch | {"noise": randomness.normal(self.config.seed, step, rows, self.noise_size)}

  def with_evaluation_noise(self, batch: Batch) -> Batch:
    """Returns a batch of an evaluation with its `noise`."""
    if not self.noise_size:
      return batch
    step = tf.constant(_EVALUATION, tf.int64)
    return batch | {"noise": randomness.normal(self.config.seed, step, batch[pipeline.INDEX], self.noise_size)}

  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from this replica's part {word: [B/R, ...]}."""
    sums, _ = self.learners["main"].update(lambda part: (*self.losses(self.outputs(part, True), part, True), {}),
                                           self.with_noise(batch, step), step)
    return sums

  def evaluate_step(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the metrics' sums over this replica's unmasked examples, and their number as `count`."""
    batch = self.with_evaluation_noise(batch)
    mask = batch[pipeline.MASK]
    with self.averaged():
      _, metrics = self.losses(self.outputs(batch, False), batch, False)
    return {name: tf.reduce_sum(tf.cast(values, tf.float32) * mask) for name, values in metrics.items()} | {
      "count": tf.reduce_sum(mask)}

  @functools.cached_property
  def _pass(self) -> Any:
    return steps.evaluate_pass(self.evaluate_step, (*self.metrics, "count"), self.strategy)

  def evaluate(self, split: str) -> Measurement:
    """Returns the metrics' means over each example of a split, once."""
    evaluation = self.evaluation(split)
    *sums, count = self._pass(evaluation.batches, tf.constant(evaluation.steps, tf.int64)).numpy()
    if int(count) != evaluation.size:
      raise AssertionError(f"{split}: {count} {evaluation.unit} evaluated, the split has {evaluation.size}")
    means = {name: float(s) / float(count) for name, s in zip(self.metrics, sums, strict=True)}
    return Measurement(self.summarize(means), int(count), evaluation.unit)

  @functools.cached_property
  def _predict_step(self) -> Any:
    @tf.function
    def step(batch: Batch) -> dict[str, tf.Tensor]:
      batch = self.with_evaluation_noise(pipeline.own_part(batch, self.strategy))
      with self.averaged():
        found = self.predicted(batch)
      named = found if isinstance(found, dict) else {"outputs": found}
      return batch | {name: tf.cast(value, tf.float32) for name, value in named.items()}

    return step

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns every feature and the outputs, float32 [N, ...], of each example, in the split's order.

    Outputs that are a dict come under their own names, others as `outputs`.
    """
    evaluation = self.evaluation(split)
    parts: dict[str, list[np.ndarray]] = {}
    for _ in range(evaluation.steps):
      results = self.strategy.tf.run(self._predict_step, args=(next(evaluation.batches),))
      for name, value in results.items():
        parts.setdefault(name, []).append(self.strategy.gathered(value))
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    real = joined.pop(pipeline.MASK) > 0
    return {name: values[real] for name, values in joined.items() if name not in (pipeline.INDEX, "noise")}
