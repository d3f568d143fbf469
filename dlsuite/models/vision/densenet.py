"""The densely connected networks for ImageNet: DenseNet-121, 169, 201 and 161."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.conv_norm import norm_relu
from dlsuite.layers.conv_norm import stem as first_layers
from dlsuite.layers.dense_block import dense_block, transition
from dlsuite.layers.image_size import refuses_small_images

# Layers of each of the four dense blocks, and the growth rate k.
DEPTHS: dict[int, tuple[tuple[int, int, int, int], int]] = {
  121: ((6, 12, 24, 16), 32),
  169: ((6, 12, 32, 32), 32),
  201: ((6, 12, 48, 32), 32),
  161: ((6, 12, 36, 24), 48),
}


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 121, growth: int = 0, compression: float = 0.5,
          dropout: float = 0.0, stem: str = "imagenet") -> keras.Model:
  """Returns a DenseNet with bottlenecks and compression.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    depth: number of weighted layers: 121, 169, 201 or 161.
    growth: channels that each layer adds; 0 is the paper's: 32, for depth 161 48.
    compression: share of the channels that a transition lets through, above 0 and at most 1.
    dropout: share of a convolution's outputs dropped; none in the paper on ImageNet.
    stem: "imagenet", or "cifar" for images of 32x32 and less: no subsampling before the first block.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if depth, growth, compression or stem are none of these, or the images are too small.

  Source: Huang, Liu, van der Maaten & Weinberger 2017, table 1; depth 161, whose k is 48, is in the authors' repository.
  """
  if depth not in DEPTHS:
    raise ConfigError(f"model.depth={depth} must be one of {', '.join(map(str, DEPTHS))}")
  if growth < 0 or not 0 < compression <= 1:
    raise ConfigError(f"model.growth={growth} must be 0 (the paper's) or more, model.compression={compression} above 0 and at "
                      "most 1, e.g. 0.5")
  counts, published = DEPTHS[depth]
  growth = growth or published
  inputs = keras.Input(input_shape)
  x = first_layers(inputs, stem, 2 * growth)  # [B, 56, 56, 64]
  for i, count in enumerate(counts, start=1):  # 56x56x256, 28x28x512, 14x14x1024, 7x7x1024 for 121
    x = dense_block(x, count, growth, True, dropout, f"block{i}")
    if i < len(counts):
      x = transition(x, compression, dropout, f"transition{i}")
  x = norm_relu(x, "last")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 1024]
  x = layers.Dense(num_outputs, kernel_initializer="he_normal", dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"densenet{depth}")
