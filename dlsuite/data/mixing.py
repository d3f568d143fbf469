"""Mixup and CutMix: each pair of neighbours in a batch, positions 2i and 2i + 1, is mixed into two images of two labels each.

A pair's random numbers are those of its first example, so that it is mixed alike on any number of replicas.
"""

import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.randomness import Uniform

_BISECTIONS = 24


def mixes(options: ConfigDict) -> bool:
  """Returns whether `data.augment` asks for mixed images."""
  return bool((options.mixup or options.cutmix) and options.mix_share)


def mix(images: tf.Tensor, labels: tf.Tensor, options: ConfigDict, uniform: Uniform, first: int
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Mixes the pairs of a batch as `data.augment` asks.

  Args:
    images: uint8 [B, H, W, C], B even.
    labels: int [B].
    options: `mixup` and `cutmix` are the parameters of their Beta distributions, of which one is drawn evenly if both are on;
      `mix_share` of the pairs are mixed at all.
    uniform: the examples' random numbers.
    first: the first of the five draws that are used.

  Returns:
    Images uint8 [B, H, W, C]; the second label of each, int [B]; and the weight of the first, float32 [B].
  """
  partner = swapped(images)

  def of_pair(draw: int) -> tf.Tensor:
    return tf.repeat(uniform(first + draw)[::2], 2)

  alpha = options.mixup or options.cutmix
  share = beta_quantile(of_pair(0), alpha)
  if options.mixup:
    mixed, weight = mixup(images, partner, share), share
  if options.cutmix:
    if options.cutmix != alpha:
      share = beta_quantile(of_pair(0), options.cutmix)
    cut, remaining = cutmix(images, partner, share, of_pair(1), of_pair(2))
    if options.mixup:
      coin = of_pair(3) < 0.5
      mixed, weight = tf.where(coin[:, None, None, None], mixed, cut), tf.where(coin, weight, remaining)
    else:
      mixed, weight = cut, remaining
  if options.mix_share < 1:
    chosen = of_pair(4) < options.mix_share
    mixed, weight = tf.where(chosen[:, None, None, None], mixed, images), tf.where(chosen, weight, 1.0)
  return mixed, swapped(labels), weight


def swapped(values: tf.Tensor) -> tf.Tensor:
  """Returns [B, ...] with the two of each pair in each other's place."""
  pairs = tf.reshape(values, [values.shape[0] // 2, 2, *values.shape[1:]])
  return tf.reshape(tf.reverse(pairs, [1]), values.shape)


def mixup(images: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
  """Returns share * images + (1 - share) * partner, rounded to uint8.

  Args:
    images: uint8 [B, H, W, C].
    partner: the same, each image's other.
    share: float32 [B] in [0, 1].

  Source: Zhang, Cissé, Dauphin & Lopez-Paz 2018, "mixup: beyond empirical risk minimization", equation of section 1.
  """
  ours, theirs = tf.cast(images, tf.float32), tf.cast(partner, tf.float32)
  return tf.cast(tf.round(theirs + share[:, None, None, None] * (ours - theirs)), tf.uint8)


def cutmix(images: tf.Tensor, partner: tf.Tensor, share: tf.Tensor, row: tf.Tensor, column: tf.Tensor
           ) -> tuple[tf.Tensor, tf.Tensor]:
  """Puts a box of the partner into each image.

  Args:
    images: uint8 [B, H, W, C].
    partner: the same, each image's other.
    share: float32 [B] in [0, 1], of the image that stays if the box lies wholly in it.
    row: float32 [B] in [0, 1), of the box's centre.
    column: the same.

  Returns:
    uint8 [B, H, W, C], and the share of each image that stayed, float32 [B].

  Source: Yun et al. 2019, "CutMix", section 3.1, equations 1 and 2.
  """
  height, width = images.shape[1], images.shape[2]
  side = tf.sqrt(1.0 - share)
  inside = box(height, width, tf.cast(side * height, tf.int32), tf.cast(side * width, tf.int32), row, column)
  weight = 1.0 - tf.reduce_mean(tf.cast(inside, tf.float32), [1, 2])
  return tf.where(inside[..., None], partner, images), weight


def box(height: int, width: int, rows: tf.Tensor | int, columns: tf.Tensor | int, row: tf.Tensor, column: tf.Tensor
        ) -> tf.Tensor:
  """Returns which pixels lie in a box of a number of rows and columns round a random pixel, bool [B, H, W].

  What of the box lies outside the image is cut off.

  Args:
    height: of the image.
    width: the same.
    rows: of the box, int32 [B] or one number.
    columns: the same.
    row: float32 [B] in [0, 1), the place of the centre.
    column: the same.
  """

  def within(size: int, length: tf.Tensor | int, place: tf.Tensor) -> tf.Tensor:
    start = tf.cast(place * size, tf.int32) - length // 2
    at = tf.range(size)[None, :]
    return (at >= start[:, None]) & (at < (start + length)[:, None])

  return within(height, rows, row)[:, :, None] & within(width, columns, column)[:, None, :]


def beta_quantile(share: tf.Tensor, alpha: float) -> tf.Tensor:
  """Returns where the distribution function of Beta(alpha, alpha) reaches `share`, float32 [B] in [0, 1)."""
  if alpha == 1:
    return share
  upper = share > 0.5  # the distribution is symmetric
  target = tf.where(upper, 1.0 - share, share)
  low, high = tf.zeros_like(share), tf.fill(tf.shape(share), 0.5)
  for _ in range(_BISECTIONS):
    middle = (low + high) / 2
    below = tf.math.betainc(tf.fill(tf.shape(share), alpha), tf.fill(tf.shape(share), alpha), middle) < target
    low, high = tf.where(below, middle, low), tf.where(below, high, middle)
  return tf.where(upper, 1.0 - high, high)
