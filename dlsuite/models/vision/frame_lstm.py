"""A convolutional network on each frame of a video, and an LSTM over what it finds."""

import keras
from keras import layers

from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import check_rank, too_small
from dlsuite.layers.lstm import LSTM


def build(input_shape: tuple[int, ...], num_outputs: int, widths: tuple[int, ...] = (16, 32), features: int = 64,
          units: int = 64, dropout: float = 0.0, one_frame: bool = False) -> keras.Model:
  """Returns a classifier of videos.

  Args:
    input_shape: (T, H, W, C).
    num_outputs: number of classes.
    widths: channels of the convolutions of 3x3 pixels on each frame; each is followed by a 2x2 max-pooling.
    features: units of the layer between them and the LSTM.
    units: of the LSTM.
    dropout: share of the features, and of what the LSTM ends with, that is dropped.
    one_frame: whether only the middle frame is looked at, by the same network without the LSTM: what a video's motion is
      worth shows beside it.

  Returns:
    [B, T, H, W, C] -> logits [B, num_outputs], from the LSTM's last output.

  Raises:
    ConfigError: if the input is no video, or its frames are too small.

  Source: Donahue et al. 2015, "Long-term recurrent convolutional networks", section 4.1 (there an AlexNet a frame, 256 units,
  the mean of the predictions at all frames).
  """
  name = "one_frame" if one_frame else "frame_lstm"
  check_rank(name, input_shape, 4)
  frames, height, width, channels = input_shape
  if (before := min(height, width).bit_length() - 1) < len(widths):  # poolings that leave a pixel, each halving the sides
    raise too_small(name, (height, width), f"pool{before + 1}", (height >> before, width >> before), 2 ** len(widths))
  inputs = keras.Input(input_shape)
  x = inputs[:, frames // 2] if one_frame else keras.ops.reshape(inputs, (-1, height, width, channels))  # [B T, H, W, C]
  for i, filters in enumerate(widths, 1):
    x = Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{i}")(x)
    x = layers.MaxPool2D(2, name=f"pool{i}")(x)  # [B T, H / 2^i, W / 2^i, filters]
  x = layers.Dense(features, activation="relu", name="features")(layers.Flatten(name="flatten")(x))  # [B T, features]
  if dropout:
    x = layers.Dropout(dropout, name="drop_features")(x)
  if not one_frame:
    _, x, _ = LSTM(units, name="lstm")(keras.ops.reshape(x, (-1, frames, features)))  # [B, units]
    if dropout:
      x = layers.Dropout(dropout, name="drop_output")(x)
  x = layers.Dense(num_outputs, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name=name)
