"""Images into classes: softmax cross-entropy, with label smoothing, class weights and a rubbish class where asked for."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import augment, clips, mixing, sources, views
from dlsuite.errors import ConfigError
from dlsuite.metrics import classification as scores
from dlsuite.tasks.base import Measurement
from dlsuite.tasks.images import Images, standardized
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.mean": ((0.0,), "from 0 to 1"),  # a value per channel, of pixels scaled to [0, 1]
  "data.std": ((1.0,), "above 0 and finite"),  # the same
  # data.name="folder": the user's own images, <folder>/<split>/<class>/*.jpg (`dlsuite.data.folder`).
  "data.folder": ("", None),
  "data.skip_corrupt": (False, None),  # leave out the images of the folder that cannot be read
  "data.channels": (0, (0, 1, 3)),  # 3 makes grey images RGB, 1 the other way round; 0 keeps what they are
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
  "data.augment.cutout": (0, "0 or more and finite"),  # pixels a side
  "data.augment.rand_layers": (0, "0 or more and finite"),  # RandAugment's N; 0 is off
  "data.augment.rand_magnitude": (9.0, "0 or more and finite"),  # its M; 10 is the end of AutoAugment's ranges
  # A factor from 1 - value to 1 + value.
  "data.augment.brightness": (0.0, "from 0 to 1"),
  "data.augment.contrast": (0.0, "from 0 to 1"),
  "data.augment.saturation": (0.0, "from 0 to 1"),
  "data.augment.lighting": (0.0, "0 or more and finite"),  # deviation of AlexNet's colour noise, 0.1 in its paper
  # Parameters of the Beta distributions; 0 is off. Of both, one is drawn for each pair of neighbours in the batch.
  "data.augment.mixup": (0.0, "0 or more and finite"),
  "data.augment.cutmix": (0.0, "0 or more and finite"),
  "data.augment.mix_share": (1.0, "from 0 to 1"),  # of the pairs are mixed
  # Looks at each image whose probabilities are averaged: in the final test and in --mode=evaluate and predict.
  "evaluate.augment": ("none", ("none", "flip", "ten_crop")),
  "loss.label_smoothing": (0.0, "at least 0 and below 1"),
  "loss.class_weights": ((), "0 or more and finite"),
  "loss.rubbish": (None, None),
  "loss.auxiliary": (0.0, "0 or more and finite"),  # weight of each auxiliary head's loss
}
_OF_IMAGES = ("cutout", "rand_layers", "brightness", "contrast", "saturation", "lighting", "mixup", "cutmix")
GIVES = ("input_shape", "num_outputs")  # to the model's `build`


class Classification(Images):
  """One image [B, H, W, C] uint8 and one label [B] an example; the network gives logits [B, classes].

  A network with auxiliary heads gives a dict of logits, its own as `logits`. The others count in the training loss only, each
  by `loss.auxiliary`; they are no part of any metric and are not computed outside of training.
  """

  metrics: tuple[str, ...] = ("loss", "accuracy", "error")
  units: Mapping[str, str] = {"loss": "nats", "error": "%", "top5_error": "%", "calibration_error": "%"}
  network = "classifier"
  _evaluated: keras.Model | None = None  # the network without its auxiliary heads, where it has some

  def open(self, prepare: bool = True) -> None:
    """Finds the data; of more than five classes the five best guesses count, too."""
    super().open(prepare)
    if self.num_classes > 5:
      self.metrics = ("loss", "accuracy", "error", "top5_error")
    self.reported = (*self.metrics, "calibration_error", "balanced_accuracy")

  @property
  def num_classes(self) -> int:
    """Number of classes of the label feature."""
    return int(sources.feature(self.builder, self.config.data.features, "label", tfds.features.ClassLabel).num_classes)

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the classifier that `model.name` names."""
    channels, weights = self.input_shape[-1], self.config.loss.class_weights
    self._check_augmentation(channels)
    self._check_views()
    if len(self.config.data.mean) not in (1, channels):
      raise ConfigError(f"data.mean has {len(self.config.data.mean)} values but the images have {channels} channel(s)"
                        + (f"; data.channels={len(self.config.data.mean)} converts them" if {channels, len(
                          self.config.data.mean)} == {1, 3} else ""))
    if weights and len(weights) != self.num_classes:
      raise ConfigError(f"loss.class_weights has {len(weights)} values but {self.builder.name} has {self.num_classes} classes")
    networks = self.build_model(input_shape=self.input_shape, num_outputs=self.num_classes)
    self._evaluated = self._main_head(networks["classifier"])
    return networks

  def _check_augmentation(self, channels: int) -> None:
    options, batch, replicas = self.config.data.augment, self.config.data.batch_size, self.strategy.replicas
    pairs = 2 * replicas
    if len(self.input_shape) == 4:  # of videos what moves pixels is known, what changes colours is not
      given = [name for name in _OF_IMAGES if options[name]]
      if given:
        raise ConfigError(f"data.augment.{given[0]}={options[given[0]]} is for images: videos know pad_crop and flip; set it "
                          "to 0")
    if options.lighting and channels != 3:
      raise ConfigError(f"data.augment.lighting={options.lighting:g} is noise of red, green and blue, but the images have "
                        f"{channels} channel(s): set it to 0")
    if mixing.mixes(options) and batch % pairs:
      name = "mixup" if options.mixup else "cutmix"
      near = " or ".join(str(b) for b in (batch // pairs * pairs, -(-batch // pairs) * pairs) if b)
      raise ConfigError(f"data.augment.{name}={options[name]:g} mixes pairs: data.batch_size={batch} does not give each of "
                        f"{replicas} replica(s) an even number of images; nearest that do: {near}")

  def _check_views(self) -> None:
    data, kind = self.config.data, self.config.evaluate.augment
    if kind != "none" and self.config.loss.rubbish is not None:
      raise ConfigError(f"evaluate.augment={kind!r} averages probabilities, which loss.rubbish does not give: take 'none'")
    if kind != "none" and len(self.input_shape) == 4:
      raise ConfigError(f"evaluate.augment={kind!r} is for images, not for videos: take 'none'")
    if kind == "ten_crop" and not data.crop and not data.augment.pad_crop:
      raise ConfigError("evaluate.augment='ten_crop' needs something to crop from: images of many sizes (data.crop), or the "
                        "padding of the training (data.augment.pad_crop)")

  def _main_head(self, network: keras.Model) -> keras.Model | None:
    """Returns the network without its auxiliary heads, of the same layers, or None if it has none."""
    given = f"loss.auxiliary={self.config.loss.auxiliary:g}"
    if not isinstance(network.output, dict):
      if self.config.loss.auxiliary:
        raise ConfigError(f"{given} but the network {network.name} has no auxiliary heads: set it to 0")
      return None
    heads = ", ".join(name for name in network.output if name != "logits")
    if not self.config.loss.auxiliary:
      raise ConfigError(f"{given} but the network {network.name} has auxiliary heads ({heads}): give them a weight, e.g. 0.3, "
                        "or build it without")
    return keras.Model(network.input, network.output["logits"], name=network.name)

  @property
  def main_network(self) -> keras.Model:
    """The classifier without its auxiliary heads, images as `preprocess` gives them -> logits [N, classes]."""
    return self.networks["classifier"] if self._evaluated is None else self._evaluated

  def augment(self, batch: Batch, uniform: Callable[[int], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Augments the images of a training batch in the input pipeline; all frames of a video alike."""
    images, data = batch["image"], self.config.data
    if len(images.shape) == 4:
      changed = batch | {"image": augment.augment(images, data.augment, uniform, data.mean)}
      return augment.mixed(changed, data.augment, uniform)
    videos = augment.augment(clips.as_images(images), data.augment, uniform)
    return batch | {"image": clips.as_videos(videos, images.shape[1])}

  def preprocess(self, images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as (pixel / 255 - mean) / std, on the device and in the compute type."""
    return standardized(images, self.config.data)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor | dict[str, tf.Tensor]:
    """Returns the logits, float32 [b, classes]; in training those of each head by name if there are several."""
    images = batch["image"] if training else self._centre(batch["image"])
    network = self.networks["classifier"] if training else self.main_network
    found = network(self.preprocess(images), training=training)
    if isinstance(found, dict):
      return {name: tf.cast(logits, tf.float32) for name, logits in found.items()}
    return tf.cast(found, tf.float32)

  def _centre(self, images: Any) -> Any:
    """Returns what the network sees of images that are larger for the sake of several looks at them."""
    return views.centre(images, *self.input_shape[:2])

  def losses(self, outputs: tf.Tensor | dict[str, tf.Tensor], batch: Batch, training: bool
             ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each example's weighted cross-entropy [b] in nats, and loss, accuracy (0 or 1) and errors (0 or 100 %)."""
    labels, options = tf.cast(batch["label"], tf.int32), self.config.loss
    smoothing = options.label_smoothing if training else 0.0
    heads = dict(outputs) if isinstance(outputs, dict) else {"logits": outputs}
    logits = heads.pop("logits")

    def of_label(function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:  # of both, where images are mixed
      if "label2" not in batch:
        return function(labels)
      share = batch["weight"]
      return share * function(labels) + (1.0 - share) * function(tf.cast(batch["label2"], tf.int32))

    def weighted(logits: tf.Tensor) -> tf.Tensor:
      def loss(labels: tf.Tensor) -> tf.Tensor:
        plain = cross_entropy(logits, labels, smoothing, options.rubbish)
        return plain * tf.gather(tf.constant(options.class_weights, tf.float32), labels) if options.class_weights else plain

      return of_label(loss)

    loss = weighted(logits)
    guess = tf.argmax(logits, -1, output_type=tf.int32)
    right = of_label(lambda labels: tf.cast(tf.equal(guess, labels), tf.float32))
    metrics = {"loss": loss, "accuracy": right, "error": 100.0 * (1.0 - right)}
    if "top5_error" in self.metrics:
      metrics["top5_error"] = 100.0 * of_label(lambda labels: scores.top_k_wrong(logits, labels, 5))
    total = tf.add_n([loss, *(options.auxiliary * weighted(head) for head in heads.values())])
    return total, metrics

  @property
  def tallies(self) -> dict[str, int]:
    """Sums for the calibration error and the balanced accuracy."""
    return {"calibration": 3 * scores.BINS, "classes": 2 * self.num_classes}

  def tally(self, outputs: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns each example's part in them."""
    labels = tf.cast(batch["label"], tf.int32)
    return {"calibration": scores.calibration_tally(tf.nn.softmax(outputs), labels),
            "classes": scores.class_tally(outputs, labels)}

  def from_tallies(self, sums: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the calibration error in % and the balanced accuracy."""
    return {"calibration_error": scores.calibration_error(sums["calibration"]),
            "balanced_accuracy": scores.balanced_accuracy(sums["classes"])}

  def predicted(self, batch: Batch) -> tf.Tensor:
    """Returns the logits, float32 [b, classes]; with `evaluate.augment` the logarithm of the views' mean probabilities."""
    kind, images = self.config.evaluate.augment, batch["image"]
    if kind == "none":
      return self.outputs(batch, False)
    height, width, _ = self.input_shape
    if kind == "flip":
      middle = views.centre(images, height, width)
      looks = [middle, views.mirrored(middle)]
    else:
      padding = 0 if self.config.data.crop else self.config.data.augment.pad_crop
      looks = views.ten_crop(tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]]), height, width)
    logits = self.outputs({"image": tf.concat(looks, 0)}, False)
    return mean_log_probabilities(tf.reshape(logits, [len(looks), -1, self.num_classes]))

  @functools.cached_property
  def _final_pass(self) -> Any:
    return self.evaluation_pass(lambda batch: self.sums(batch, self.predicted))

  def measure(self, split: str) -> Measurement:
    """Measures the network on a split, each image looked at as `evaluate.augment` says."""
    return self.evaluate(split) if self.config.evaluate.augment == "none" else self.measured(split, self._final_pass)

  def score(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns all that an evaluation reports, of logits [N, classes] and labels [N]."""
    outputs, batch = tf.constant(logits, tf.float32), {"label": tf.constant(labels)}
    _, metrics = self.losses(outputs, batch, False)
    means = {name: float(tf.reduce_mean(values)) for name, values in metrics.items()}
    return means | self.from_tallies({name: rows.numpy().sum(0) for name, rows in self.tally(outputs, batch).items()})

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns image (what the network sees of it), label, outputs (logits), probabilities [N, classes] and predicted [N]."""
    found = super().predict(split)
    found["image"] = self._centre(found["image"])
    return _with_answers(found)

  def answers(self, split: str) -> dict[str, np.ndarray]:
    """Returns what `predict` does but for the images."""
    return _with_answers(self.gathered(split, without=("image",)))

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an example: index, label, predicted class and its probability."""
    names = self.builder.info.features[self.config.data.features["label"]].names
    columns = ["index", "label", "predicted", "probability"]
    rows = [[i, names[label], names[guess], f"{p.max():.4f}"] for i, (label, guess, p) in enumerate(
      zip(predictions["label"], predictions["predicted"], predictions["probabilities"], strict=True))]
    return columns, rows


def _with_answers(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  return found | {"probabilities": tf.nn.softmax(found["outputs"]).numpy(), "predicted": found["outputs"].argmax(-1)}


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


def mean_log_probabilities(logits: tf.Tensor) -> tf.Tensor:
  """Returns the logarithm of the mean probabilities of several looks or networks: [V, B, C] -> [B, C]."""
  return tf.reduce_logsumexp(tf.nn.log_softmax(logits), 0) - math.log(logits.shape[0])


TASK = Classification
