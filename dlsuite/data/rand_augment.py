"""RandAugment: a few operations drawn evenly from fourteen, all of one magnitude.

An operation costs as much as the images that draw it: those are taken out of the batch, changed together and put back.
"""

from collections.abc import Callable

import tensorflow as tf

from dlsuite.data.colour import blend, grey, mean_grey

OPERATIONS = ("identity", "auto_contrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast", "brightness",
              "sharpness", "shear_x", "shear_y", "translate_x", "translate_y")
_TABLES = ("auto_contrast", "equalize", "solarize", "posterize", "contrast", "brightness")
_AFFINE = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")

# What magnitude 10 means, where the range of AutoAugment (Cubuk et al. 2019, table 6) ends; it grows evenly from nothing at 0.
_ROTATE = 30.0  # degrees
_SHEAR = 0.3  # pixels a pixel
_TRANSLATE = 150 / 331  # of the side
_ENHANCE = 0.9  # a factor of 0.1 or 1.9
_POSTERIZE = 4.0  # bits that are lost
_SOLARIZE = 256.0  # below the threshold of 256

_FILL = 128.0  # grey, where an image was moved away


def rand_augment(images: tf.Tensor, layers: int, magnitude: float, uniform: Callable[[int], tf.Tensor], first: int
                 ) -> tf.Tensor:
  """Applies `layers` operations in turn, each drawn anew for each image.

  Args:
    images: uint8 [B, H, W, C].
    layers: the paper's N.
    magnitude: the paper's M, on the scale whose 10 is the end of AutoAugment's range. Where a larger one has no meaning, it
      counts as the largest that has.
    uniform: the examples' random numbers.
    first: the first of the 2 * layers draws that are used.

  Returns:
    uint8 [B, H, W, C].

  Source: Cubuk, Zoph, Shlens & Le 2020, "RandAugment", section 3 and figure 2. Here magnitude 0 changes nothing but by
  the operations that have none, and whether an enhancement strengthens or weakens is drawn as the direction of a shift is.
  """
  for layer in range(layers):
    chosen = tf.cast(uniform(first + 2 * layer) * len(OPERATIONS), tf.int32)
    sign = tf.where(uniform(first + 2 * layer + 1) < 0.5, -1.0, 1.0)
    images = apply(images, chosen, sign * (magnitude / 10.0))
  return images


