"""Images from themselves through a small code, or from a corrupted copy (denoising)."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.runs.figures import tiles
from dlsuite.tasks.images import Images
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "loss.reconstruction": ("bernoulli", ("bernoulli", "squared")),
  "data.corrupt": (0.0, "at least 0 and below 1"),  # share of pixels set to 0 in what the encoder sees in training
}
GIVES = ("input_shape",)  # to the model's `build`

_FILMED = 16  # images of the film, at most
_CORRUPTION_DRAW = 1000  # the first of an example's random numbers that decide about its pixels


class Autoencoder(Images):
  """One image [B, H, W, C] uint8 an example. The loss is a sum over its pixels, of their values in [0, 1].

  `bernoulli`: cross-entropy in nats of the decoder's logits (LeCun 1987; Kingma & Welling 2014, C.1); `squared`: squared
  error of the decoder's values, as PCA minimises it.

  Attributes:
    encoded: how many outputs the encoder must have.
  """

  encoded = 1

  metrics: tuple[str, ...] = ("loss", "squared_error")
  curves: tuple[str, ...] = ("loss", "squared_error")

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns `encoder` and `decoder`.

    Raises:
      ConfigError: if `model.name` gives others, or an encoder for another task.
    """
    networks, name = self.build_model(input_shape=self.input_shape), self.config.model.name
    if networks.keys() != {"encoder", "decoder"}:
      raise ConfigError(f"model.name={name!r} is no model for task={self.config.task!r}: it gives no encoder and decoder")
    if (given := len(networks["encoder"].outputs)) != self.encoded:
      raise ConfigError(f"model.name={name!r} gives an encoder with {given} output{'s'[:given - 1]}, task={self.config.task!r} "
                        f"needs {self.encoded}: set model.variational={self.encoded == 2}")
    return networks

  def augment(self, batch: Batch, uniform: Callable[[int | tf.Tensor], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Adds which pixels the encoder sees, `kept` [b, H, W, C], if some are to be hidden, each by itself."""
    if not self.config.data.corrupt:
      return batch
    shape = self.input_shape
    draws = uniform(_CORRUPTION_DRAW + tf.range(math.prod(shape)))
    return batch | {"kept": tf.cast(tf.reshape(draws, [-1, *shape]) >= self.config.data.corrupt, tf.float32)}

  def pixels(self, batch: Batch) -> tf.Tensor:
    """Returns the images in [0, 1], float32 [b, H, W, C]."""
    return tf.cast(batch["image"], tf.float32) / 255.0

  def encode(self, images: tf.Tensor, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
    """Returns `code` [b, Z], and what else the loss needs of the encoder."""
    return {"code": tf.cast(self.networks["encoder"](images, training=training), tf.float32)}

  def decoded(self, code: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Returns the decoder's logits or values, float32 [b, H, W, C]."""
    return tf.cast(self.networks["decoder"](code, training=training), tf.float32)

  def shown(self, decoded: tf.Tensor) -> tf.Tensor:
    """Returns the decoder's output as pixels in [0, 1]."""
    return tf.sigmoid(decoded) if self.config.loss.reconstruction == "bernoulli" else decoded

  def outputs(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
    """Returns `decoded`, `reconstruction` (pixels) and `code`."""
    images = self.pixels(batch)
    seen = images * batch["kept"] if "kept" in batch else images
    found = self.encode(tf.cast(seen, keras.config.dtype_policy().compute_dtype), batch, training)
    decoded = self.decoded(found["code"], training)
    return found | {"decoded": decoded, "reconstruction": self.shown(decoded)}

  def losses(self, outputs: dict[str, tf.Tensor], batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each image's loss [b], and its squared error, both summed over the pixels."""
    images, axes = self.pixels(batch), (1, 2, 3)
    squared = tf.reduce_sum(tf.square(images - outputs["reconstruction"]), axes)
    if self.config.loss.reconstruction == "squared":
      return squared, {"loss": squared, "squared_error": squared}
    nats = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(images, outputs["decoded"]), axes)
    return nats, {"loss": nats, "squared_error": squared}

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Returns the pixels in [0, 1], float32 [N, H, W, C], of some codes [N, Z]."""
    with self.averaged():
      return self.shown(self.decoded(tf.constant(codes, tf.float32))).numpy()

  @functools.cached_property
  def _filmed(self) -> np.ndarray:
    return self.arrays("valid", _FILMED)["image"]

  def frame(self) -> np.ndarray | None:
    """Returns the first validation images over their reconstructions."""
    if not self.config.data.valid:
      return None
    with self.averaged():
      found = self.outputs({"image": tf.constant(self._filmed)}, False)["reconstruction"].numpy()
    return tiles(np.concatenate([self._filmed / 255.0, found]), len(self._filmed), scale=max(1, 56 // self.input_shape[0]))

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns `image` uint8 and `reconstruction` [N, H, W, C], `code` [N, Z], and `label` [N] where it is mapped."""
    found = super().predict(split)
    return {name: values for name, values in found.items() if name != "decoded"}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an example: index, squared error and code."""
    codes = predictions["code"]
    errors = np.square(predictions["image"] / 255.0 - predictions["reconstruction"]).sum((1, 2, 3))
    columns = ["index", "squared_error", *(f"code{i}" for i in range(codes.shape[1]))]
    return columns, [[i, f"{error:.4g}", *(f"{c:.4g}" for c in code)]
                     for i, (error, code) in enumerate(zip(errors, codes, strict=True))]


TASK = Autoencoder
