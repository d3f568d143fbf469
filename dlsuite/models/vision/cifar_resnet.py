"""The small residual networks for 32x32 images: plain, with squeeze and excitation, with pre-activation."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.shortcut import PaddedShortcut
from dlsuite.layers.squeeze_excite import squeeze_excite


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 20, width: int = 16, se_ratio: int = 0,
          preactivation: bool = False) -> keras.Model:
  """Returns a residual network of 6n + 2 layers: n blocks at each of three resolutions.

  Args:
    input_shape: (H, W, C); the paper's is (32, 32, 3).
    num_outputs: number of classes.
    depth: number of weighted layers, 6n + 2: 20, 32, 44, 56 and 110 in the paper.
    width: channels at the first resolution; doubled at each of the two next.
    se_ratio: reduction of a squeeze-and-excitation gate at the end of each branch; 0 is none.
    preactivation: batch norm and ReLU before each convolution, nothing after the addition.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth is not 6n + 2.

  Source: He, Zhang, Ren & Sun 2015, section 4.2, with the shortcuts of option A, which have no parameters. Gates: Hu, Shen
  & Sun 2017, figure 3. Pre-activation: He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", figure 4e
  and appendix (the first block's activation comes before its shortcut, another one after the last addition).
  """
  blocks, rest = divmod(depth - 2, 6)
  if rest or blocks < 1:
    near = max(8, 6 * round((depth - 2) / 6) + 2)
    raise ConfigError(f"model.depth={depth} must be 6n + 2, e.g. 20, 32, 44, 56, 110; nearest: {near}")
  if se_ratio < 0:
    raise ConfigError(f"model.se_ratio={se_ratio} must be 0 (none) or more, e.g. 16")
  block = _preactivated_block if preactivation else _block
  inputs = keras.Input(input_shape)
  x = _convolution(inputs, width, 1, "stem")  # [B, 32, 32, 16]
  x = _norm_relu(x, "stem")
  for stage in range(3):  # [B, 32, 32, 16], [B, 16, 16, 32], [B, 8, 8, 64]
    for i in range(blocks):
      x = block(x, width * 2**stage, 2 if stage and not i else 1, se_ratio, f"stage{stage + 1}_block{i + 1}")
  if preactivation:
    x = _norm_relu(x, "last")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 64]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  kind = ("se_" if se_ratio else "") + ("preact_" if preactivation else "")
  return keras.Model(inputs, x, name=f"{kind}resnet{depth}")


def _convolution(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
  # Padded by hand where strided: "same" would pad the right and bottom only, the paper's framework pads both sides.
  padding = "same" if stride == 1 else "valid"
  if stride > 1:
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
  return Conv2D(filters, 3, stride, padding, use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _norm_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
  return layers.ReLU(name=f"{name}_relu")(BatchNorm(name=f"{name}_bn")(x))


def _shortcut(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
  if stride == 1 and x.shape[-1] == filters:
    return x
  return PaddedShortcut(filters, stride, name=f"{name}_shortcut")(x)


def _block(x: keras.KerasTensor, filters: int, stride: int, se_ratio: int, name: str) -> keras.KerasTensor:
  y = _convolution(x, filters, stride, f"{name}_a")
  y = _norm_relu(y, f"{name}_a")
  y = _convolution(y, filters, 1, f"{name}_b")
  y = BatchNorm(name=f"{name}_b_bn")(y)
  if se_ratio:
    y = squeeze_excite(y, se_ratio, name)
  x = _shortcut(x, filters, stride, name)
  return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _preactivated_block(x: keras.KerasTensor, filters: int, stride: int, se_ratio: int, name: str) -> keras.KerasTensor:
  # The first block of all stands behind the stem's own norm and ReLU, which are its.
  y = x if name == "stage1_block1" else _norm_relu(x, f"{name}_a")
  y = _convolution(y, filters, stride, f"{name}_a")
  y = _norm_relu(y, f"{name}_b")
  y = _convolution(y, filters, 1, f"{name}_b")
  if se_ratio:
    y = squeeze_excite(y, se_ratio, name)
  return layers.Add(name=f"{name}_add")([_shortcut(x, filters, stride, name), y])
