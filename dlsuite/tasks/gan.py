"""A generator against a discriminator: two networks, two optimizers, one training step."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import pipeline, randomness
from dlsuite.errors import ConfigError
from dlsuite.metrics.sample_quality import good_samples, modes_covered, parzen_log_likelihood, squared_distances
from dlsuite.runs.figures import drawing, picture, scatter, tiles
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Measurement
from dlsuite.tasks.supervised import Supervised
from dlsuite.training.learner import Batch, Learner

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "loss.adversarial": ("non_saturating", ("non_saturating", "minimax", "least_squares")),
  "loss.r1": (0.0, "0 or more and finite"),  # weight of the gradient penalty on real examples
  "evaluate.quality": ("parzen", ("parzen", "modes")),  # how samples are judged; modes: of a mixture that is known
  "evaluate.samples": (10_000, "above 0 and finite"),
}
GIVES = ("sample_shape",)  # to the model's `build`

_SAMPLES_STEPS = {"valid": 2**42, "test": 2**42 + 1, "train": 2**42 + 2}  # stand for the step in the noise of samples
_SAMPLED_AT_ONCE = 500
_WIDTHS = np.geomspace(0.08, 0.5, 12)  # of the Parzen kernels, tried on the validation split
_COLLAPSED = 0.02  # share of the data's spread below which samples count as all the same
_FILMED = 8  # images a side of the film


class GAN(Supervised):
  """One `sample` an example: an image uint8 [H, W, C], seen as [-1, 1], or a vector float [D].

  The discriminator learns first, from a batch of real and one of generated examples, then the generator from the same noise
  (the paper's algorithm draws new noise for it).

  Source: Goodfellow et al. 2014, algorithm 1 with k = 1; `non_saturating`: section 3; `least_squares`: Mao et al. 2017;
  `r1`: Mescheder, Geiger & Nowozin 2018, equation 9.
  """

  metrics = ("generator_loss", "discriminator_loss", "real_right", "fake_right")
  units: Mapping[str, str] = {"high_quality": "%", "coverage": "%", "parzen": "nats"}

  def __init__(self, config: Any, strategy: Strategy) -> None:
    of_mixture = ("modes", "coverage", "high_quality", "spread")
    self.reported = of_mixture if config.evaluate.quality == "modes" else ("parzen", "spread")
    self.curves = ("generator_loss", "discriminator_loss", *self.reported[:2])
    super().__init__(config, strategy)

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set.

    Raises:
      ConfigError: if the samples cannot be judged: there is only one, or no validation split that it needs.
    """
    if self.config.evaluate.samples < 2:
      raise ConfigError("evaluate.samples=1 must be at least 2: how far samples differ is part of the evaluation")
    if self.config.evaluate.quality == "parzen" and not self.config.data.valid:
      raise ConfigError("data.valid is empty, but evaluate.quality='parzen' chooses the width of its kernels on it: give a "
                        "validation split, e.g. 'train[90%:]'")
    super().open(prepare)

  @property
  def is_image(self) -> bool:
    """Whether the samples are images."""
    return isinstance(self.builder.info.features[self._key], tfds.features.Image)

  @property
  def _key(self) -> str:
    features, known = self.config.data.features, self.builder.info.features
    if features.get("sample", "") not in known:
      raise ConfigError(f"data.features.sample={features.get('sample', '')!r} is not a feature of {self.builder.name}; "
                        f"it has: {', '.join(known)}")
    return str(features["sample"])

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns `generator` and `discriminator`."""
    feature, shape = self.builder.info.features[self._key], tuple(pipeline.feature_shape(self.builder, self.config, "sample"))
    if not shape or not isinstance(feature, tfds.features.Image | tfds.features.Tensor):
      raise ConfigError(f"data.features.sample={self._key!r} of {self.builder.name} is a {type(feature).__name__} {shape}: the "
                        "task needs an image or a vector")
    if None in shape:
      raise ConfigError(f"data.resize=0 but the images of {self.builder.name} differ in size: give pixels a side, e.g. 32")
    if self.config.evaluate.quality == "modes":
      self.mixture()
    networks = self.build_model(sample_shape=shape)
    self.noise_size = int(networks["generator"].input_shape[-1])
    return networks

  def mixture(self) -> tuple[np.ndarray, float]:
    """Returns the centres [M, D] and the standard deviation of the modes that the samples should come from.

    Raises:
      ConfigError: if the data set does not tell them.
    """
    known = self.builder.info.metadata or {}
    if not {"centres", "spread"} <= known.keys():
      raise ConfigError(f"evaluate.quality='modes' needs a set that tells its modes, such as gaussian_ring; "
                        f"{self.builder.name} does not: take 'parzen'")
    return np.array(known["centres"]), float(known["spread"])

  def build_learners(self, total_steps: int, warmup_steps: int) -> dict[str, Learner]:
    """Returns a learner for each network."""
    names = ("generator", "discriminator")

    def learner(i: int) -> Learner:
      return Learner([self.networks[names[i]]], self.config, self.strategy, total_steps, warmup_steps,
                     beside=[self.networks[names[1 - i]]], index=i)

    return {name: learner(i) for i, name in enumerate(names)}

  def real(self, samples: tf.Tensor) -> tf.Tensor:
    """Returns real examples as the networks see them, float32 [b, ...]."""
    floats = tf.cast(samples, tf.float32)
    return floats / 127.5 - 1.0 if self.is_image else floats

  def generated(self, noise: tf.Tensor, training: bool) -> tf.Tensor:
    """Returns generated examples, float32 [b, ...]."""
    return tf.cast(self.networks["generator"](noise, training=training), tf.float32)

  def scores(self, samples: tf.Tensor) -> tf.Tensor:
    """Returns the discriminator's logits, float32 [b]."""
    return tf.cast(self.networks["discriminator"](samples, training=True), tf.float32)[:, 0]

  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from this replica's part: the discriminator, then the generator."""
    batch = self.with_noise(batch, step)

    def discriminate(part: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
      real, fake = self.real(part["sample"]), tf.stop_gradient(self.generated(part["noise"], True))
      of_real, of_fake = self.scores(real), self.scores(fake)
      losses = discriminator_losses(of_real, of_fake, self.config.loss.adversarial)
      middle = 0.5 if self.config.loss.adversarial == "least_squares" else 0.0  # between what stands for false and for real
      metrics = {"discriminator_loss": losses, "real_right": tf.cast(of_real > middle, tf.float32),
                 "fake_right": tf.cast(of_fake < middle, tf.float32)}
      return losses + self._penalty(real), metrics, {}

    def generate(part: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
      losses = generator_losses(self.scores(self.generated(part["noise"], True)), self.config.loss.adversarial)
      return losses, {"generator_loss": losses}, {}

    of_discriminator, _ = self.learners["discriminator"].update(discriminate, batch, step)
    of_generator, _ = self.learners["generator"].update(generate, batch, step)
    return of_generator | of_discriminator

  def _penalty(self, real: tf.Tensor) -> tf.Tensor | float:
    """Returns r1 / 2 times the squared norm of each real example's gradient [b]."""
    if not self.config.loss.r1:
      return 0.0
    with tf.GradientTape() as tape:
      tape.watch(real)
      total = tf.reduce_sum(self.scores(real))
    gradient = tf.reshape(tape.gradient(total, real), [real.shape[0], -1])
    return 0.5 * self.config.loss.r1 * tf.reduce_sum(tf.square(gradient), 1)

  @functools.cached_property
  def _sampler(self) -> Any:
    @tf.function
    def sample(step: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
      rows = first + tf.range(_SAMPLED_AT_ONCE, dtype=tf.int64)
      with self.averaged():
        return self.generated(randomness.normal(self.config.seed, step, rows, self.noise_size), False)

    return sample

  def samples(self, count: int, split: str = "valid") -> np.ndarray:
    """Returns what the generator makes of a split's noise, which is always the same, float32 [N, ...]; pixels in [0, 1]."""
    step = tf.constant(_SAMPLES_STEPS[split], tf.int64)
    firsts = range(0, count, _SAMPLED_AT_ONCE)
    found = np.concatenate([self._sampler(step, tf.constant(first, tf.int64)).numpy() for first in firsts])[:count]
    return (found + 1.0) / 2.0 if self.is_image else found

  @functools.cache  # noqa: B019 - one task a process
  def _reals(self, split: str) -> np.ndarray:
    samples = self.arrays(split)["sample"]
    return samples.astype(np.float32) / 255.0 if self.is_image else samples

  def evaluate(self, split: str) -> Measurement:
    """Judges `evaluate.samples` samples of a split's noise by its examples; those that choose the weights are not tested."""
    samples, reals = self.samples(self.config.evaluate.samples, split), self._reals(split)
    values = {"spread": float(samples.std(0).mean() / reals.std(0).mean())}
    if self.config.evaluate.quality == "modes":
      values |= modes_covered(samples, *self.mixture())
    else:
      values["parzen"] = self._parzen(samples, split)
    return Measurement({name: values[name] for name in self.reported}, len(samples), "samples")

  def _parzen(self, samples: np.ndarray, split: str) -> float:
    """Returns the mean log likelihood of a split in nats, the kernels' width chosen on the validation split."""
    flat = samples.reshape(len(samples), -1)
    dimensions = flat.shape[1]

    def likelihood(of: str, widths: np.ndarray) -> np.ndarray:
      total = np.zeros(len(widths))
      reals = self._reals(of).reshape(-1, dimensions)
      for part in np.array_split(reals, math.ceil(len(reals) / 500)):
        distances = squared_distances(part, flat)
        total += [parzen_log_likelihood(distances, width, dimensions).sum() for width in widths]
      return total / len(reals)

    of_valid = likelihood("valid", _WIDTHS)
    if split == "valid":
      return float(of_valid.max())
    best = int(of_valid.argmax())
    return float(likelihood(split, _WIDTHS[best:best + 1])[0])

  def culprit(self, lost: list[str]) -> str:
    """Returns the network that has diverged.

    The discriminator is updated first in a step: if it breaks, the generator's loss is the first that shows it. If the
    generator breaks, the next step's samples break the discriminator's loss too.
    """
    network = "generator" if "discriminator_loss" in lost else "discriminator"
    return f"the {network} (seen in the {lost[-1] if network == 'generator' else lost[0]})"

  def check(self, values: dict[str, float]) -> str:
    """Returns that the generator has collapsed, if all its samples are nearly the same; lost modes alone are no fault here."""
    if values["spread"] >= _COLLAPSED:
      return ""
    return (f"the generator collapsed: its samples differ by {100 * values['spread']:.2g}% of what the data do (less than "
            f"{100 * _COLLAPSED:.0f}%)")

  def frame(self) -> np.ndarray | None:
    """Returns samples: images side by side, or points over the real ones of the validation split."""
    if self.is_image:
      images = self.samples(_FILMED ** 2)
      return tiles(images, _FILMED, scale=max(1, 56 // images.shape[1]))
    if not self.config.data.valid:
      return None
    with drawing((5, 5)) as (figure, axis):
      scatter(axis, self.samples(2000), self._reals("valid"))
      return picture(figure)

  def analysed(self) -> dict[str, np.ndarray]:
    """Returns real examples of the test split, `image` uint8 or `point` [N, 2]; `samples`; and `good`, how many of them are
    near each mode [K], where the modes are known."""
    reals, samples = self.arrays("test")["sample"], self.samples(min(self.config.evaluate.samples, 2500), "test")
    found = {"image" if self.is_image else "point": reals, "samples": samples}
    return found | ({"good": good_samples(samples, *self.mixture())} if self.config.evaluate.quality == "modes" else {})

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns 100 samples [N, ...] of a split's noise."""
    return {"samples": self.samples(100, split)}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row a sample: its numbers."""
    flat = predictions["samples"].reshape(len(predictions["samples"]), -1)
    return ["index", *(f"value{i}" for i in range(flat.shape[1]))], [
      [i, *(f"{v:.4f}" for v in row)] for i, row in enumerate(flat)]


def discriminator_losses(real: tf.Tensor, fake: tf.Tensor, kind: str) -> tf.Tensor:
  """Returns the discriminator's loss of each pair of a real and a generated example, from its logits [B]."""
  if kind == "least_squares":
    return tf.square(real - 1.0) + tf.square(fake)
  return tf.nn.softplus(-real) + tf.nn.softplus(fake)


def generator_losses(fake: tf.Tensor, kind: str) -> tf.Tensor:
  """Returns the generator's loss of each generated example, from the discriminator's logits [B]."""
  if kind == "least_squares":
    return tf.square(fake - 1.0)
  return -tf.nn.softplus(fake) if kind == "minimax" else tf.nn.softplus(-fake)


TASK = GAN
