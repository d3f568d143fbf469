"""Tiles of images, bent: elastic deformation in batches inside the input pipeline, seeded by example."""

from collections.abc import Callable

import tensorflow as tf

from dlsuite.data.randomness import box_muller

Uniform = Callable[[int | tf.Tensor], tf.Tensor]  # draw number(s) -> float32 [B] or [B, D] in [0, 1)

GRID = 3  # displacements a side of an image


def reflected(places: tf.Tensor, size: int) -> tf.Tensor:
  """Returns the places, float32, that a mirror at the first and one at the last pixel map into [0, size - 1].

  Source: Ronneberger, Fischer & Brox 2015, figure 2: what lies beyond the border is the image mirrored.
  """
  period = float(max(1, 2 * (size - 1)))
  folded = tf.math.floormod(places, period)
  return tf.minimum(folded, period - folded)


def bicubic_basis(size: int) -> tf.Tensor:
  """Returns the share of each of `GRID` numbers in each of `size` pixels, float32 [size, GRID], by bicubic interpolation.

  The numbers sit in the middle of equal parts of the side, as the pixels of an image that is enlarged.
  """
  return tf.image.resize(tf.eye(GRID)[None, :, :, None], [size, GRID], "bicubic")[0, :, :, 0]


def vectors(uniform: Uniform, first: int, deviation: float) -> tf.Tensor:
  """Returns normal displacements, float32 [B, GRID, GRID, 2], in pixels.

  Args:
    uniform: an example's random numbers.
    first: the first of its 36 draws.
    deviation: standard deviation, pixels.
  """
  count = 2 * GRID * GRID
  u = uniform(first + tf.range(2 * count))
  return deviation * tf.reshape(box_muller(u[:, :count], u[:, count:]), [-1, GRID, GRID, 2])


def places(rows: tf.Tensor, columns: tf.Tensor, size: tuple[int, int], moved: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns where the pixels of a tile are taken from, two float32 [B, h, w] in [0, H - 1] and [0, W - 1].

  Args:
    rows: int32 [B, h], also beyond the image.
    columns: int32 [B, w].
    size: of the image, (H, W).
    moved: [B, GRID, GRID, 2] displacements over the whole image, or None.

  Source: Ronneberger, Fischer & Brox 2015, section 3.1; Simard, Steinkraus & Platt 2003, section 2.
  """
  y, x = tf.cast(rows, tf.float32), tf.cast(columns, tf.float32)
  down = tf.repeat(y[:, :, None], columns.shape[1], 2)
  right = tf.repeat(x[:, None, :], rows.shape[1], 1)
  if moved is not None:
    by_row = tf.gather(bicubic_basis(size[0]), tf.cast(reflected(y, size[0]), tf.int32))  # [B, h, GRID]
    by_column = tf.gather(bicubic_basis(size[1]), tf.cast(reflected(x, size[1]), tf.int32))
    shift = [by_row @ moved[..., axis] @ tf.transpose(by_column, [0, 2, 1]) for axis in (0, 1)]
    down, right = down + shift[0], right + shift[1]
  return reflected(down, size[0]), reflected(right, size[1])


def nearest(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
  """Returns the pixels [B, h, w, C] of images [B, H, W, C] nearest to some places [B, h, w]."""
  return _pick(images, tf.cast(tf.round(down), tf.int32), tf.cast(tf.round(right), tf.int32))


def bilinear(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
  """Returns images [B, H, W, C] at places [B, h, w] between the pixels, float32 [B, h, w, C]."""
  height, width = images.shape[1], images.shape[2]
  top, left = tf.cast(down, tf.int32), tf.cast(right, tf.int32)  # not below 0: the cast is the floor
  bottom, next_ = tf.minimum(top + 1, height - 1), tf.minimum(left + 1, width - 1)
  y, x = (down - tf.floor(down))[..., None], (right - tf.floor(right))[..., None]

  def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    return tf.cast(_pick(images, row, column), tf.float32)

  upper = at(top, left) * (1 - x) + at(top, next_) * x
  lower = at(bottom, left) * (1 - x) + at(bottom, next_) * x
  return upper * (1 - y) + lower * y


def turned(values: tf.Tensor, coins: tf.Tensor) -> tf.Tensor:
  """Returns squares [B, S, S] in one of the eight ways that a square lies, by three coins [B, 3] in [0, 1)."""
  coins = coins[:, :, None, None]
  values = tf.where(coins[:, 0] < 0.5, tf.transpose(values, [0, 2, 1]), values)
  values = tf.where(coins[:, 1] < 0.5, tf.reverse(values, [1]), values)
  return tf.where(coins[:, 2] < 0.5, tf.reverse(values, [2]), values)


def _pick(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
  _, height, width, channels = images.shape
  flat = tf.reshape(images, [-1, height * width, channels])
  return tf.gather(flat, rows * width + columns, axis=1, batch_dims=1)
