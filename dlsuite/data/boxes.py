"""Images with boxes: a split whose examples have static shapes, and what can be wrong with boxes.

A box is (top, left, bottom, right) in shares of its image's height and width, as tfds has it. An image is brought to its size
by a letterbox: scaled by one factor until it fits, grey below or to the right of it, so that shapes keep their form and two
boxes their overlap.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from dlsuite.data import pipeline, sources
from dlsuite.data.crops import Draws
from dlsuite.data.pipeline import Batch, Split
from dlsuite.errors import DataError, nearest

GREY = 128  # of what is no image
NO_BOX = -1  # the label of padding
_TOLERANCE = 1e-4  # a rounded corner may stand out of its image by so much


def feature(builder: Any, features: ConfigDict, word: str) -> Any:
  """Returns the tfds feature at the path, e.g. `objects/bbox`, that the config maps a word to.

  Raises:
    DataError: if the word is not mapped, or the set has no such feature.
  """
  if word not in features:
    raise DataError(f"data.features.{word} is missing: the task needs the path of it in {builder.name}, e.g. 'objects/bbox'")
  found, path = builder.info.features, features[word]
  for part in path.split("/"):
    names = list(found) if isinstance(found, tfds.features.FeaturesDict) else list(getattr(found, "feature", ()) or ())
    if part not in names:
      raise DataError(f"data.features.{word}={path!r} is not a feature of {builder.name}{nearest(part, names)}; "
                      f"at '{part}' it has: {', '.join(names) or 'none'}")
    found = found[part]
  return found


def area(boxes: tf.Tensor) -> tf.Tensor:
  """Returns the area of each of the boxes [..., 4], [...], in the square of their unit."""
  return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def is_bad(boxes: Any) -> Any:
  """Returns which of the boxes [..., 4], of NumPy or TensorFlow, stand out of their image, have no area or hold a NaN."""
  top, left, bottom, right = (boxes[..., i] for i in range(4))
  outside = (top < -_TOLERANCE) | (left < -_TOLERANCE) | (bottom > 1 + _TOLERANCE) | (right > 1 + _TOLERANCE)
  return outside | ~(bottom > top) | ~(right > left)  # which also holds of a NaN


@dataclasses.dataclass(frozen=True)
class BoxedSplit(Split):
  """A split of `image` uint8 [H, W, C], `boxes` float32 [M, 4] and `labels` int32 [M], NO_BOX where there is no box.

  Attributes:
    shape: (H, W, C).
    max_boxes: M.
    skip_bad: whether bad boxes are left out.
  """

  shape: tuple[int, int, int] = (0, 0, 0)
  max_boxes: int = 0
  skip_bad: bool = False

  @classmethod
  def open(cls, builder: Any, config: ConfigDict, key: str) -> "BoxedSplit":
    """Opens `config.data[key]` (key: train, valid or test).

    Raises:
      DataError: if the split or one of the features does not exist.
    """
    words = ("image", "boxes", "labels")
    image, boxes, labels = (feature(builder, config.data.features, word) for word in words)
    for word, found, kind in (("image", image, tfds.features.Image), ("boxes", boxes, tfds.features.Tensor),
                              ("labels", labels, tfds.features.ClassLabel)):
      if not isinstance(found, kind) or (word == "boxes" and tuple(found.shape) != (4,)):
        needed = {"image": "an Image", "boxes": "boxes of 4 numbers", "labels": "a ClassLabel"}[word]
        raise DataError(f"data.features.{word}={config.data.features[word]!r} of {builder.name} is a {type(found).__name__} "
                        f"{tuple(found.shape)}; the task needs {needed}")
    name, data = config.data[key], config.data
    size = sources.num_examples(builder, name, f"data.{key}")
    shape = (int(data.size[0]), int(data.size[1]), int(image.shape[-1]))
    features = {word: data.features[word] for word in words}
    in_memory = data.cache == "memory" or (data.cache == "auto" and int(np.prod(shape)) * size <= pipeline.MEMORY_LIMIT)
    return cls(builder, name, size, features, 0, in_memory, shape=shape, max_boxes=data.max_boxes,
               skip_bad=data.bad_boxes == "skip")

  def decode(self, example: dict[str, Any], draws: Draws | None = None) -> Batch:
    """Returns one example in the split's shapes; nothing of it is random."""
    found = {word: _at(example, path) for word, path in self.features.items()}
    image, kept = letterbox(found["image"], self.shape[:2])
    boxes, labels = tf.cast(found["boxes"], tf.float32), tf.cast(found["labels"], tf.int32)
    good = ~is_bad(boxes)
    boxes = tf.clip_by_value(tf.boolean_mask(boxes, good), 0.0, 1.0) * tf.tile(kept, [2])
    missing = self.max_boxes - tf.shape(boxes)[0]
    boxes = tf.ensure_shape(tf.pad(boxes, [[0, missing], [0, 0]]), [self.max_boxes, 4])
    labels = tf.pad(tf.boolean_mask(labels, good), [[0, missing]], constant_values=NO_BOX)
    return {"image": tf.ensure_shape(image, self.shape), "boxes": boxes, "labels": tf.ensure_shape(labels, [self.max_boxes])}

  def arrays(self, most: int = -1) -> dict[str, np.ndarray]:
    """Returns the examples, {word: [N, ...]}, in the split's own order; at most so many of the first, -1 all."""
    parts = list(self.examples().take(most).batch(64).prefetch(2).with_options(pipeline.fixed_options()).as_numpy_iterator())
    return {word: np.concatenate([part[word] for part in parts]) for word in self.features}

  def count(self, key: str) -> "Count":
    """Looks at all boxes of the split once, without decoding an image.

    Raises:
      DataError: if it holds no box at all, more boxes in an image than `data.max_boxes`, a class that is none, or bad boxes
        that are not to be left out.
    """
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    decoders = {self.features["image"]: tfds.decode.SkipDecoding()}
    examples = self.builder.as_dataset(split=self.name, shuffle_files=False, read_config=config, decoders=decoders)
    boxes_of = examples.map(lambda example: (_at(example, self.features["boxes"]), _at(example, self.features["labels"])))
    found = list(boxes_of.with_options(pipeline.fixed_options()).as_numpy_iterator())
    where = f"data.{key}={self.name!r} of {self.builder.name}"
    boxes = sum(len(b) for b, _ in found)
    classes = feature(self.builder, ConfigDict(self.features), "labels").num_classes
    bad = [(i, j, b[j]) for i, (b, _) in enumerate(found) for j in np.flatnonzero(is_bad(b))]
    if bad and not self.skip_bad:
      i, j, box = bad[0]
      raise DataError(f"{where}: {len(bad)} of {boxes:,} boxes stand out of their image or have no area, the first: box {j} of "
                      f"example {i}, ({', '.join(f'{v:.3g}' for v in box)}); data.bad_boxes='skip' leaves them out")
    if len(bad) == boxes:
      raise DataError(f"{where} holds no box: nothing can be learnt or measured there")
    most = max(len(b) for b, _ in found)
    if most > self.max_boxes:
      raise DataError(f"data.max_boxes={self.max_boxes} but an image of {where} has {most} boxes: give at least {most}")
    for i, (_, labels) in enumerate(found):
      if wrong := [int(label) for label in labels if not 0 <= label < classes]:
        raise DataError(f"{where}: example {i} has a box of class {wrong[0]}, but there are {classes} classes, from 0")
    return Count(len(found), boxes, len(bad))


