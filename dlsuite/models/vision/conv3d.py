"""C3D: convolutions over time as over the two directions of the image, all of 3x3x3."""

import keras
from keras import layers

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
    ValueError: if the input is no video, or too short or small for the poolings.

  Source: Tran, Bourdev, Fergus, Torresani & Paluri 2015, "Learning spatiotemporal features with 3D convolutional networks",
  figure 3. The first pooling leaves time alone; the fifth pads rows and columns by one, as the published network does, which
  makes 4x4 of the 7x7 places and 8,192 features.
  """
  if len(input_shape) != 4:
    raise ValueError(f"it takes videos (T, H, W, C), not {input_shape}")
  frames, *sides = input_shape[:3]
  if frames < 2 ** (len(stages) - 1) or min(sides) < 2 ** len(stages):
    raise ValueError(f"{len(stages)} poolings need at least {2 ** (len(stages) - 1)} frames of {2 ** len(stages)} pixels a "
                     "side")
  x = inputs = keras.Input(input_shape)
  for stage, widths in enumerate(stages, 1):
    for i, filters in enumerate(widths):
      name = f"conv{stage}{'abc'[i] if len(widths) > 1 else 'a'}"
      x = layers.Conv3D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
    if stage == 5:
      x = layers.ZeroPadding3D((0, 1, 1), name="pad5")(x)
    x = layers.MaxPool3D((1 if stage == 1 else 2, 2, 2), name=f"pool{stage}")(x)  # [B, T / 2^(stage-1), H / 2^stage, ...]
  x = layers.Flatten(name="flatten")(x)
  for i, width in enumerate(units, len(stages) + 1):
    x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"fc{i}")(x)
    x = layers.Dropout(dropout, name=f"drop{i}")(x)
  x = layers.Dense(num_outputs, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name="conv3d")
