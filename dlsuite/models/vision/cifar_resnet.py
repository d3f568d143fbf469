"""The small residual networks for 32x32 images: plain, with squeeze and excitation, with pre-activation."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.conv_norm import convolution, norm, norm_relu
from dlsuite.layers.shortcut import PaddedShortcut
from dlsuite.layers.squeeze_excite import squeeze_excite


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 20, width: int = 16, se_ratio: int = 0,
          preactivation: bool = False, bottleneck: bool = False) -> keras.Model:
  """Returns a residual network of 6n + 2 or 9n + 2 layers: n blocks at each of three resolutions.

  Args:
    input_shape: (H, W, C); the paper's is (32, 32, 3).
    num_outputs: number of classes.
    depth: number of weighted layers, 6n + 2: 20, 32, 44, 56 and 110 in the paper; with bottlenecks 9n + 2: 164 and 1001.
    width: channels at the first resolution; doubled at each of the two next.
    se_ratio: reduction of a squeeze-and-excitation gate at the end of each branch; 0 is none.
    preactivation: batch norm and ReLU before each convolution, nothing after the addition.
    bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions that end with four times the channels; with pre-activation only.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth fits no equal blocks, or bottlenecks are asked for without pre-activation.

  Source: He, Zhang, Ren & Sun 2015, section 4.2, with the shortcuts of option A, which have no parameters. Gates: Hu, Shen
  & Sun 2017, figure 3. Pre-activation: He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", figure 4e
  and appendix (the first block's activation comes before its shortcut, another one after the last addition). Bottlenecks:
  the same, section 4.1; where the channels change, a 1x1 convolution of the activated input is the shortcut.
  """
  step = 9 if bottleneck else 6
  blocks, rest = divmod(depth - 2, step)
  if rest or blocks < 1:
    near, examples = max(step + 2, step * round((depth - 2) / step) + 2), "164, 1001" if bottleneck else "20, 32, 44, 56, 110"
    raise ConfigError(f"model.depth={depth} must be {step}n + 2, e.g. {examples}; nearest: {near}")
  if bottleneck and not preactivation:
    raise ConfigError("model.bottleneck=True needs model.preactivation=True")
  if se_ratio < 0:
    raise ConfigError(f"model.se_ratio={se_ratio} must be 0 (none) or more, e.g. 16")
  block = _preactivated_bottleneck if bottleneck else _preactivated_block if preactivation else _block
  inputs = keras.Input(input_shape)
  x = convolution(inputs, width, 3, 1, "stem")  # [B, 32, 32, 16]
  x = norm_relu(x, "stem")
  for stage in range(3):  # [B, 32, 32, 16], [B, 16, 16, 32], [B, 8, 8, 64]; with bottlenecks 64, 128 and 256 channels
    for i in range(blocks):
      x = block(x, width * 2**stage, 2 if stage and not i else 1, se_ratio, f"stage{stage + 1}_block{i + 1}")
  if preactivation:
    x = norm_relu(x, "last")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 64]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  kind = ("se_" if se_ratio else "") + ("preact_" if preactivation else "")
  return keras.Model(inputs, x, name=f"{kind}resnet{depth}")


def _shortcut(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
  if stride == 1 and x.shape[-1] == filters:
    return x
  return PaddedShortcut(filters, stride, name=f"{name}_shortcut")(x)


def _block(x: keras.KerasTensor, filters: int, stride: int, se_ratio: int, name: str) -> keras.KerasTensor:
  y = convolution(x, filters, 3, stride, f"{name}_a")
  y = norm_relu(y, f"{name}_a")
  y = convolution(y, filters, 3, 1, f"{name}_b")
  y = norm(y, f"{name}_b")
  if se_ratio:
    y = squeeze_excite(y, se_ratio, name)
  x = _shortcut(x, filters, stride, name)
  return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _preactivated_block(x: keras.KerasTensor, filters: int, stride: int, se_ratio: int, name: str) -> keras.KerasTensor:
  # The first block of all stands behind the stem's own norm and ReLU, which are its.
  y = x if name == "stage1_block1" else norm_relu(x, f"{name}_a")
  y = convolution(y, filters, 3, stride, f"{name}_a")
  y = norm_relu(y, f"{name}_b")
  y = convolution(y, filters, 3, 1, f"{name}_b")
  if se_ratio:
    y = squeeze_excite(y, se_ratio, name)
  return layers.Add(name=f"{name}_add")([_shortcut(x, filters, stride, name), y])


def _preactivated_bottleneck(x: keras.KerasTensor, filters: int, stride: int, se_ratio: int, name: str) -> keras.KerasTensor:
  y = x if name == "stage1_block1" else norm_relu(x, f"{name}_a")
  if x.shape[-1] != 4 * filters:
    x = convolution(y, 4 * filters, 1, stride, f"{name}_shortcut")
  y = convolution(y, filters, 1, stride, f"{name}_a")
  y = convolution(norm_relu(y, f"{name}_b"), filters, 3, 1, f"{name}_b")
  y = convolution(norm_relu(y, f"{name}_c"), 4 * filters, 1, 1, f"{name}_c")
  if se_ratio:
    y = squeeze_excite(y, se_ratio, name)
  return layers.Add(name=f"{name}_add")([x, y])
