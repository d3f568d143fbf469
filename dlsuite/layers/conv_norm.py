"""What deep convolutional networks are made of: a padded convolution without biases, batch norm with ReLU, and the stem."""

import keras
from keras import layers

from dlsuite.errors import ConfigError, one_of
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D

STEMS = ("imagenet", "cifar")


def convolution(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, groups: int = 1) -> keras.KerasTensor:
  """Returns [B, ceil(H / stride), ceil(W / stride), filters]: no bias, and the same padding on all four sides.

  Args:
    x: [B, H, W, C].
    filters: channels of the output.
    kernel: pixels a side, odd.
    stride: in both directions.
    name: of the layer; the padding's is this with `_pad`.
    groups: into how many parts the channels are split, each convolved by itself.
  """
  padding = "same" if stride == 1 else "valid"
  if stride > 1 and kernel > 1:  # by hand: "same" would pad an even image on the right and bottom only
    x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
  return Conv2D(filters, kernel, stride, padding, groups=groups, use_bias=False, kernel_initializer="he_normal", name=name)(x)


def norm(x: keras.KerasTensor, name: str, zero: bool = False) -> keras.KerasTensor:
  """Returns `x` after batch norm, whose factors start at 0 instead of 1 if `zero`."""
  return BatchNorm(gamma_initializer="zeros" if zero else "ones", name=f"{name}_bn")(x)


def norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
  """Returns `x` after batch norm and ReLU."""
  return layers.ReLU(name=f"{name}_relu")(norm(x, name))


def stem(x: keras.KerasTensor, kind: str, width: int) -> keras.KerasTensor:
  """Returns what the first blocks of a residual or densely connected network see, after batch norm and ReLU.

  Args:
    x: images [B, H, W, C].
    kind: "imagenet" (7x7 convolution and 3x3 max-pooling, each of stride 2) or "cifar" (one 3x3 convolution).
    width: channels of the output.

  Returns:
    [B, H / 4, W / 4, width] or [B, H, W, width].

  Raises:
    ConfigError: if there is no such kind.

  Source: He, Zhang, Ren & Sun 2015, table 1 and section 4.2.
  """
  if kind not in STEMS:
    raise ConfigError(one_of("model.stem", kind, STEMS))
  if kind == "cifar":
    return norm_relu(convolution(x, width, 3, 1, "conv1"), "conv1")
  x = norm_relu(convolution(x, width, 7, 2, "conv1"), "conv1")  # [B, 112, 112, 64]
  x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # nothing is below 0 here, so zeros never win
  return layers.MaxPool2D(3, 2, name="pool1")(x)  # [B, 56, 56, 64]
