"""VGG: stacks of 3x3 convolutions between five max-poolings, and three fully connected layers."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images

# Convolutions of 64, 128, 256, 512 and 512 channels in front of each pooling: table 1's columns A, B, D and E.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, depth: int = 16, batch_norm: bool = False, stages: int = 5,
          width: float = 1.0, units: int = 4096, dropout: float = 0.5, initializer: str = "glorot_uniform") -> keras.Model:
  """Returns a VGG network.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    depth: number of weighted layers: 11, 13, 16 or 19.
    batch_norm: batch norm between each convolution and its ReLU.
    stages: how many of the five stacks are built, each of which halves the sides; fewer suit small images.
    width: factor on the channels of all convolutions.
    units: of each of the two hidden fully connected layers.
    dropout: share of these units dropped.
    initializer: of all kernels, by its Keras name.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if there is no such depth or number of stages, or the images are too small.

  Source: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table 1 and
  section 2.1; the initialisation is the one that section 3.1 found to need no pre-training.
  """
  if depth not in STAGES:
    near = min(STAGES, key=lambda known: abs(known - depth))
    raise ConfigError(f"model.depth={depth} is no VGG; allowed: {', '.join(map(str, STAGES))}; nearest: {near}")
  if not 1 <= stages <= len(CHANNELS):
    raise ConfigError(f"model.stages={stages} must be 1 to {len(CHANNELS)}")
  x = inputs = keras.Input(input_shape)
  for stage, (convolutions, channels) in enumerate(zip(STAGES[depth][:stages], CHANNELS, strict=False), 1):
    for i in range(1, convolutions + 1):
      name = f"conv{stage}_{i}"
      x = Conv2D(max(1, round(channels * width)), 3, padding="same", kernel_initializer=initializer, name=name)(x)
      if batch_norm:
        x = BatchNorm(name=f"{name}_bn")(x)
      x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.MaxPool2D(2, name=f"pool{stage}")(x)  # [B, 112, 112, 64], 56 and 128, 28 and 256, 14 and 512, 7 and 512
  x = layers.Flatten(name="flatten")(x)  # [B, 25088]
  for name in ("fc6", "fc7"):
    x = layers.Dense(units, "relu", kernel_initializer=initializer, name=name)(x)
    x = layers.Dropout(dropout, name=f"{name}_drop")(x)
  x = layers.Dense(num_outputs, kernel_initializer=initializer, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=f"vgg{depth}{'_bn' if batch_norm else ''}")
