"""A class for every pixel: weighted softmax cross-entropy over bent tiles in training, over whole images in evaluation."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import cells, elastic, sources
from dlsuite.errors import ConfigError, DataError, nearest
from dlsuite.tasks.images import Images, standardized
from dlsuite.tasks.supervised import SPLITS
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.mean": ((0.0,), "from 0 to 1"),  # a value per channel, of pixels scaled to [0, 1]
  "data.std": ((1.0,), "above 0 and finite"),  # the same
  "data.tile": (0, "0 or more and finite"),  # pixels a side of the network's input in training; 0 is the whole image
  "evaluate.tile": (0, "0 or more and finite"),  # the same in evaluation; 0 is as in training
  "data.foreground": ("", None),  # the class that `iou` and `dice` are of; by default the last
  "data.augment.elastic": (0.0, "0 or more and finite"),  # pixels, standard deviation of the displacements
  "data.augment.turns": (False, None),  # mirrors and quarter turns
  "data.augment.grey": (0.0, "at least 0 and below 1"),  # the most that contrast and brightness change, share of the range
  "loss.class_weights": ((), "0 or more and finite"),
  "loss.border_weight": (0.0, "0 or more and finite"),
  "loss.border_sigma": (5.0, "above 0 and finite"),  # pixels
}
GIVES = ("input_shape", "num_outputs", "sides")  # to the model's `build`

_TURN_DRAW, _GREY_DRAW, _ELASTIC_DRAW = 10, 20, 100  # an example's random numbers; 0 and 1 place the tile


class Segmentation(Images):
  """An `image` [H, W, C] uint8, a `label` [H, W, 1] uint8 and, for border weights, a `gap` [H, W, 1] (see `cells.gap`).

  The network gives logits for the middle of what it is shown. In an evaluation it is shown overlapping tiles of the mirrored
  image so that each pixel is predicted once (Ronneberger et al. 2015, figure 2: overlap-tile strategy).

  `iou` and `dice` count the pixels of all images of a split together (the Jaccard index as in Everingham et al. 2015,
  "The PASCAL visual object classes challenge", section 3.2), as does `mean_iou` over the classes; they are no means of ratios.

  Attributes:
    outputs_of: {pixels a side of an input: those of what is predicted of it}, once `build` was called.
  """

  outputs_of: Mapping[int, int] = {}

  metrics: tuple[str, ...] = ("loss", "error")
  reported = ("loss", "error", "iou", "dice", "mean_iou")
  curves = ("loss", "error", "iou")
  units: Mapping[str, str] = {"loss": "nats a pixel, weighted", "error": "%"}
  network = "segmenter"

  def open(self, prepare: bool = True) -> None:
    """Finds the data.

    Raises:
      DataError: as `Supervised.open`, and if the labels are no classes or those of a split are not known.
      ConfigError: if images are to be resized, which would blur their labels.
    """
    super().open(prepare)
    data = self.config.data
    if data.resize:
      raise ConfigError(f"data.resize={data.resize} must be 0: task='segmentation' takes tiles of data.tile pixels a side")
    for key in SPLITS:
      builder = self.builder_of(key)
      if data[key].partition("[")[0] in (builder.info.metadata or {}).get("unlabelled", ()):
        raise DataError(f"data.{key}={data[key]!r} of {builder.name} has no labels")
    self.metrics = ("loss", "error", *(f"{kind}_{c}" for kind in ("both", "either") for c in range(self.num_classes)))
    if data.foreground and data.foreground not in self.class_names:
      raise ConfigError(f"data.foreground={data.foreground!r} is no class of {self.builder.name}"
                        f"{nearest(data.foreground, self.class_names)}; it has: {', '.join(self.class_names)}")
    if self.config.loss.border_weight:
      sources.feature(self.builder, data.features, "gap", tfds.features.Image)

  @property
  def class_names(self) -> list[str]:
    """The names of the classes, in order."""
    feature = sources.feature(self.builder, self.config.data.features, "label", tfds.features.LabeledImage)
    return list(feature.names or map(str, range(feature.num_classes)))

  @property
  def num_classes(self) -> int:
    """Number of classes of the label feature."""
    return len(self.class_names)

  @property
  def foreground(self) -> int:
    """The class that `iou` and `dice` are of."""
    name = self.config.data.foreground
    return self.class_names.index(name) if name else self.num_classes - 1

  @property
  def sides(self) -> tuple[int, int]:
    """Pixels a side of the network's inputs, in training and in evaluation.

    Raises:
      ConfigError: if the images are no squares and `data.tile` is 0.
    """
    height, width, _ = self.input_shape
    tile = self.config.data.tile
    if not tile and height != width:
      raise ConfigError(f"data.tile=0 but the images of {self.builder.name} are {height}x{width}: give pixels a side")
    return tile or height, self.config.evaluate.tile or tile or height

  def _outputs_of(self) -> dict[int, int]:
    height, width, channels = self.input_shape
    found = {}
    for side in self.sides:
      *_, rows, _, outputs = self.networks["segmenter"].compute_output_shape((1, side, side, channels))
      if not 0 < rows <= side or (side - rows) % 2 or outputs != self.num_classes:
        raise ConfigError(f"model.name={self.config.model.name!r} is no model for task='segmentation': of {side} pixels a side "
                          f"it makes {rows} with {outputs} numbers each, {self.num_classes} are needed")
      found[side] = rows
    if (rows := found[self.sides[0]]) > min(height, width):
      raise ConfigError(f"data.tile={self.config.data.tile} predicts {rows} pixels a side; the images of {self.builder.name} "
                        f"have {height}x{width}")
    return found

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the segmenter that `model.name` names."""
    channels, options = self.input_shape[-1], self.config.loss
    if len(self.config.data.mean) not in (1, channels):
      raise ConfigError(f"data.mean has {len(self.config.data.mean)} values but the images have {channels} channel(s)")
    if options.class_weights and len(options.class_weights) != self.num_classes:
      raise ConfigError(f"loss.class_weights has {len(options.class_weights)} values but {self.builder.name} has "
                        f"{self.num_classes} classes")
    return self.build_model(input_shape=(None, None, channels), num_outputs=self.num_classes, sides=self.sides)

  def build(self, total_steps: int, warmup_steps: int) -> None:
    """Makes network and learner.

    Raises:
      ConfigError: as `build_networks`, and if what the network predicts of a tile does not fit the images or the classes.
    """
    super().build(total_steps, warmup_steps)
    self.outputs_of = self._outputs_of()

  def augment(self, batch: Batch, uniform: Callable[[Any], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Returns a random tile of each image, bent, turned and with other contrast where asked for, and its labels.

    The tile that is predicted lies within the image; what the network sees around it may be mirrored.
    """
    options, (side, _) = self.config.data.augment, self.sides
    inner = self.outputs_of[side]
    height, width, _ = self.input_shape
    margin = (side - inner) // 2

    def line(draw: int, size: int) -> tf.Tensor:
      start = tf.cast(uniform(draw) * (size - inner + 1), tf.int32)
      return start[:, None] - margin + tf.range(side)

    moved = elastic.vectors(uniform, _ELASTIC_DRAW, options.elastic) if options.elastic else None
    down, right = elastic.places(line(0, height), line(1, width), (height, width), moved)
    if options.turns:
      coins = uniform(_TURN_DRAW + tf.range(3))
      down, right = elastic.turned(down, coins), elastic.turned(right, coins)
    middle = slice(margin, margin + inner)
    tiles: Batch = {word: elastic.nearest(batch[word], down[:, middle, middle], right[:, middle, middle])
             for word in ("label", "gap") if word in batch}
    image = elastic.bilinear(batch["image"], down, right)
    if options.grey:
      contrast, brightness = (2.0 * options.grey * (uniform(_GREY_DRAW + i) - 0.5) for i in (0, 1))
      image = (image - 127.5) * (1.0 + contrast)[:, None, None, None] + 127.5 + 255.0 * brightness[:, None, None, None]
    return tiles | {"image": tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)}

  def preprocess(self, images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as the network takes them, in the compute type."""
    return standardized(images, self.config.data)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor:
    """Returns the logits, float32 [b, h, w, classes]: of a tile's middle in training, else of the whole image."""
    images, segmenter = self.preprocess(batch["image"]), self.networks["segmenter"]
    side = self.sides[1]
    found = segmenter(images, training=True) if training else overlap_tiled(images, segmenter, side, self.outputs_of[side])
    return tf.cast(found, tf.float32)

  def losses(self, outputs: tf.Tensor, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each image's weighted cross-entropy [b], a mean over its pixels in nats, and the shares of its pixels that are
    wrong (`error`, %), that both truth and prediction give to a class (`both_0`, ...), and that either gives to it."""
    labels = tf.cast(batch["label"][..., 0], tf.int32)
    loss = self.pixel_weights(batch) * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
    predicted = tf.argmax(outputs, -1, output_type=tf.int32)

    def share(chosen: tf.Tensor) -> tf.Tensor:
      return tf.reduce_mean(tf.cast(chosen, tf.float32), [1, 2])

    mean = tf.reduce_mean(loss, [1, 2])
    found = {"loss": mean, "error": 100.0 * share(predicted != labels)}
    for c in range(self.num_classes):
      found |= {f"both_{c}": share((predicted == c) & (labels == c)), f"either_{c}": share((predicted == c) | (labels == c))}
    return mean, found

  def pixel_weights(self, batch: Batch) -> tf.Tensor:
    """Returns w = w_c + w_0 exp(-(d1 + d2)^2 / (2 sigma^2)) of each pixel, float32 [b, h, w].

    Source: Ronneberger, Fischer & Brox 2015, equation 2; the second term acts between cells, where d1 and d2 are known.
    """
    options = self.config.loss
    weights = tf.gather(tf.constant(options.class_weights or (1.0,) * self.num_classes, tf.float32),
                        tf.cast(batch["label"][..., 0], tf.int32))
    if not options.border_weight:
      return weights
    gap = tf.cast(batch["gap"][..., 0], tf.float32)
    near = tf.exp(-tf.square(gap / (cells.QUARTERS * options.border_sigma)) / 2.0)
    return weights + options.border_weight * tf.where(gap < cells.FAR, near, 0.0)

  def summarize(self, means: dict[str, float]) -> dict[str, float]:
    """Returns loss, error, and the ratios of the sums over all pixels; a class that is nowhere counts as found."""
    both, either = ([means[f"{kind}_{c}"] for c in range(self.num_classes)] for kind in ("both", "either"))
    ious = [b / e if e else 1.0 for b, e in zip(both, either, strict=True)]
    iou = ious[self.foreground]
    return {"loss": means["loss"], "error": means["error"], "iou": iou, "dice": 2 * iou / (1 + iou),
            "mean_iou": sum(ious) / len(ious)}

  def predicted(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the `probability` of each class, [b, H, W, classes]."""
    return {"probability": tf.nn.softmax(self.outputs(batch, False))}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns `image`, `label`, `probability` [N, H, W, classes] and `segmentation` uint8 [N, H, W] of a split."""
    found = super().predict(split)
    return found | {"segmentation": found["probability"].argmax(-1).astype(np.uint8)}

  def analysed(self) -> dict[str, np.ndarray]:
    """Returns what `predict` gives of the test split, and `valid_label` and `valid_probability` if there is another one."""
    found = self.predict("test")
    if self.config.data.valid:
      found |= {f"valid_{name}": value for name, value in self.predict("valid").items() if name in ("label", "probability")}
    return found

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an image: index, % of its pixels that are wrong, and the share of each class."""
    rows = []
    for i, (label, found) in enumerate(zip(predictions["label"][..., 0], predictions["segmentation"], strict=True)):
      shares = np.bincount(found.ravel(), minlength=self.num_classes) / found.size
      rows.append([i, f"{100 * np.mean(label != found):.3f}", *(f"{share:.4f}" for share in shares)])
    return ["index", "error_percent", *(f"share_{name}" for name in self.class_names)], rows


def overlap_tiled(images: tf.Tensor, logits: Callable[[tf.Tensor], tf.Tensor], side: int, inner: int) -> tf.Tensor:
  """Returns the logits of whole images, each pixel predicted once.

  Args:
    images: [b, H, W, C].
    logits: maps tiles [n, side, side, C] to the logits of their middle, [n, inner, inner, K].
    side: pixels a side of a tile.
    inner: pixels a side of what it predicts.

  Returns:
    [b, H, W, K].

  Source: Ronneberger, Fischer & Brox 2015, figure 2.
  """
  height, width, channels = images.shape[1:]
  counts = [-(-size // inner) for size in (height, width)]

  def lines(count: int, size: int) -> tf.Tensor:
    first = inner * np.arange(count)[:, None] - (side - inner) // 2
    mirrored = elastic.reflected(tf.constant(first + np.arange(side), tf.float32), size)
    return tf.reshape(tf.cast(mirrored, tf.int32), [-1])  # [count * side]

  x = tf.gather(tf.gather(images, lines(counts[0], height), axis=1), lines(counts[1], width), axis=2)
  x = tf.transpose(tf.reshape(x, [-1, counts[0], side, counts[1], side, channels]), [0, 1, 3, 2, 4, 5])
  y = logits(tf.reshape(x, [-1, side, side, channels]))
  y = tf.transpose(tf.reshape(y, [-1, *counts, inner, inner, y.shape[-1]]), [0, 1, 3, 2, 4, 5])
  return tf.reshape(y, [-1, counts[0] * inner, counts[1] * inner, y.shape[-1]])[:, :height, :width]


TASK = Segmentation
