"""The variational autoencoder: reconstruction plus the divergence of the code from a standard normal."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlsuite.data import randomness
from dlsuite.runs.figures import tiles
from dlsuite.strategy import Strategy
from dlsuite.tasks.autoencoder import Autoencoder
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "loss.reconstruction": ("bernoulli", ("bernoulli", "squared")),
  "loss.kl_weight": (1.0, "0 or more and finite"),
  "data.corrupt": (0.0, "at least 0 and below 1"),
}
GIVES = ("input_shape",)  # to the model's `build`

_FILMED = 8  # samples a side


class VAE(Autoencoder):
  """An autoencoder whose encoder gives a normal distribution, of which one code is drawn an example.

  The loss is the negative evidence lower bound in nats an image, if `loss.kl_weight` is 1 and the reconstruction is
  `bernoulli` (pixels taken as probabilities); other weights make the beta-VAE of Higgins et al. 2017.

  Source: Kingma & Welling 2014, section 2.3 (estimator), appendix B (divergence).
  """

  encoded = 2  # mean and log variance
  metrics = ("loss", "reconstruction_loss", "divergence", "squared_error")
  curves = ("loss", "reconstruction_loss", "divergence")
  units: Mapping[str, str] = {"divergence": "nats"}

  def __init__(self, config: Any, strategy: Strategy) -> None:
    super().__init__(config, strategy)
    if config.loss.reconstruction == "bernoulli":
      self.units = {"loss": "nats", "reconstruction_loss": "nats", **self.units}

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns `encoder` and `decoder`; each example brings noise of the code's size."""
    networks = super().build_networks()
    self.noise_size = int(networks["decoder"].input_shape[-1])
    return networks

  def encode(self, images: tf.Tensor, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
    """Returns the code drawn by the example's noise (the mean without noise), and the distribution's parameters."""
    mean, log_variance = (tf.cast(v, tf.float32) for v in self.networks["encoder"](images, training=training))
    drawn = mean + tf.exp(0.5 * log_variance) * batch["noise"] if "noise" in batch else mean
    return {"code": drawn, "mean": mean, "log_variance": log_variance}

  def losses(self, outputs: dict[str, tf.Tensor], batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each image's loss [b], and its two parts."""
    reconstruction, metrics = super().losses(outputs, batch, training)
    divergence = normal_divergence(outputs["mean"], outputs["log_variance"])
    loss = reconstruction + self.config.loss.kl_weight * divergence
    return loss, {"loss": loss, "reconstruction_loss": reconstruction, "divergence": divergence,
                  "squared_error": metrics["squared_error"]}

  def samples(self, count: int) -> np.ndarray:
    """Returns the pixels of codes drawn from the standard normal, float32 [N, H, W, C]; always the same codes."""
    rows = tf.range(count, dtype=tf.int64)
    return self.decode(randomness.normal(self.config.seed, tf.constant(2**41, tf.int64), rows, self.noise_size).numpy())

  def frame(self) -> np.ndarray:
    """Returns samples."""
    return tiles(self.samples(_FILMED ** 2), _FILMED, scale=max(1, 56 // self.input_shape[0]))


def normal_divergence(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
  """Returns the Kullback-Leibler divergence of diagonal normals from the standard normal, in nats.

  Args:
    mean: float32 [B, Z].
    log_variance: float32 [B, Z].

  Returns:
    float32 [B].

  Source: Kingma & Welling 2014, appendix B.
  """
  return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, -1)


TASK = VAE
