"""The small residual networks for 32x32 images (He, Zhang, Ren & Sun 2015, section 4.2)."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.shortcut import PaddedShortcut


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 20, width: int = 16) -> keras.Model:
  """Returns a residual network of 6n + 2 layers: n blocks at each of three resolutions.

  Args:
    input_shape: (H, W, C); the paper's is (32, 32, 3).
    num_outputs: number of classes.
    depth: number of weighted layers, 6n + 2: 20, 32, 44, 56 and 110 in the paper.
    width: channels at the first resolution; doubled at each of the two next.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth is not 6n + 2.

  Source: section 4.2, with the shortcuts of option A, which have no parameters.
  """
  blocks, rest = divmod(depth - 2, 6)
  if rest or blocks < 1:
    near = max(8, 6 * round((depth - 2) / 6) + 2)
    raise ConfigError(f"model.depth={depth} must be 6n + 2, e.g. 20, 32, 44, 56, 110; nearest: {near}")
  inputs = keras.Input(input_shape)
  x = _convolution(inputs, width, 1, "stem")  # [B, 32, 32, 16]
  x = layers.ReLU(name="stem_relu")(x)
  for stage in range(3):  # [B, 32, 32, 16], [B, 16, 16, 32], [B, 8, 8, 64]
    for i in range(blocks):
      x = _block(x, width * 2**stage, 2 if stage and not i else 1, f"stage{stage + 1}_block{i + 1}")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 64]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"resnet{depth}")


def _convolution(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
  # Padded by hand where strided: "same" would pad the right and bottom only, the paper's framework pads both sides.
  padding = "same" if stride == 1 else "valid"
  if stride > 1:
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
  x = Conv2D(filters, 3, stride, padding, use_bias=False, kernel_initializer="he_normal", name=name)(x)
  return BatchNorm(name=f"{name}_bn")(x)


def _block(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
  y = _convolution(x, filters, stride, f"{name}_a")
  y = layers.ReLU(name=f"{name}_a_relu")(y)
  y = _convolution(y, filters, 1, f"{name}_b")
  if stride > 1 or x.shape[-1] != filters:
    x = PaddedShortcut(filters, stride, name=f"{name}_shortcut")(x)
  return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
