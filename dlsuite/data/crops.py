"""Windows of images that differ in size, read from the encoded bytes: only the blocks of a JPEG that matter are decoded.

The window is chosen in the image's own pixels, then brought to the network's size in one resampling. To scale the shorter
side to S and crop P pixels of it is to take a window of P/S of the shorter side, rounded to a pixel.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

Draws = Callable[[int, int], tf.Tensor]  # (first draw, how many) -> float32 [how many] in [0, 1), of one example

ATTEMPTS = 10  # of an area and a ratio before the central crop is taken
_DRAWS = 32  # the first draw of the crops; `dlsuite.data.augment` says which others are taken


@dataclasses.dataclass(frozen=True)
class Crop:
  """How images of many sizes become squares.

  Attributes:
    size: pixels a side of what the network sees.
    kind: of the training's windows: `inception`, `vgg` or `centre`.
    area: smallest and largest share of the image that an `inception` window covers.
    ratio: smallest and largest width to height of an `inception` window.
    scales: smallest and largest shorter side in pixels that `vgg` scales to.
    shorter: pixels of the shorter side in an evaluation.
    keep_square: whether an evaluation keeps the whole central square, of `shorter` pixels, to be cropped later.
  """

  size: int
  kind: str
  area: tuple[float, float]
  ratio: tuple[float, float]
  scales: tuple[float, float]
  shorter: int
  keep_square: bool = False

  def train(self, encoded: tf.Tensor, channels: int, draws: Draws) -> tf.Tensor:
    """Returns a random window of an encoded JPEG or PNG as uint8 [size, size, channels]."""
    height, width = _size(encoded)
    if self.kind == "inception":
      window = inception(height, width, self.area, self.ratio, draws)
    elif self.kind == "vgg":
      low, high = self.scales
      window = square(height, width, self.size / (low + draws(_DRAWS, 1)[0] * (high - low)), draws(_DRAWS + 1, 2))
    else:
      window = square(height, width, self.size / self.shorter)
    return resized(read(encoded, window, channels), self.size)

  def evaluate(self, encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns the centre of an encoded JPEG or PNG as uint8 [size, size, channels], or the whole central square."""
    height, width = _size(encoded)
    if self.keep_square:
      return resized(read(encoded, square(height, width, 1.0), channels), self.shorter)
    return resized(read(encoded, square(height, width, self.size / self.shorter), channels), self.size)


def _size(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns height and width of an encoded JPEG or PNG, int32, from its header."""

  def of_png() -> tf.Tensor:  # its first chunk, from the seventeenth byte on: width, then height
    return tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)[::-1]

  shape = tf.cond(tf.io.is_jpeg(encoded), lambda: tf.io.extract_jpeg_shape(encoded)[:2], of_png)
  return shape[0], shape[1]


def read(encoded: tf.Tensor, window: tf.Tensor, channels: int) -> tf.Tensor:
  """Returns a window, int32 [top, left, height, width], of an encoded JPEG or PNG: uint8 [height, width, channels]."""

  def of_png() -> tf.Tensor:
    whole = tf.io.decode_png(encoded, channels=channels)
    return tf.image.crop_to_bounding_box(whole, window[0], window[1], window[2], window[3])

  return tf.cond(tf.io.is_jpeg(encoded), lambda: tf.image.decode_and_crop_jpeg(encoded, window, channels=channels), of_png)


def resized(images: tf.Tensor, size: int) -> tf.Tensor:
  """Returns images [..., h, w, C] as uint8 [..., size, size, C], resampled without aliasing."""
  found = tf.clip_by_value(tf.round(tf.image.resize(images, [size, size], antialias=True)), 0, 255)
  return tf.cast(found, tf.uint8)


def square(height: tf.Tensor, width: tf.Tensor, share: float | tf.Tensor, place: tf.Tensor | None = None) -> tf.Tensor:
  """Returns a square window, int32 [top, left, height, width].

  Args:
    height: of the image, int32 scalar.
    width: the same.
    share: the window's side as a share of the image's shorter side, at most 1.
    place: float32 [2] in [0, 1), of its top and left edge among all places; without it the centre.

  Source: Simonyan & Zisserman 2015, section 3.1, where the image is scaled to a random shorter side before.
  """
  side = tf.cast(tf.minimum(height, width), tf.float32)
  pixels = tf.clip_by_value(tf.cast(tf.round(share * side), tf.int32), 1, tf.minimum(height, width))
  free = tf.stack([height, width]) - pixels
  corner = free // 2 if place is None else tf.cast(place * tf.cast(free + 1, tf.float32), tf.int32)
  return tf.concat([corner, [pixels, pixels]], 0)


def inception(height: tf.Tensor, width: tf.Tensor, area: tuple[float, float], ratio: tuple[float, float], draws: Draws
              ) -> tf.Tensor:
  """Returns a window of random area, shape and place, int32 [top, left, height, width].

  Area is drawn evenly, the ratio of width to height evenly on a logarithmic scale. Where none of ten such windows fits into
  the image, it is the largest central one whose ratio is allowed.

  Args:
    height: of the image, int32 scalar.
    width: the same.
    area: smallest and largest share of the image.
    ratio: smallest and largest ratio.
    draws: of the example.

  Source: Szegedy et al. 2015, "Going deeper with convolutions", section 6 (areas from 8% to 100%, ratios 3/4 to 4/3).
  """
  draw = tf.reshape(draws(_DRAWS, 4 * ATTEMPTS), [4, ATTEMPTS])
  h, w = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
  areas = h * w * (area[0] + draw[0] * (area[1] - area[0]))
  low, high = math.log(ratio[0]), math.log(ratio[1])
  ratios = tf.exp(low + draw[1] * (high - low))
  widths, heights = tf.round(tf.sqrt(areas * ratios)), tf.round(tf.sqrt(areas / ratios))
  fits = (widths >= 1) & (widths <= w) & (heights >= 1) & (heights <= h)
  tops, lefts = tf.floor(draw[2] * (h - heights + 1)), tf.floor(draw[3] * (w - widths + 1))
  first = tf.argmax(fits)  # the first of those that fit
  drawn = tf.stack([tops, lefts, heights, widths], 1)[first]
  whole_h, whole_w = tf.minimum(h, tf.round(w / ratio[0])), tf.minimum(w, tf.round(h * ratio[1]))
  central = tf.stack([tf.floor((h - whole_h) / 2), tf.floor((w - whole_w) / 2), whole_h, whole_w])
  return tf.cast(tf.where(fits[first], drawn, central), tf.int32)
