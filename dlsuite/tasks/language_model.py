"""The next byte of a text: softmax cross-entropy, truncated backpropagation with a state that goes on from window to window."""

import functools
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import pipeline, sources
from dlsuite.data.feed import Feed, Stream
from dlsuite.data.pipeline import Evaluation
from dlsuite.data.text import Windows, evaluation_windows, train_windows
from dlsuite.errors import ConfigError
from dlsuite.tasks.supervised import SPLITS, Supervised
from dlsuite.training.carry import Carry
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.window": (64, "above 0 and finite"),  # bytes that the gradient goes back at most
  "generate.length": (500, "above 0 and finite"),  # bytes
  "generate.temperature": (0.7, "above 0 and finite"),
}
GIVES = ("vocabulary_size",)  # to the model's `build`

_NEWLINE = 10  # stands before the text


class LanguageModel(Supervised):
  """One text a split. The vocabulary is the bytes that occur in the set; rows of a batch are parts of the text.

  The network maps codes int32 [B, T] and states [B, U] to logits [B, T, V] and the states after the window.
  """

  metrics = ("loss", "accuracy")
  reported = ("loss", "bits_per_byte", "accuracy")
  curves = ("bits_per_byte", "accuracy")
  units: Mapping[str, str] = {"loss": "nats a byte", "bits_per_byte": "bits"}
  network = "language_model"

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set, reads its texts and lists its bytes."""
    self.open_sets(prepare)
    sources.feature(self.builder, self.config.data.features, "text", tfds.features.Text)

  @functools.cache  # noqa: B019 - one task a process
  def text(self, key: str) -> np.ndarray:
    """Returns the bytes of `train`, `valid` or `test`, uint8 [N]."""
    dataset = self.builder_of(key).as_dataset(split=self.config.data[key]).with_options(pipeline.fixed_options())
    whole = b"".join(example[self.config.data.features["text"]] for example in dataset.as_numpy_iterator())
    return np.frombuffer(whole, np.uint8)

  @functools.cached_property
  def vocabulary(self) -> np.ndarray:
    """The bytes that occur in the splits, ascending, and the newline; all 256 if the set is not prepared."""
    if not self.builder.info.splits:
      return np.arange(256, dtype=np.uint8)
    texts = [self.text(key) for key in SPLITS if self.config.data[key] and self.builder_of(key).info.splits]
    return np.unique(np.concatenate([*texts, np.array([_NEWLINE], np.uint8)]))

  @functools.cached_property
  def data_identity(self) -> str:  # type: ignore[override]
    """The set's full name and the hash of the training text."""
    if not self.builder.info.splits:
      return super().data_identity
    text = hashlib.sha256(self.text("train").tobytes()).hexdigest()[:12]
    return f"{self.builder.info.full_name} (sha256 {text}){self.tested_on}"

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the set's name and hash, and the bytes of each split."""
    data = self.config.data

    def size(key: str) -> str:
      return f"{len(self.text(key)):,} bytes" if data[key] and self.builder_of(key).info.splits else "-"

    return self.data_identity, [[key, data[key] or "-", size(key)] for key in SPLITS]

  @functools.cache  # noqa: B019 - one task a process
  def _windows(self, key: str, rows: int) -> Windows:
    codes = np.searchsorted(self.vocabulary, self.text(key)).astype(np.int32)
    return Windows(codes, int(np.searchsorted(self.vocabulary, _NEWLINE)), rows, self.config.data.window)

  @property
  def steps_per_epoch(self) -> int:
    """Windows in a row of the training text; 0 if the set is not prepared."""
    return self._windows("train", self.config.data.batch_size).steps_per_epoch if self.builder.info.splits else 0

  def feed(self, start_step: int) -> Feed:
    """Returns the training windows from a step on."""
    windows = self._windows("train", self.config.data.batch_size)
    return Stream(train_windows(windows, self.config.seed, self.strategy, start_step))

  @functools.cache  # noqa: B019 - one task a process
  def evaluation(self, split: str) -> Evaluation:
    """Returns the windows of a split, made once."""
    return evaluation_windows(self._windows(split, self.config.evaluate.batch_size), self.strategy)

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the language model that `model.name` names, and makes room for its state."""
    networks = self.build_model(vocabulary_size=len(self.vocabulary))
    shapes = [tuple(state.shape[1:]) for state in networks[self.network].inputs[1:]]
    self._carry = Carry(shapes, self.config.data.batch_size, self.strategy)
    rows = -(-self.config.evaluate.batch_size // self.strategy.replicas) * self.strategy.replicas
    self._evaluation_carry = Carry(shapes, rows, self.strategy)  # begins anew with each pass: nothing to save
    return networks

  def variables(self) -> dict[str, list]:
    """Returns all that a checkpoint must hold, the state among it."""
    return super().variables() | {"carry": list(self._carry.variables)}

  def outputs(self, batch: Batch, training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns the logits float32 [b, T, V] and the states after the window, from `inputs` and `state0`, `state1`, ..."""
    states = [batch[f"state{i}"] for i in range(len(self._carry.variables))]
    logits, *after = self.networks[self.network]([batch["inputs"], *states], training=training)
    return tf.cast(logits, tf.float32), after

  def _measured(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
    """Returns the loss in nats and whether the byte was guessed, each [b, T], and the states."""
    logits, states = self.outputs(batch, training)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["targets"], logits)
    right = tf.equal(tf.argmax(logits, -1, output_type=tf.int32), batch["targets"])
    return {"loss": nats, "accuracy": tf.cast(right, tf.float32)}, states

  @staticmethod
  def _with_state(batch: Batch, carry: Carry) -> Batch:
    return batch | {f"state{i}": rows for i, rows in enumerate(carry.read(batch["start"]))}

  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from this replica's rows and keeps their states."""

    def losses(part: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
      measured, states = self._measured(part, True)
      means = {name: tf.reduce_mean(values, 1) for name, values in measured.items()}
      return means["loss"], means, {f"state{i}": state for i, state in enumerate(states)}

    sums, states = self.learners["main"].update(losses, self._with_state(batch, self._carry), step)
    self._carry.write([states[f"state{i}"] for i in range(len(states))])
    return sums

  def _nats(self, batch: Batch) -> dict[str, tf.Tensor]:
    with self.averaged():
      measured, states = self._measured(self._with_state(batch, self._evaluation_carry), False)
    self._evaluation_carry.write(states)
    return measured

  def evaluate_step(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the sums over this replica's bytes, and their number as `count`."""
    mask = batch[pipeline.MASK]
    return {name: tf.reduce_sum(values * mask) for name, values in self._nats(batch).items()} | {
      "count": tf.reduce_sum(mask)}

  def summarize(self, means: dict[str, float]) -> dict[str, float]:
    """Returns the loss in nats, the same in bits, and the share of bytes guessed."""
    return {"loss": means["loss"], "bits_per_byte": means["loss"] / math.log(2), "accuracy": means["accuracy"]}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns the text, uint8 [N], and the bits that each of its bytes costs, float32 [N]."""
    evaluation = self.evaluation(split)

    @tf.function
    def step(batch: Batch) -> dict[str, tf.Tensor]:
      batch = pipeline.own_part(batch, self.strategy)
      return {"nats": self._nats(batch)["loss"], "mask": batch[pipeline.MASK], "position": batch["position"]}

    text = self.text(split)
    bits = np.zeros(len(text), np.float32)
    for _ in range(evaluation.steps):
      found = {name: self.strategy.gathered(value)
               for name, value in self.strategy.tf.run(step, args=(next(evaluation.batches),)).items()}
      real = found["mask"] > 0
      bits[found["position"][real]] = found["nats"][real] / math.log(2)
    return {"text": text, "bits": bits}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row a byte: its place, the byte and its cost in bits."""
    pairs = zip(predictions["text"], predictions["bits"], strict=True)
    return ["index", "byte", "bits"], [[i, repr(chr(byte)), f"{bits:.4f}"] for i, (byte, bits) in enumerate(pairs)]

  def generate(self, prompt: str) -> str:
    """Returns `generate.length` bytes that the network writes after a text, drawn at `generate.temperature` by the seed.

    Raises:
      ConfigError: if the text has a byte that the vocabulary lacks.
    """
    given = np.frombuffer(prompt.encode("utf-8", "surrogateescape"), np.uint8)
    known = set(self.vocabulary.tolist())
    if missing := [c for c in dict.fromkeys(prompt) if set(c.encode("utf-8", "surrogateescape")) - known]:
      shown = ", ".join(map(repr, missing[:5]))
      raise ConfigError(f"--prompt has {shown}, not among the {len(self.vocabulary)} bytes of {self.builder.name}: "
                        f"{_listed(self.vocabulary)}")
    network, options = self.networks[self.network], self.config.generate

    @tf.function(reduce_retracing=True)
    def step(code: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
      with self.averaged():
        logits, *after = network([tf.reshape(code, [1, 1]), *states], training=False)
      return tf.cast(logits[0, -1], tf.float32), after

    states = [tf.zeros([1, *v.shape[1:]]) for v in self._carry.variables]
    logits = tf.zeros([len(self.vocabulary)])
    for code in np.searchsorted(self.vocabulary, np.concatenate([np.array([_NEWLINE], np.uint8), given])):
      logits, states = step(tf.constant(code, tf.int32), states)
    random, written = np.random.default_rng(self.config.seed), []
    for _ in range(options.length):
      scores = logits.numpy().astype(np.float64) / options.temperature
      weights = np.exp(scores - scores.max())
      code = random.choice(len(self.vocabulary), p=weights / weights.sum())
      written.append(self.vocabulary[code])
      logits, states = step(tf.constant(code, tf.int32), states)
    return bytes(written).decode("utf-8", "replace")


def _listed(vocabulary: np.ndarray) -> str:
  """Returns the bytes of a vocabulary as ranges, e.g. `'\\n', ' '-'~'`."""
  breaks = np.flatnonzero(np.diff(vocabulary.astype(int)) != 1)
  ranges = zip(vocabulary[np.r_[0, breaks + 1]], vocabulary[np.r_[breaks, -1]], strict=True)
  return ", ".join(repr(chr(a)) if a == b else f"{chr(a)!r}-{chr(b)!r}" for a, b in ranges)


TASK = LanguageModel