def apply(images: tf.Tensor, chosen: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
  """Applies one operation to each image.

  Args:
    images: uint8 [B, H, W, C].
    chosen: int32 [B], places in `OPERATIONS`.
    strength: float32 [B], the magnitude in tenths, with the sign of the direction.
  """
  factor = tf.maximum(1.0 + _ENHANCE * strength, 0.0)
  images = _where(_any_of(chosen, _AFFINE), images, lambda part, op, s: affine(part, matrices(part, op, s)), chosen, strength)
  images = _where(_any_of(chosen, _TABLES), images, _looked_up, chosen, strength)
  images = _where(_any_of(chosen, ("color",)), images, lambda part, f: blend(grey(part), part, f), factor)
  return _where(_any_of(chosen, ("sharpness",)), images, lambda part, f: blend(smooth(part), part, f), factor)


def _any_of(chosen: tf.Tensor, names: tuple[str, ...]) -> tf.Tensor:
  return tf.reduce_any(tf.equal(chosen[:, None], tf.constant([OPERATIONS.index(name) for name in names])), 1)


def _where(mask: tf.Tensor, images: tf.Tensor, function: Callable[..., tf.Tensor], *parameters: tf.Tensor) -> tf.Tensor:
  """Returns the images with `function(part, *its parameters)` in place of those that the mask names."""
  index = tf.where(mask)
  part = function(*(tf.gather(values, index[:, 0]) for values in (images, *parameters)))
  return tf.tensor_scatter_nd_update(images, index, part)


def matrices(images: tf.Tensor, chosen: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
  """Returns what maps a place of the output to one of the input, float32 [B, 6]: x' = ax + by + c, y' = dx + ey + f.

  Places are in pixels, the first pixel's centre at (0.5, 0.5). Shears keep the upper left corner, rotations the centre.
  """
  height, width = (float(side) for side in images.shape[1:3])
  zero, one = tf.zeros_like(strength), tf.ones_like(strength)
  angle = strength * (_ROTATE * 3.14159265 / 180.0)
  cos, sin, shear = tf.cos(angle), tf.sin(angle), _SHEAR * strength
  x, y = width / 2, height / 2
  of = {
    "rotate": (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y),
    "shear_x": (one, shear, zero, zero, one, zero),
    "shear_y": (one, zero, zero, shear, one, zero),
    "translate_x": (one, zero, tf.round(_TRANSLATE * width * strength), zero, one, zero),
    "translate_y": (one, zero, zero, zero, one, tf.round(_TRANSLATE * height * strength)),
  }
  found = tf.stack([one, zero, zero, zero, one, zero], 1)
  for name, columns in of.items():
    found = tf.where((chosen == OPERATIONS.index(name))[:, None], tf.stack(columns, 1), found)
  return found


def affine(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
  """Moves images uint8 [B, H, W, C] by matrices float32 [B, 6], taking the nearest pixel, grey outside."""
  a, b, c, d, e, f = tf.unstack(matrix, axis=1)
  # TensorFlow counts from the first pixel's centre.
  c, f = c + 0.5 * (a + b) - 0.5, f + 0.5 * (d + e) - 0.5
  zero = tf.zeros_like(a)
  return tf.raw_ops.ImageProjectiveTransformV3(
    images=images, transforms=tf.stack([a, b, c, d, e, f, zero, zero], 1), output_shape=images.shape[1:3], fill_value=_FILL,
    interpolation="NEAREST", fill_mode="CONSTANT")


def smooth(images: tf.Tensor) -> tf.Tensor:
  """Returns images [B, H, W, C] blurred by a weight of 5 on a pixel and 1 on its eight neighbours, float32; borders stay."""
  floats = tf.cast(images, tf.float32)
  rows = floats[:, :-2] + floats[:, 1:-1] + floats[:, 2:]
  nine = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
  inner = tf.floor((nine + 4.0 * floats[:, 1:-1, 1:-1]) / 13.0 + 0.5)
  middle = tf.concat([floats[:, 1:-1, :1], inner, floats[:, 1:-1, -1:]], 2)
  return tf.concat([floats[:, :1], middle, floats[:, -1:]], 1)


def _looked_up(images: tf.Tensor, chosen: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
  table = tf.cast(tf.clip_by_value(tables(images, chosen, strength), 0, 255), tf.uint8)  # [B, C, 256]
  shape = tf.shape(images)
  channels = tf.transpose(tf.reshape(images, [shape[0], -1, images.shape[-1]]), [0, 2, 1])  # [B, C, HW]
  found = tf.gather(table, tf.cast(channels, tf.int32), batch_dims=2)
  return tf.reshape(tf.transpose(found, [0, 2, 1]), shape)


def tables(images: tf.Tensor, chosen: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
  """Returns the new value of each old one for each image's operation and channel: int32 [B, C, 256]."""
  count, channels = tf.shape(images)[0], images.shape[-1]
  factor = tf.maximum(1.0 + _ENHANCE * strength, 0.0)[:, None, None]
  size = tf.abs(strength)[:, None, None]
  levels = tf.range(256)[None, None, :]
  floats = tf.cast(levels, tf.float32)
  pale = mean_grey(images)[:, 0]  # [B, 1, 1]
  lost = tf.cast(tf.minimum(tf.round(_POSTERIZE * size), 7.0), tf.int32)
  threshold = tf.cast(_SOLARIZE * (1.0 - size), tf.int32)

  def truncated(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.int32)

  of = {
    "auto_contrast": _stretched(images),
    "equalize": _equalized(images),
    "solarize": tf.where(levels < threshold, levels, 255 - levels),
    "posterize": tf.bitwise.left_shift(tf.bitwise.right_shift(levels, lost), lost),
    "contrast": truncated(pale + factor * (floats - pale)),
    "brightness": truncated(factor * floats),
  }
  found = tf.broadcast_to(levels, [count, channels, 256])
  for name, table in of.items():
    found = tf.where((chosen == OPERATIONS.index(name))[:, None, None], table, found)
  return found


def _stretched(images: tf.Tensor) -> tf.Tensor:
  """Returns the tables that bring each channel's darkest value to 0 and its brightest to 255, int32 [B, C, 256]."""
  low, high = (tf.cast(edge(images, [1, 2]), tf.float64)[:, :, None] for edge in (tf.reduce_min, tf.reduce_max))
  scale = 255.0 / tf.maximum(high - low, 1.0)  # in double precision: 255 itself must not fall short of a whole number
  levels = tf.range(256, dtype=tf.float64)[None, None, :]
  return tf.cast(tf.where(high > low, tf.clip_by_value(levels * scale - low * scale, 0.0, 255.0), levels), tf.int32)


def _equalized(images: tf.Tensor) -> tf.Tensor:
  """Returns the tables that spread each channel's values evenly, int32 [B, C, 256].

  In Pillow's integers: value v becomes (half a step + pixels darker than v) / step, where 255 steps hold all pixels but those
  of the brightest value.
  """
  shape = tf.shape(images)
  channels = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [shape[0] * images.shape[-1], images.shape[1] * images.shape[2]])
  histogram = tf.math.bincount(tf.cast(channels, tf.int32), minlength=256, maxlength=256, axis=-1)  # [BC, 256]
  brightest = tf.reduce_max(tf.cast(channels, tf.int32), 1)
  step = (channels.shape[1] - tf.gather(histogram, brightest, batch_dims=1)) // 255
  step = step[:, None]
  darker = tf.cumsum(histogram, axis=1, exclusive=True)
  levels = tf.broadcast_to(tf.range(256)[None, :], tf.shape(histogram))
  found = tf.where(step > 0, tf.minimum((step // 2 + darker) // tf.maximum(step, 1), 255), levels)
  return tf.reshape(found, [shape[0], images.shape[-1], 256])
