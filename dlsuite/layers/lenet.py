"""The layers of the 1998 LeNet-5 that no library has: partial connections, trainable subsampling, RBF output."""

import keras
import numpy as np
import tensorflow as tf

# Which maps of S2 (0 to 5) feed each of the 16 maps of C3. Source: LeCun et al. 1998, table I.
C3_TABLE = (
  (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
  (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
  (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)

# A 7x12 drawing of each digit, the fixed centre of its output unit. The paper's figure 3 shows the idea; these are ours.
_GLYPHS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...##..  .####..  .#####.  ....##.  ######.  ..####.  #######  .#####.  .#####.
.##.##.  ..###..  ##..##.  ##...##  ...###.  ##.....  .##....  ##...##  ##...##  ##...##
##...##  .####..  ....##.  .....##  ..####.  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  ....##.  .....##  .##.##.  ##.....  ##.....  ....##.  .##.##.  ##...##
##...##  ...##..  ...##..  ..####.  ##..##.  #####..  #####..  ...##..  ..###..  .######
##...##  ...##..  ..##...  ..####.  ##..##.  ....##.  ##..##.  ...##..  .##.##.  ..#####
##...##  ...##..  .##....  .....##  #######  .....##  ##...##  ..##...  ##...##  .....##
##...##  ...##..  ##.....  .....##  ....##.  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ....##.  ##..##.  .##.##.  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  ....##.  .####..  ..###..  ..##...  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def digit_codes() -> np.ndarray:
  """Returns the target of each digit for the 84 units of F6, float32 [10, 84] of -1 (paper) and +1 (ink)."""
  rows = [line.split() for line in _GLYPHS.strip().splitlines()]
  bitmaps = [[[1.0 if pixel == "#" else -1.0 for pixel in row[digit]] for row in rows] for digit in range(10)]
  return np.array(bitmaps, np.float32).reshape(10, 84)


def _uniform(fan_in: int) -> keras.initializers.Initializer:
  """Uniform in +-2.4 / fan-in (LeCun et al. 1998, appendix A)."""
  return keras.initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in)


@keras.saving.register_keras_serializable("dlsuite")
class ScaledTanh(keras.layers.Layer):
  """f(a) = 1.7159 tanh(2/3 a): f(1) = 1, f(-1) = -1. Source: LeCun et al. 1998, equation 6 and appendix A."""

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Returns the squashed input, same shape."""
    return 1.7159 * tf.tanh(x * (2.0 / 3.0))


@keras.saving.register_keras_serializable("dlsuite")
class TableConvolution(keras.layers.Layer):
  """A valid convolution in which each output map sees only the input maps that a table names.

  Args:
    filters: number of output maps.
    size: of the square kernel, pixels.
    table: for each output map the input maps it is connected to; None connects all.
  """

  def __init__(self, filters: int, size: int, table: tuple[tuple[int, ...], ...] | None = None, **kwargs: object) -> None:
    super().__init__(**kwargs)
    self.filters, self.size, self.table = filters, size, table

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Makes one size x size kernel a connection and one bias a map."""
    channels = int(input_shape[-1] or 0)
    table = self.table or tuple(tuple(range(channels)) for _ in range(self.filters))
    connections = sum(len(inputs) for inputs in table)
    self._slots = np.full((channels, self.filters), connections)  # absent connections point at the appended zero
    fan_in = np.zeros(connections)
    i = 0
    for output, inputs in enumerate(table):
      for channel in inputs:
        self._slots[channel, output] = i
        fan_in[i] = len(inputs) * self.size**2
        i += 1
    scale = 2.4 / fan_in

    def initializer(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
      return keras.random.uniform(shape, -1.0, 1.0, dtype=dtype) * tf.constant(scale, dtype)

    self.kernel = self.add_weight(name="kernel", shape=(self.size, self.size, connections), initializer=initializer)
    self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Maps [B, H, W, C] to [B, H - size + 1, W - size + 1, filters]."""
    kernel = tf.gather(tf.pad(tf.convert_to_tensor(self.kernel), [[0, 0], [0, 0], [0, 1]]), self._slots, axis=-1)
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), self.bias)

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    return super().get_config() | {"filters": self.filters, "size": self.size, "table": self.table}


@keras.saving.register_keras_serializable("dlsuite")
class Subsampling(keras.layers.Layer):
  """Adds each 2x2 neighbourhood, times one trainable coefficient a map, plus one bias, squashed."""

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Makes a coefficient and a bias a map."""
    shape = (input_shape[-1],)
    self.coefficient = self.add_weight(name="coefficient", shape=shape, initializer=_uniform(4))
    self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Maps [B, H, W, C] to [B, H / 2, W / 2, C]."""
    total = 4.0 * tf.nn.avg_pool2d(x, 2, 2, "VALID")
    return 1.7159 * tf.tanh((2.0 / 3.0) * (total * self.coefficient + self.bias))


@keras.saving.register_keras_serializable("dlsuite")
class RadialBasis(keras.layers.Layer):
  """Minus the squared distance of F6's state to each digit's drawing: logits [B, 10] from [B, 84].

  Source: LeCun et al. 1998, equation 7.
  """

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Makes the fixed centres [10, 84]."""
    self.codes = self.add_weight(name="codes", shape=(10, 84), trainable=False,
                                 initializer=lambda shape, dtype=None: tf.constant(digit_codes(), dtype))

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Maps [B, 84] to [B, 10]."""
    x = tf.cast(x, self.compute_dtype)
    return -tf.reduce_sum(tf.square(x[:, None, :] - tf.convert_to_tensor(self.codes)), -1)
