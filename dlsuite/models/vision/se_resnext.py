"""Residual networks with squeeze and excitation: SE-ResNet-50, 101, 152 and SE-ResNeXt-50, 101 (32x4d)."""

import keras
from keras import layers

from dlsuite.errors import ConfigError, one_of
from dlsuite.layers.conv_norm import convolution, norm, norm_relu
from dlsuite.layers.conv_norm import stem as first_layers
from dlsuite.layers.shortcut import add_relu
from dlsuite.layers.squeeze_excite import squeeze_excite

# Blocks at each of the four resolutions.
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
DOWNSAMPLE = ("1x1", "3x3")


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 50, groups: int = 32, group_width: int = 4,
          se_ratio: int = 16, width: int = 64, stem: str = "imagenet", downsample: str = "3x3"
          ) -> keras.Model:
  """Returns a residual network whose bottlenecks have grouped convolutions and gates.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    depth: number of weighted layers without those of the gates: 50, 101 or 152.
    groups: parts of the 3x3 convolutions, the cardinality: 32 for ResNeXt, 1 for ResNet.
    group_width: channels of each part at the first resolution, doubled at each next: 4 for 32x4d, 64 for ResNet.
    se_ratio: how many times narrower than its input the middle of a gate is; 0 is no gates.
    width: channels of the first convolution; each resolution's blocks end with 4, 8, 16 and 32 times as many.
    stem: "imagenet", or "cifar" for images of 32x32 and less.
    downsample: which convolution of a bottleneck has the stride, the first "1x1" or the "3x3".

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth, the stem or the downsampling is none of these, or a number of groups is below 1.

  Source: Hu, Shen & Sun 2017, table 1 and figure 3; Xie et al. 2017, "Aggregated residual transformations for deep neural
  networks", table 1, figure 3c, and section 4 for the stride.
  """
  if depth not in DEPTHS:
    raise ConfigError(f"model.depth={depth} must be one of {', '.join(map(str, DEPTHS))}")
  if downsample not in DOWNSAMPLE:
    raise ConfigError(one_of("model.downsample", downsample, DOWNSAMPLE))
  if groups < 1 or group_width < 1 or se_ratio < 0:
    raise ConfigError(f"model.groups={groups}, model.group_width={group_width} must be 1 or more, model.se_ratio={se_ratio} "
                      "0 or more, e.g. 32, 4 and 16")
  inputs = keras.Input(input_shape)
  x = first_layers(inputs, stem, width)  # [B, 56, 56, 64]
  for stage, count in enumerate(DEPTHS[depth]):  # 56x56x256, 28x28x512, 14x14x1024, 7x7x2048
    inner, outer = groups * group_width * 2**stage, 4 * width * 2**stage
    for i in range(count):
      stride, name = 2 if stage and not i else 1, f"conv{stage + 2}_{i + 1}"
      first, second = (1, stride) if downsample == "3x3" else (stride, 1)
      y = norm_relu(convolution(x, inner, 1, first, f"{name}_a"), f"{name}_a")
      y = norm_relu(convolution(y, inner, 3, second, f"{name}_b", groups), f"{name}_b")
      y = norm(convolution(y, outer, 1, 1, f"{name}_c"), f"{name}_c")
      if se_ratio:
        y = squeeze_excite(y, se_ratio, name)
      x = add_relu(x, y, stride, name)
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 2048]
  small = keras.initializers.RandomNormal(stddev=0.01)
  x = layers.Dense(num_outputs, kernel_initializer=small, dtype="float32", name="output")(x)
  kind = f"resnext{depth}_{groups}x{group_width}d" if groups > 1 else f"resnet{depth}"
  return keras.Model(inputs, x, name=f"{'se_' if se_ratio else ''}{kind}")
