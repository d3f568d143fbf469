"""Boxes around the objects of an image, and their classes, by a grid of predictors."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlsuite.data import box_augment, boxes
from dlsuite.data.boxes import BoxedSplit, Count
from dlsuite.errors import ConfigError
from dlsuite.metrics import detection as metrics_of
from dlsuite.tasks.grid import Grid, complete_overlap, overlap
from dlsuite.tasks.images import standardized
from dlsuite.tasks.supervised import SPLITS, Supervised
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.size": ((96, 96), "above 0 and finite"),  # pixels, height and width
  "data.max_boxes": (32, "above 0 and finite"),  # an image
  "data.bad_boxes": ("refuse", ("refuse", "skip")),  # those out of their image or without area
  "data.mean": ((0.0,), "from 0 to 1"),  # a value per channel, of pixels scaled to [0, 1]
  "data.std": ((1.0,), "above 0 and finite"),  # the same
  "data.augment.flip": ("none", ("none", "horizontal", "both")),
  "data.augment.zoom": (0.0, "0 or more and finite"),  # 0.25: objects from 1/1.25 to 1.25 times their size
  "data.augment.shift": (0.0, "0 or more and finite"),  # largest, in shares of the image's sides
  "data.augment.colour": (0.0, "at least 0 and below 1"),  # largest change of light, contrast and saturation
  "anchors.heights": ((), "above 0 and finite"), "anchors.widths": ((), "above 0 and finite"),  # pixels; see tools.anchors
  "anchors.least_overlap": (0.5, "from 0 to 1"),  # of an anchor with a box that it answers for beside the anchor most like it
  "loss.box": (5.0, "0 or more and finite"), "loss.object": (1.0, "0 or more and finite"),
  "loss.background": (0.5, "0 or more and finite"), "loss.classes": (1.0, "0 or more and finite"),
  "loss.ignore": (0.5, "from 0 to 1"),  # a prediction that overlaps a box by more is not background
  "evaluate.least_score": (0.01, "from 0 to 1"),
  "evaluate.suppress": (0.5, "from 0 to 1"),  # of two boxes of one class that overlap by more, the surer one stays
}
GIVES = ("input_shape", "num_anchors", "num_classes")  # to the model's `build`

_CANDIDATES = 300  # surest predictions an image that go into the suppression
_DETECTIONS = 100  # that may come out


class Detection(Supervised):
  """`image` uint8 [B, H, W, C], `boxes` [B, M, 4] and `labels` [B, M] an example; the network is a grid detector.

  Source: Redmon et al. 2016, "You only look once", equation 3, of which the terms, their sums over an image and their weights
  remain; Redmon & Farhadi 2018, "YOLOv3", section 2.1, for cross-entropy instead of squared errors and for predictions that
  are neither object nor background; Zheng et al. 2020, "Distance-IoU loss", for the boxes' term.
  """

  metrics = ("loss", "box", "object", "background", "classes")
  reported = (*metrics, "map", "map50")
  curves = ("loss", "map50")
  units: Mapping[str, str] = {}
  network = "detector"

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set and looks at all its boxes once.

    Raises:
      ConfigError: if pycocotools is missing, or the anchors or the image's size are not given rightly.
      DataError: as `Supervised.open`, and if a split has no box, too many in an image, or bad ones.
    """
    metrics_of.require()
    heights, widths, size = self.config.anchors.heights, self.config.anchors.widths, self.config.data.size
    if not heights or len(heights) != len(widths):
      raise ConfigError(f"anchors.heights={heights} and anchors.widths={widths} need one value an anchor each, at least one; "
                        "`python -m tools.anchors EXPERIMENT COUNT` finds them in the training split")
    if len(size) != 2 or any(int(side) != side for side in size):
      raise ConfigError(f"data.size={size} must be two whole numbers, height and width in pixels, e.g. (240, 320)")
    if self.config.data.resize:
      raise ConfigError(f"data.resize={self.config.data.resize} is not for task='detection': give data.size=(height, width)")
    super().open(prepare)
    for word in ("image", "boxes", "labels"):
      boxes.feature(self.builder, self.config.data.features, word)
    self.counts: dict[str, Count] = {}
    keys = [key for key in SPLITS if self.config.data[key] and self.builder_of(key).info.splits]
    self.counts = {key: self.split(key).count(key) for key in keys}

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the set's full name and what each split reads."""
    name, rows = super().describe_data()
    return name, [[key, reads, str(self.counts.get(key, size))] for key, reads, size in rows]

  def split(self, key: str) -> BoxedSplit:
    """Returns a split ready to be read."""
    return BoxedSplit.open(self.builder_of(key), self.config, key)

  @property
  def class_names(self) -> list[str]:
    """Names of the classes of objects."""
    return list(boxes.feature(self.builder, self.config.data.features, "labels").names)

  @property
  def input_shape(self) -> tuple[int, int, int]:
    """(H, W, C)."""
    image = boxes.feature(self.builder, self.config.data.features, "image")
    return int(self.config.data.size[0]), int(self.config.data.size[1]), int(image.shape[-1])

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the detector that `model.name` names."""
    channels = self.input_shape[-1]
    if len(self.config.data.mean) not in (1, channels):
      raise ConfigError(f"data.mean has {len(self.config.data.mean)} values but the images have {channels} channel(s)")
    return self.build_model(input_shape=self.input_shape, num_anchors=len(self.config.anchors.heights),
                            num_classes=len(self.class_names))

  @functools.cached_property
  def grid(self) -> Grid:
    """The network's predictors."""
    anchors = tuple(zip(self.config.anchors.heights, self.config.anchors.widths, strict=True))
    _, rows, columns, *_ = self.networks["detector"].output_shape
    return Grid(rows, columns, self.input_shape[:2], anchors)

  def augment(self, batch: Batch, uniform: Callable[[int], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Augments a training batch in the input pipeline."""
    return box_augment.augment(batch, self.config.data.augment, uniform)

  def preprocess(self, images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as the network takes them, in the compute type."""
    return standardized(images, self.config.data)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor:
    """Returns each predictor's numbers, float32 [b, N, 5 + classes]."""
    raw = self.networks["detector"](self.preprocess(batch["image"]), training=training)
    return tf.cast(tf.reshape(raw, [raw.shape[0] or -1, int(np.prod(raw.shape[1:4])), raw.shape[4]]), tf.float32)

  def losses(self, outputs: tf.Tensor, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the weighted loss of each image [b], and its terms before they are weighted, sums over predictors [b].

    `box`: 1 less the complete overlap with the box that a predictor answers for; `object`: cross-entropy of its confidence
    with the overlap; `background`: of the others' confidence with 0; `classes`: of its classes with the box's.
    """
    found = self.grid.boxes(outputs[..., :4])
    true, labels = batch["boxes"] * self._pixels, tf.cast(batch["labels"], tf.int32)
    targets = self.grid.targets(true, labels, self.config.anchors.least_overlap)
    positive = tf.cast(targets.positive, tf.float32)
    with_each = overlap(tf.stop_gradient(found)[:, :, tf.newaxis], true[:, tf.newaxis])  # [b, N, M]
    most = tf.reduce_max(tf.where((labels >= 0)[:, tf.newaxis], with_each, 0.0), -1)
    background = (1.0 - positive) * tf.cast(most <= self.config.loss.ignore, tf.float32)
    confidence = outputs[..., 4]
    right = tf.stop_gradient(overlap(found, targets.boxes))

    def total(weight: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
      return tf.reduce_sum(weight * values, -1)

    terms = {
      "box": total(positive, 1.0 - complete_overlap(found, targets.boxes)),
      "object": total(positive, tf.nn.sigmoid_cross_entropy_with_logits(right, confidence)),
      "background": total(background, tf.nn.softplus(confidence)),
      "classes": total(positive, tf.nn.sparse_softmax_cross_entropy_with_logits(targets.labels, outputs[..., 5:])),
    }
    loss = tf.add_n([self.config.loss[name] * values for name, values in terms.items()])
    return loss, {"loss": loss} | terms

  @property
  def _pixels(self) -> np.ndarray:
    """What makes pixels of a box's shares, float32 [4]."""
    return np.array(self.input_shape[:2] * 2, np.float32)

  def predicted(self, batch: Batch) -> dict[str, tf.Tensor]:
    """Returns the surest predictions of each image, boxes as shares [b, K, 4] and the scores of all classes [b, K, classes],
    and the loss with its terms, [b]."""
    outputs = self.outputs(batch, False)
    _, terms = self.losses(outputs, batch, False)
    scores = tf.sigmoid(outputs[..., 4:5]) * tf.nn.softmax(outputs[..., 5:])
    _, surest = tf.math.top_k(tf.reduce_max(scores, -1), min(_CANDIDATES, scores.shape[1]))
    found = self.grid.boxes(outputs[..., :4]) / self._pixels
    return terms | {"candidate_boxes": tf.gather(found, surest, batch_dims=1),
                    "candidate_scores": tf.gather(scores, surest, batch_dims=1)}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns the examples, boxes in pixels, what is found in them after non-maximum suppression, surest first, and their loss.

    Of D = 100 places an image: `detected_boxes` [N, D, 4] in pixels, `detected_labels` [N, D], `detected_scores` [N, D], 0
    where nothing more was found.
    """
    found = super().predict(split)
    options = self.config.evaluate
    with tf.device("CPU"):
      kept = tf.image.combined_non_max_suppression(
        found.pop("candidate_boxes")[:, :, np.newaxis], found.pop("candidate_scores"), _DETECTIONS, _DETECTIONS,
        options.suppress, options.least_score)
    names = ("detected_boxes", "detected_scores", "detected_labels")
    found |= {name: value.numpy() for name, value in zip(names, kept, strict=False)}
    return found | {"boxes": found["boxes"] * self._pixels, "detected_boxes": found["detected_boxes"] * self._pixels,
                    "detected_labels": found["detected_labels"].astype(np.int32)}

  def from_predictions(self, found: dict[str, np.ndarray]) -> dict[str, float]:  # type: ignore[override]
    """Returns the mean average precisions of pycocotools, which rank the boxes of all images."""
    return metrics_of.average_precision(found, len(self.class_names))

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row a detection: the image's index, class, score, and the box in pixels of the network's input."""
    columns = ["index", "class", "score", "top", "left", "bottom", "right"]
    rows = [[int(i), self.class_names[predictions["detected_labels"][i, j]], f"{predictions['detected_scores'][i, j]:.4f}",
             *(f"{value:.1f}" for value in predictions["detected_boxes"][i, j])]
            for i, j in zip(*np.nonzero(predictions["detected_scores"]), strict=True)]
    return columns, rows


TASK = Detection
