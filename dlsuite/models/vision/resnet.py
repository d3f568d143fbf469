"""The residual networks for ImageNet: ResNet-18, 34, 50, 101 and 152."""

import functools

import keras
from keras import layers

from dlsuite.errors import ConfigError, one_of
from dlsuite.layers.conv_norm import convolution, norm, norm_relu
from dlsuite.layers.conv_norm import stem as first_layers
from dlsuite.layers.shortcut import add_relu

# Blocks at each of the four resolutions, and whether they are bottlenecks.
DEPTHS: dict[int, tuple[tuple[int, int, int, int], bool]] = {
  18: ((2, 2, 2, 2), False),
  34: ((3, 4, 6, 3), False),
  50: ((3, 4, 6, 3), True),
  101: ((3, 4, 23, 3), True),
  152: ((3, 8, 36, 3), True),
}
DOWNSAMPLE = ("1x1", "3x3")


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 50, width: int = 64, stem: str = "imagenet",
          downsample: str = "1x1", zero_gamma: bool = False) -> keras.Model:
  """Returns a residual network with projection shortcuts where the shape changes (option B).

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    depth: number of weighted layers: 18, 34, 50, 101 or 152.
    width: channels of the first convolution.
    stem: "imagenet", or "cifar" for images of 32x32 and less: no subsampling before the first block.
    downsample: which convolution of a bottleneck has the stride: the first "1x1", as in the paper, or the "3x3", as
      implementations since Gross & Wilber 2016 ("v1.5", a little more exact and costlier).
    zero_gamma: the last batch norm of each branch starts with factors of 0, so that each block starts as the identity.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth, the stem or the downsampling is none of these.

  Source: He, Zhang, Ren & Sun 2015, table 1, sections 3.3 and 4.1. Zero factors, and the output's initial values: Goyal et
  al. 2017, "Accurate, large minibatch SGD", section 5.1.
  """
  if depth not in DEPTHS:
    raise ConfigError(f"model.depth={depth} must be one of {', '.join(map(str, DEPTHS))}")
  if downsample not in DOWNSAMPLE:
    raise ConfigError(one_of("model.downsample", downsample, DOWNSAMPLE))
  blocks, deep = DEPTHS[depth]
  block = functools.partial(_bottleneck, stride_in_3x3=downsample == "3x3") if deep else _basic_block
  inputs = keras.Input(input_shape)
  x = first_layers(inputs, stem, width)  # [B, 56, 56, 64]
  for stage, count in enumerate(blocks):  # 56x56, 28x28, 14x14, 7x7; 64, 128, 256, 512 channels, four times these if deep
    for i in range(count):
      x = block(x, width * 2**stage, stride=2 if stage and not i else 1, zero=zero_gamma, name=f"conv{stage + 2}_{i + 1}")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 2048]
  small = keras.initializers.RandomNormal(stddev=0.01)
  x = layers.Dense(num_outputs, kernel_initializer=small, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"resnet{depth}")


def _basic_block(x: keras.KerasTensor, filters: int, stride: int, zero: bool, name: str) -> keras.KerasTensor:
  y = norm_relu(convolution(x, filters, 3, stride, f"{name}_a"), f"{name}_a")
  y = norm(convolution(y, filters, 3, 1, f"{name}_b"), f"{name}_b", zero)
  return add_relu(x, y, stride, name)


def _bottleneck(x: keras.KerasTensor, filters: int, stride: int, zero: bool, name: str,
                stride_in_3x3: bool) -> keras.KerasTensor:
  first, second = (1, stride) if stride_in_3x3 else (stride, 1)
  y = norm_relu(convolution(x, filters, 1, first, f"{name}_a"), f"{name}_a")
  y = norm_relu(convolution(y, filters, 3, second, f"{name}_b"), f"{name}_b")
  y = norm(convolution(y, 4 * filters, 1, 1, f"{name}_c"), f"{name}_c", zero)
  return add_relu(x, y, stride, name)
