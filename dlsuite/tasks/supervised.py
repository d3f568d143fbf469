"""What all tasks share that learn from the examples of a tfds data set: opening the splits, serving batches, evaluating."""

import functools
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tensorflow as tf

from dlsuite.data import other_set, pipeline, randomness, sources
from dlsuite.data.feed import Feed, Stream
from dlsuite.data.pipeline import Augment, Evaluation, Split
from dlsuite.tasks.base import Measurement, Task
from dlsuite.training import steps
from dlsuite.training.learner import Batch

SPLITS = ("train", "valid", "test")
_EVALUATION = 2**40  # stands for the step in the noise of an evaluation


class Supervised(Task):
  """A task whose networks map a batch to outputs, with a loss for each example.

  Subclasses give `build_networks`, `outputs`, `losses` and, if they augment, `augment`.

  Attributes:
    builder: of the tfds set, once `open` was called.
    test_builder: of the set that is tested on, where it is another one (`data.test_name`).
    noise_size: how many standard normal numbers each example brings along as `noise`; those of a row depend on seed, step
      and its place in the global batch, in an evaluation on seed and its place in the split.
    from_predictions: what an evaluation reports beside the means of the metrics, from what `predict` returns of a split, if it
      needs all predictions together; these then hold the metrics of each example, too.
  """

  builder: Any
  test_builder: Any = None
  augment: Augment | None = None
  noise_size: int = 0
  from_predictions: Callable[[dict[str, np.ndarray]], dict[str, float]] | None = None

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds sets and checks that no two splits share examples."""
    self.open_sets(prepare)
    if self.builder.info.splits:
      sources.check_batch(self.builder, self.config.data.train, self.config.data.batch_size)
      if self.test_builder and self.test_builder.info.splits:
        ours, theirs = (self.split(key).examples().element_spec for key in ("train", "test"))
        other_set.check_specs(ours, theirs, self.config.data)

  def open_sets(self, prepare: bool) -> None:
    """Finds the set that is learnt, and another one that is tested on where there is one.

    Raises:
      DataError: if one is missing or two splits share examples, or the two sets do not go together.
    """
    data = self.config.data
    self.builder = self.open_builder(data.name, prepare)
    if data.test_name:
      other = self.open_builder(data.test_name, prepare, "data.test_name")
      if other.info.full_name != self.builder.info.full_name:
        other_set.check(self.builder, other, data)
        self.test_builder = other
    learnt, tested = (SPLITS[:2], SPLITS[2:]) if self.test_builder else (SPLITS, ())
    for builder, keys in ((self.builder, learnt), (self.test_builder, tested)):
      if keys and builder.info.splits:
        sources.check_disjoint(builder, {key: data[key] for key in keys})

  def open_builder(self, name: str, prepare: bool, key: str = "data.name") -> Any:
    """Returns the tfds builder of a set that the config names as `key`."""
    return sources.open_builder(name, prepare, key)

  def builder_of(self, split: str) -> Any:
    """Returns the tfds builder of the set that `train`, `valid` or `test` is read from."""
    return self.test_builder if split == "test" and self.test_builder else self.builder

  @property
  def data_identity(self) -> str:
    """The set's name and version, and those of the set that is tested on, if it is another one."""
    return f"{self.builder.info.full_name}{self.tested_on}"

  @property
  def tested_on(self) -> str:
    """What the identity of the data ends in: the set that is tested on, if it is another one."""
    return f", tested on {self.test_builder.info.full_name}" if self.test_builder else ""

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the full name of the set, or of the two, and what each split reads."""
    data = self.config.data

    def size(key: str) -> str:
      splits = self.builder_of(key).info.splits
      return "-" if not data[key] else f"{splits[data[key]].num_examples:,}" if splits else "not prepared"

    return self.data_identity, [[key, data[key] or "-", size(key)] for key in SPLITS]

  def split(self, key: str) -> Split:
    """Returns a split ready to be read; `key` is `train`, `valid` or `test`."""
    return Split.open(self.builder_of(key), self.config, key)

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

  def arrays(self, split: str, most: int = -1) -> dict[str, np.ndarray]:
    """Returns the examples of a split, {word: [N, ...]}; at most so many of the first, -1 all."""
    return self.split(split).arrays(most)

  def outputs(self, batch: Batch, training: bool) -> Any:
    """Returns the networks' outputs for a batch."""
    raise NotImplementedError

  def predicted(self, batch: Batch) -> Any:
    """Returns what `predict` keeps of a batch: by default the outputs."""
    return self.outputs(batch, False)

  def losses(self, outputs: Any, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the loss of each example [b], and every metric of each example {name: [b]}."""
    raise NotImplementedError

  @property
  def tallies(self) -> dict[str, int]:
    """Names and lengths of what an evaluation adds up beside the metrics: of each example a row of numbers."""
    return {}

  def tally(self, outputs: Any, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the rows of each example, {name: [b, length]}."""
    return {}

  def from_tallies(self, sums: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns what an evaluation reports beside the means of the metrics, from the sums of the rows."""
    return {}

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
    """Returns the metrics' and tallies' sums over this replica's unmasked examples, and their number as `count`."""
    return self.sums(batch, lambda part: self.outputs(part, False))

  def sums(self, batch: Batch, outputs_of: Callable[[Batch], Any]) -> dict[str, tf.Tensor]:
    """Returns what `evaluate_step` does, of other outputs."""
    batch = self.with_evaluation_noise(batch)
    mask = batch[pipeline.MASK]
    with self.averaged():
      outputs = outputs_of(batch)
      _, metrics = self.losses(outputs, batch, False)
    found = {name: tf.reduce_sum(tf.cast(values, tf.float32) * mask) for name, values in metrics.items()}
    rows = {name: tf.reduce_sum(values * mask[:, None], 0) for name, values in self.tally(outputs, batch).items()}
    return found | rows | {"count": tf.reduce_sum(mask)}

  @property
  def summed(self) -> tuple[str, ...]:
    """Names of all that an evaluation adds up, in order."""
    return (*self.metrics, *self.tallies, "count")

  def evaluation_pass(self, step: Callable[[Batch], dict[str, tf.Tensor]]) -> Any:
    """Returns the compiled pass over a split whose step is `step`."""
    return steps.evaluate_pass(step, self.summed, self.strategy, len(self.metrics) + sum(self.tallies.values()) + 1)

  @functools.cached_property
  def _pass(self) -> Any:
    return self.evaluation_pass(self.evaluate_step)

  def replica_evaluation(self) -> Callable[[Batch], Any]:
    """Returns what each replica runs for one batch of `evaluate`."""
    if self.from_predictions:
      return self.predict_step
    return steps.replica_evaluate_step(self.evaluate_step, self.summed, self.strategy)

  def evaluate(self, split: str) -> Measurement:
    """Returns the metrics over each example of a split, once."""
    if not self.from_predictions:
      return self.measured(split, self._pass)
    found = self.predict(split)
    means = self.summarize({name: float(found[name].mean(dtype=np.float64)) for name in self.metrics})
    return Measurement(means | self.from_predictions(found), len(found[self.metrics[0]]), self.evaluation(split).unit)

  def measured(self, split: str, whole_pass: Any) -> Measurement:
    """Returns what a compiled pass finds on a split."""
    evaluation = self.evaluation(split)
    found = whole_pass(evaluation.batches, tf.constant(evaluation.steps, tf.int64)).numpy()
    count, means = float(found[-1]), found[:len(self.metrics)]
    if int(count) != evaluation.size:
      raise AssertionError(f"{split}: {count} {evaluation.unit} evaluated, the split has {evaluation.size}")
    values = self.summarize({name: float(s) / count for name, s in zip(self.metrics, means, strict=True)})
    rows, start = {}, len(self.metrics)
    for name, length in self.tallies.items():
      rows[name] = found[start:start + length]
      start += length
    return Measurement(values | self.from_tallies(rows), int(count), evaluation.unit)

  def predict_step(self, batch: Batch) -> Batch:
    """Returns this replica's part of a batch with what `predict` keeps of it."""
    batch = self.with_evaluation_noise(pipeline.own_part(batch, self.strategy))
    with self.averaged():
      found = self.predicted(batch)
    named = found if isinstance(found, dict) else {"outputs": found}
    return batch | {name: tf.cast(value, tf.float32) for name, value in named.items()}

  @functools.cached_property
  def _predict_step(self) -> Any:
    return tf.function(self.predict_step)

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns every feature and the outputs, float32 [N, ...], of each example, in the split's order.

    Outputs that are a dict come under their own names, others as `outputs`.
    """
    return self.gathered(split)

  def gathered(self, split: str, without: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Returns the same but for what `without` names: images of a large split do not fit into memory."""
    evaluation = self.evaluation(split)
    parts: dict[str, list[np.ndarray]] = {}
    for _ in range(evaluation.steps):
      results = self.strategy.tf.run(self._predict_step, args=(next(evaluation.batches),))
      for name, value in results.items():
        if name not in without:
          parts.setdefault(name, []).append(self.strategy.gathered(value))
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    real = joined.pop(pipeline.MASK) > 0
    return {name: values[real] for name, values in joined.items() if name not in (pipeline.INDEX, "noise")}
