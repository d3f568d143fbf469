"""Wide residual networks for 32x32 images: WRN-d-k of d layers and k times the channels."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.conv_norm import convolution, norm_relu


def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 28, widening: int = 10, dropout: float = 0.0,
          width: int = 16) -> keras.Model:
  """Returns WRN-depth-widening: n pre-activated blocks of two 3x3 convolutions at each of three resolutions.

  Args:
    input_shape: (H, W, C); the paper's is (32, 32, 3).
    num_outputs: number of classes.
    depth: number of 3x3 convolutions and projections on the longest way, 6n + 4: 16, 22, 28 and 40 in the paper.
    widening: how many times the channels of a plain residual network; the paper's k.
    dropout: share of the activations dropped between the two convolutions of a block; 0.3 in the paper where it is used.
    width: channels of the first convolution, and of the blocks of the first resolution for k = 1.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth is not 6n + 4 or the widening below 1.

  Source: Zagoruyko & Komodakis 2016, "Wide residual networks", table 1 and figure 1d.
  """
  blocks, rest = divmod(depth - 4, 6)
  if rest or blocks < 1:
    near = max(10, 6 * round((depth - 4) / 6) + 4)
    raise ConfigError(f"model.depth={depth} must be 6n + 4, e.g. 16, 22, 28, 40; nearest: {near}")
  if widening < 1:
    raise ConfigError(f"model.widening={widening} must be 1 or more, e.g. 10")
  inputs = keras.Input(input_shape)
  x = convolution(inputs, width, 3, 1, "conv1")  # [B, 32, 32, 16]
  for stage in range(3):  # [B, 32, 32, 160], [B, 16, 16, 320], [B, 8, 8, 640]
    for i in range(blocks):
      stride = 2 if stage and not i else 1
      x = _block(x, width * widening * 2**stage, stride, dropout, f"conv{stage + 2}_{i + 1}")
  x = norm_relu(x, "last")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 640]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"wrn{depth}_{widening}")


def _block(x: keras.KerasTensor, filters: int, stride: int, dropout: float, name: str) -> keras.KerasTensor:
  y = norm_relu(x, f"{name}_a")
  if stride > 1 or x.shape[-1] != filters:  # the projection sees what the first convolution sees
    x = convolution(y, filters, 1, stride, f"{name}_shortcut")
  y = convolution(y, filters, 3, stride, f"{name}_a")
  y = norm_relu(y, f"{name}_b")
  if dropout:
    y = layers.Dropout(dropout, name=f"{name}_drop")(y)
  y = convolution(y, filters, 3, 1, f"{name}_b")
  return layers.Add(name=f"{name}_add")([x, y])
