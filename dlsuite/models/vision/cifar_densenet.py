"""The densely connected networks for 32x32 images: DenseNet and DenseNet-BC of L layers and growth rate k."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.conv_norm import convolution, norm_relu
from dlsuite.layers.dense_block import dense_block, transition
from dlsuite.layers.image_size import refuses_small_images


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 100, growth: int = 12, bottleneck: bool = True,
          compression: float = 0.5, dropout: float = 0.0) -> keras.Model:
  """Returns a DenseNet of three dense blocks; by default DenseNet-BC (L=100, k=12).

  Args:
    input_shape: (H, W, C); the paper's is (32, 32, 3).
    num_outputs: number of classes.
    depth: number of weighted layers, the paper's L: 6n + 4 with bottlenecks, else 3n + 4.
    growth: channels that each layer adds, the paper's k.
    bottleneck: whether 1x1 convolutions stand before the 3x3 ones (the B of BC).
    compression: share of the channels that a transition lets through: 0.5 for BC, 1.0 for the plain DenseNet.
    dropout: share of a convolution's outputs dropped; 0.2 in the paper without augmentation.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the depth fits no three equal blocks, growth or compression are out of range, or the images too small.

  Source: Huang, Liu, van der Maaten & Weinberger 2017, section 3, "implementation details", and section 4.2. The first
  convolution makes 2k channels with both B and C, else 16.
  """
  step = 6 if bottleneck else 3
  count, rest = divmod(depth - 4, step)
  if rest or count < 1:
    near = max(step + 4, step * round((depth - 4) / step) + 4)
    raise ConfigError(f"model.depth={depth} must be {step}n + 4 {'with' if bottleneck else 'without'} bottlenecks, e.g. 40, "
                      f"100; nearest: {near}")
  if growth < 1 or not 0 < compression <= 1:
    raise ConfigError(f"model.growth={growth} must be 1 or more, model.compression={compression} above 0 and at most 1, e.g. "
                      "12 and 0.5")
  compressed = bottleneck and compression < 1
  inputs = keras.Input(input_shape)
  x = convolution(inputs, 2 * growth if compressed else 16, 3, 1, "conv1")  # [B, 32, 32, 24]
  for i in (1, 2, 3):  # 32x32x216, 16x16x300, 8x8x342 for BC (L=100, k=12)
    x = dense_block(x, count, growth, bottleneck, dropout, f"block{i}")
    if i < 3:
      x = transition(x, compression, dropout, f"transition{i}")
  x = norm_relu(x, "last")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 342]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"densenet{'_bc' if compressed else ''}_L{depth}_k{growth}")
