"""The geometry of a grid detector: what its numbers mean, which box of the truth each of them answers for, how boxes differ.

Boxes are (top, left, bottom, right) in pixels of the network's input. Everything has static shapes: the truth is padded, and
each of a grid's N = rows x columns x anchors predictors is compared with each of an image's M boxes.
"""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from dlsuite.data.boxes import area

_REACH = 1.1  # how far a predicted middle may leave its cell's middle, in cells from end to end
_LARGEST_LOG = 4.0  # exp(4) = 55 times the anchor
_EPSILON = 1e-7


@dataclasses.dataclass(frozen=True)
class Targets:
  """What each predictor should say.

  Attributes:
    positive: bool [B, N], it answers for a box.
    boxes: float32 [B, N, 4], for which; its anchor's own box where for none.
    labels: int32 [B, N], of which class; 0 where for none.
  """

  positive: tf.Tensor
  boxes: tf.Tensor
  labels: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Grid:
  """The predictors of a grid.

  Attributes:
    rows: cells from top to bottom.
    columns: cells from left to right.
    size: (H, W) of the network's input.
    anchors: (height, width) of each of a cell's predictors, in pixels.
  """

  rows: int
  columns: int
  size: tuple[int, int]
  anchors: tuple[tuple[float, float], ...]

  @functools.cached_property
  def _cells(self) -> np.ndarray:
    """Row and column of each predictor, float32 [N, 2]."""
    rows, columns, _ = np.meshgrid(range(self.rows), range(self.columns), range(len(self.anchors)), indexing="ij")
    return np.stack([rows.ravel(), columns.ravel()], 1).astype(np.float32)

  @functools.cached_property
  def _anchors(self) -> np.ndarray:
    """Height and width of each predictor's anchor, float32 [N, 2]."""
    return np.tile(np.array(self.anchors, np.float32), (self.rows * self.columns, 1))

  @property
  def _cell(self) -> np.ndarray:
    """Height and width of a cell, float32 [2]."""
    return np.array([self.size[0] / self.rows, self.size[1] / self.columns], np.float32)

  def boxes(self, raw: tf.Tensor) -> tf.Tensor:
    """Returns what the first four numbers of each predictor [B, N, 4] mean: boxes, float32 [B, N, 4].

    Source: Redmon & Farhadi 2017, section 2, "Direct location prediction"; the middle may leave its cell a little, or one on
    a cell's edge would need an infinite number (Bochkovskiy, Wang & Liao 2020, "YOLOv4", section 4.3).
    """
    middle = (self._cells + _REACH * tf.sigmoid(raw[..., :2]) - 0.5 * (_REACH - 1.0)) * self._cell
    half = 0.5 * self._anchors * tf.exp(tf.clip_by_value(raw[..., 2:4], -_LARGEST_LOG, _LARGEST_LOG))
    return tf.concat([middle - half, middle + half], -1)

  def targets(self, boxes: tf.Tensor, labels: tf.Tensor, least: float) -> Targets:
    """Returns what each predictor should say of the truth.

    A box is answered for by its cell's predictor whose anchor is most like it, and by those whose anchors overlap it by
    `least` or more when laid upon it. A predictor that would answer for several takes the one most like its anchor.

    Args:
      boxes: float32 [B, M, 4].
      labels: int32 [B, M], below 0 where there is no box.
      least: overlap, from 0 to 1.

    Source: Redmon & Farhadi 2017, section 2; several anchors a box: Bochkovskiy, Wang & Liao 2020, section 4.3.
    """
    middle, size = 0.5 * (boxes[..., :2] + boxes[..., 2:]), boxes[..., 2:] - boxes[..., :2]
    last = np.array([self.rows - 1, self.columns - 1], np.float32)
    cell = tf.clip_by_value(tf.floor(middle / self._cell), 0.0, last)  # a middle on the last edge is in the last cell
    inside = tf.reduce_all(tf.equal(cell[:, tf.newaxis], self._cells[:, np.newaxis]), -1)  # [B, N, M]
    alike = self._alike(size)  # [B, A, M]
    chosen = (alike >= least) | tf.equal(alike, tf.reduce_max(alike, 1, keepdims=True))
    fit = tf.tile(tf.where(chosen, alike, 0.0), [1, self.rows * self.columns, 1])
    fit = tf.where(inside & (labels >= 0)[:, tf.newaxis], fit, 0.0)  # [B, N, M]
    best, positive = tf.argmax(fit, -1, output_type=tf.int32), tf.reduce_max(fit, -1) > 0
    middles = (self._cells + 0.5) * self._cell
    own = np.concatenate([middles - 0.5 * self._anchors, middles + 0.5 * self._anchors], 1)
    return Targets(positive, tf.where(positive[..., tf.newaxis], tf.gather(boxes, best, batch_dims=1), own),
                   tf.where(positive, tf.gather(labels, best, batch_dims=1), 0))

  def _alike(self, size: tf.Tensor) -> tf.Tensor:
    """Returns the overlap [B, A, M] of each anchor with boxes of a size [B, M, 2] laid upon it."""
    anchors = np.array(self.anchors, np.float32)
    shared = tf.reduce_prod(tf.minimum(size[:, tf.newaxis], anchors[:, np.newaxis]), -1)
    union = tf.reduce_prod(size, -1)[:, tf.newaxis] + anchors.prod(-1)[:, np.newaxis] - shared
    return shared / tf.maximum(union, _EPSILON)


def overlap(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
  """Returns the intersection of boxes [..., 4] over their union, [...]; the shapes are broadcast."""
  sides = tf.maximum(tf.minimum(one[..., 2:], other[..., 2:]) - tf.maximum(one[..., :2], other[..., :2]), 0.0)
  shared = sides[..., 0] * sides[..., 1]
  return shared / tf.maximum(area(one) + area(other) - shared, _EPSILON)


def complete_overlap(found: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
  """Returns the overlap of boxes [..., 4] less what their middles and their proportions differ, [...]: 1 if they are equal.

  Source: Zheng et al. 2020, "Distance-IoU loss", equations 7 and 8 (middles), 9 to 11 (proportions; the weight of these is
  taken as constant).
  """
  iou = overlap(found, true)
  apart = tf.reduce_sum(tf.square(found[..., :2] + found[..., 2:] - true[..., :2] - true[..., 2:]), -1) / 4.0
  around = tf.maximum(found[..., 2:], true[..., 2:]) - tf.minimum(found[..., :2], true[..., :2])
  diagonal = tf.maximum(tf.reduce_sum(tf.square(around), -1), _EPSILON)

  def angle(boxes: tf.Tensor) -> tf.Tensor:
    return tf.atan2(boxes[..., 3] - boxes[..., 1], boxes[..., 2] - boxes[..., 0])

  proportions = 4.0 / math.pi**2 * tf.square(angle(true) - angle(found))
  weight = tf.stop_gradient(proportions / tf.maximum(1.0 - iou + proportions, _EPSILON))
  return iou - apart / diagonal - weight * proportions
