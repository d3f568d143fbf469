"""Images into classes: softmax cross-entropy, with label smoothing, class weights and a rubbish class where asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import augment, clips, sources
from dlsuite.errors import ConfigError
from dlsuite.tasks.images import Images, standardized
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.mean": ((0.0,), None), "data.std": ((1.0,), "above 0 and finite"),  # a value per channel, of pixels scaled to [0, 1]
  # Sets whose images differ in size: the network sees squares of `crop` pixels, 0 is off (`dlsuite.data.crops`).
  "data.crop": (0, "0 or more and finite"),
  "data.shorter": (256, "above 0 and finite"),  # evaluation: shorter side in pixels, of which the centre is cropped
  "data.augment.crop": ("inception", ("inception", "vgg", "centre")),
  "data.augment.area": ((0.08, 1.0), "above 0 and finite"),  # inception: share of the image
  "data.augment.ratio": ((0.75, 1.3333), "above 0 and finite"),  # inception: width to height
  "data.augment.scales": ((256.0, 512.0), "above 0 and finite"),  # vgg: shorter side in pixels
  "data.frames": (0, "0 or more and finite"),  # of videos: taken at even distances; 0 takes all
  "data.augment.pad_crop": (0, "0 or more and finite"),  # pixels
  "data.augment.flip": (False, None),
  "loss.label_smoothing": (0.0, "at least 0 and below 1"),
  "loss.class_weights": ((), "0 or more and finite"),
  "loss.rubbish": (None, None),
  "loss.auxiliary": (0.0, "0 or more and finite"),  # weight of each auxiliary head's loss
}
GIVES = ("input_shape", "num_outputs")  # to the model's `build`


class Classification(Images):
  """One image [B, H, W, C] uint8 and one label [B] an example; the network gives logits [B, classes].

  A network with auxiliary heads gives a dict of logits, its own as `logits`. The others count in the training loss only, each
  by `loss.auxiliary`; they are no part of any metric and are not computed outside of training.
  """

  metrics = ("loss", "accuracy", "error")
  units: Mapping[str, str] = {"loss": "nats", "error": "%"}
  network = "classifier"

  @property
  def num_classes(self) -> int:
    """Number of classes of the label feature."""
    return int(sources.feature(self.builder, self.config.data.features, "label", tfds.features.ClassLabel).num_classes)

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the classifier that `model.name` names."""
    channels, weights = self.input_shape[-1], self.config.loss.class_weights
    if len(self.config.data.mean) not in (1, channels):
      raise ConfigError(f"data.mean has {len(self.config.data.mean)} values but the images have {channels} channel(s)")
    if weights and len(weights) != self.num_classes:
      raise ConfigError(f"loss.class_weights has {len(weights)} values but {self.builder.name} has {self.num_classes} classes")
    networks = self.build_model(input_shape=self.input_shape, num_outputs=self.num_classes)
    self._evaluated = self._main_head(networks["classifier"])
    return networks

  def _main_head(self, network: keras.Model) -> keras.Model:
    """Returns the network without its auxiliary heads; of the same layers."""
    given = f"loss.auxiliary={self.config.loss.auxiliary:g}"
    if not isinstance(network.output, dict):
      if self.config.loss.auxiliary:
        raise ConfigError(f"{given} but the network {network.name} has no auxiliary heads: set it to 0")
      return network
    heads = ", ".join(name for name in network.output if name != "logits")
    if not self.config.loss.auxiliary:
      raise ConfigError(f"{given} but the network {network.name} has auxiliary heads ({heads}): give them a weight, e.g. 0.3, "
                        "or build it without")
    return keras.Model(network.input, network.output["logits"], name=network.name)

  def augment(self, batch: Batch, uniform: Callable[[int], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Augments the images of a training batch in the input pipeline; all frames of a video alike."""
    images, options = batch["image"], self.config.data.augment
    if len(images.shape) == 4:
      return batch | {"image": augment.augment(images, options, uniform)}
    changed = augment.augment(clips.as_images(images), options, uniform)
    return batch | {"image": clips.as_videos(changed, images.shape[1])}

  def preprocess(self, images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as (pixel / 255 - mean) / std, on the device and in the compute type."""
    return standardized(images, self.config.data)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor | dict[str, tf.Tensor]:
    """Returns the logits, float32 [b, classes]; in training those of each head by name if there are several."""
    network = self.networks["classifier"] if training else self._evaluated
    found = network(self.preprocess(batch["image"]), training=training)
    if isinstance(found, dict):
      return {name: tf.cast(logits, tf.float32) for name, logits in found.items()}
    return tf.cast(found, tf.float32)

  def losses(self, outputs: tf.Tensor | dict[str, tf.Tensor], batch: Batch, training: bool
             ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each example's weighted cross-entropy [b] in nats, and loss, accuracy (0 or 1) and error (0 or 100 %)."""
    labels, options = tf.cast(batch["label"], tf.int32), self.config.loss
    smoothing = options.label_smoothing if training else 0.0
    heads = dict(outputs) if isinstance(outputs, dict) else {"logits": outputs}
    logits = heads.pop("logits")

    def weighted(logits: tf.Tensor) -> tf.Tensor:
      plain = cross_entropy(logits, labels, smoothing, options.rubbish)
      return plain * tf.gather(tf.constant(options.class_weights, tf.float32), labels) if options.class_weights else plain

    loss = weighted(logits)
    right = tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), labels), tf.float32)
    total = tf.add_n([loss, *(options.auxiliary * weighted(head) for head in heads.values())])
    return total, {"loss": loss, "accuracy": right, "error": 100.0 * (1.0 - right)}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns image, label, outputs (logits), probabilities [N, classes] and predicted [N] of a split."""
    found = super().predict(split)
    found["probabilities"] = tf.nn.softmax(found["outputs"]).numpy()
    found["predicted"] = found["outputs"].argmax(-1)
    return found

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an example: index, label, predicted class and its probability."""
    names = self.builder.info.features[self.config.data.features["label"]].names
    columns = ["index", "label", "predicted", "probability"]
    rows = [[i, names[label], names[guess], f"{p.max():.4f}"] for i, (label, guess, p) in enumerate(
      zip(predictions["label"], predictions["predicted"], predictions["probabilities"], strict=True))]
    return columns, rows


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: float = 0.0, rubbish: float | None = None) -> tf.Tensor:
  """Returns the cross-entropy of each example in nats, float32 [B].

  Args:
    logits: float32 [B, C].
    labels: int32 [B].
    smoothing: share of the probability that is spread over all classes (Szegedy et al. 2016, section 7).
    rubbish: if given, a class of constant logit -rubbish competes with the others, which keeps the loss from falling
      by pushing all logits down: with logits = -penalties this is LeCun et al. 1998, equation 9, rubbish being its j.
  """
  if rubbish is not None:
    logits = tf.concat([logits, tf.fill([tf.shape(logits)[0], 1], -float(rubbish))], 1)
  plain = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  if not smoothing:
    return plain
  return (1.0 - smoothing) * plain - smoothing * tf.reduce_mean(tf.nn.log_softmax(logits), -1)


TASK = Classification
