"""LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998): the network of section II.B and the modern reading of it."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images
from dlsuite.layers.lenet import C3_TABLE, RadialBasis, ScaledTanh, Subsampling, TableConvolution


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, original: bool = False, width: float = 1.0,
          dropout: float = 0.0) -> keras.Model:
  """Returns LeNet-5.

  Args:
    input_shape: (H, W, C); 28x28 images are padded to the paper's 32x32.
    num_outputs: number of classes; the original needs 10.
    original: the 1998 network instead of the modern reading (ReLU, max-pooling, softmax).
    width: factor on the number of feature maps and units of the modern reading.
    dropout: share of the units dropped before each of the two last layers of the modern reading.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs]; of the original, minus the RBF penalties.

  Raises:
    ConfigError: if the original is asked for other than 10 classes, or the images are too small.

  Source: section II.B and figure 2.
  """
  if original and num_outputs != 10:
    raise ConfigError(f"model.original=True: the network of 1998 knows 10 classes, the data have {num_outputs}")
  x = inputs = keras.Input(input_shape)
  if input_shape[0] == 28:
    x = layers.ZeroPadding2D(2, name="pad")(x)  # [B, 32, 32, C]
  x = _original(x) if original else _modern(x, num_outputs, width, dropout)
  return keras.Model(inputs, x, name="lenet5")


def _modern(x: keras.KerasTensor, num_outputs: int, width: float, dropout: float) -> keras.KerasTensor:
  def n(units: int) -> int:
    return max(1, round(units * width))

  x = Conv2D(n(6), 5, activation="relu", name="c1")(x)  # [B, 28, 28, 6]
  x = layers.MaxPool2D(2, name="s2")(x)  # [B, 14, 14, 6]
  x = Conv2D(n(16), 5, activation="relu", name="c3")(x)  # [B, 10, 10, 16]
  x = layers.MaxPool2D(2, name="s4")(x)  # [B, 5, 5, 16]
  x = layers.Flatten(name="flatten")(x)  # [B, 400]
  x = layers.Dense(n(120), activation="relu", name="c5")(x)
  if dropout:
    x = layers.Dropout(dropout, name="drop5")(x)
  x = layers.Dense(n(84), activation="relu", name="f6")(x)
  if dropout:
    x = layers.Dropout(dropout, name="drop6")(x)
  return layers.Dense(num_outputs, dtype="float32", name="output")(x)


def _original(x: keras.KerasTensor) -> keras.KerasTensor:
  x = TableConvolution(6, 5, name="c1")(x)  # [B, 28, 28, 6]
  x = ScaledTanh(name="c1_squash")(x)
  x = Subsampling(name="s2")(x)  # [B, 14, 14, 6]
  x = TableConvolution(16, 5, table=C3_TABLE, name="c3")(x)  # [B, 10, 10, 16]
  x = ScaledTanh(name="c3_squash")(x)
  x = Subsampling(name="s4")(x)  # [B, 5, 5, 16]
  x = TableConvolution(120, 5, name="c5")(x)  # [B, 1, 1, 120]
  x = ScaledTanh(name="c5_squash")(x)
  x = layers.Flatten(name="flatten")(x)  # [B, 120]
  limit = keras.initializers.RandomUniform(-2.4 / 120, 2.4 / 120)
  x = layers.Dense(84, kernel_initializer=limit, name="f6")(x)
  x = ScaledTanh(name="f6_squash")(x)  # [B, 84]
  return RadialBasis(dtype="float32", name="output")(x)  # [B, 10]