@dataclasses.dataclass(frozen=True)
class Count:
  """How many images and boxes a split has, and how many boxes of them are bad."""

  images: int
  boxes: int
  bad: int

  def __str__(self) -> str:
    return f"{self.images:,} images, {self.boxes:,} boxes" + (f", of which {self.bad} left out" if self.bad else "")


def _at(example: dict[str, Any], path: str) -> Any:
  value: Any = example
  for part in path.split("/"):
    value = value[part]
  return value


def letterbox(image: tf.Tensor, size: Iterable[int]) -> tuple[tf.Tensor, tf.Tensor]:
  """Scales an image by one factor until it fits, and fills up with grey below or to the right.

  Args:
    image: uint8 [h, w, C], of any size.
    size: (H, W) wanted.

  Returns:
    uint8 [H, W, C], and the share of the height and of the width that the image takes, float32 [2].
  """
  height, width = size
  before = tf.cast(tf.shape(image)[:2], tf.float32)
  factor = tf.minimum(height / before[0], width / before[1])
  inner = tf.minimum(tf.cast(tf.round(before * factor), tf.int32), [height, width])
  scaled = tf.image.resize(image, inner, antialias=True)
  pixels = tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8)
  padded = tf.pad(pixels, [[0, height - inner[0]], [0, width - inner[1]], [0, 0]], constant_values=GREY)
  return padded, tf.cast(inner, tf.float32) / tf.constant([height, width], tf.float32)
