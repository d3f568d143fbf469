"""The two pieces of densely connected networks: dense blocks, and the transitions between them."""

import keras
from keras import layers

from dlsuite.layers.conv_norm import convolution, norm_relu


def dense_block(x: keras.KerasTensor, count: int, growth: int, bottleneck: bool, dropout: float,
                name: str) -> keras.KerasTensor:
  """Returns [B, H, W, C + count * growth]: each layer sees the input and what all layers before it made.

  Args:
    x: [B, H, W, C].
    count: number of layers.
    growth: channels that each layer adds; the paper's k.
    bottleneck: whether a 1x1 convolution to 4k channels stands before each 3x3 convolution.
    dropout: share of a convolution's outputs dropped; 0.2 in the paper on CIFAR without augmentation.
    name: prefix of the layers' names.

  Source: Huang, Liu, van der Maaten & Weinberger 2017, "Densely connected convolutional networks", section 3.
  """
  for i in range(1, count + 1):
    layer = f"{name}_layer{i}"
    y = x
    if bottleneck:
      y = convolution(norm_relu(y, f"{layer}_a"), 4 * growth, 1, 1, f"{layer}_a")
      if dropout:
        y = layers.Dropout(dropout, name=f"{layer}_a_drop")(y)
    y = convolution(norm_relu(y, f"{layer}_b"), growth, 3, 1, f"{layer}_b")
    if dropout:
      y = layers.Dropout(dropout, name=f"{layer}_b_drop")(y)
    x = layers.Concatenate(name=f"{layer}_concat")([x, y])
  return x


def transition(x: keras.KerasTensor, compression: float, dropout: float, name: str) -> keras.KerasTensor:
  """Returns [B, H / 2, W / 2, floor(C * compression)]: a 1x1 convolution and average pooling.

  Args:
    x: [B, H, W, C].
    compression: share of the channels that go on, above 0 and at most 1; the paper's theta.
    dropout: share of the convolution's outputs dropped.
    name: of the convolution and prefix of the other layers' names.

  Source: the same, section 3, "pooling layers" and "compression".
  """
  x = convolution(norm_relu(x, name), int(x.shape[-1] * compression), 1, 1, name)
  if dropout:
    x = layers.Dropout(dropout, name=f"{name}_drop")(x)
  return layers.AveragePooling2D(2, name=f"{name}_pool")(x)
