"""C3D: convolutions over time as over the two directions of the image, all of 3x3x3."""

import keras
from keras import layers

from dlsuite.layers.convolution import Conv3D
from dlsuite.layers.image_size import check_rank
from dlsuite.layers.pooling import MaxPool3D

_PAPER = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def build(input_shape: tuple[int, ...], num_outputs: int, stages: tuple[tuple[int, ...], ...] = _PAPER,
          units: tuple[int, ...] = (4096, 4096), dropout: float = 0.5) -> keras.Model:
  """Returns a classifier of videos.

  Args:
    input_shape: (T, H, W, C); the paper's is (16, 112, 112, 3).
    num_outputs: number of classes.
    stages: channels of the convolutions between two poolings.
    units: of the fully connected layers.
    dropout: share of the units dropped after each of these.

  Returns:
    [B, T, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if the input is no video.

  Source: Tran, Bourdev, Fergus, Torresani & Paluri 2015, "Learning spatiotemporal features with 3D convolutional networks",
  figure 3. The first pooling leaves time alone. All round up, as those of the code that the authors made public do, so that no
  video is too small: of the paper's, 2x7x7 places reach the fifth and 1x4x4 leave it, 8,192 features.
  """
  check_rank("conv3d", input_shape, 4)
  x = inputs = keras.Input(input_shape)
  for stage, widths in enumerate(stages, 1):
    for i, filters in enumerate(widths):
      name = f"conv{stage}{chr(ord('a') + i)}"
      x = Conv3D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
    size = (1 if stage == 1 else 2, 2, 2)
    x = MaxPool3D(size, padding="same", name=f"pool{stage}")(x)  # [B, T / 2^(stage-1), H / 2^stage, ...]
  x = layers.Flatten(name="flatten")(x)
  for i, width in enumerate(units, len(stages) + 1):
    x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"fc{i}")(x)
    x = layers.Dropout(dropout, name=f"drop{i}")(x)
  x = layers.Dense(num_outputs, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name="conv3d")
