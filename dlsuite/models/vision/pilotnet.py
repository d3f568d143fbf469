"""PilotNet: from the pixels of a camera to the steering wheel."""

import keras
from keras import layers

from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int = 1, dropout: float = 0.0) -> keras.Model:
  """Returns the network of nine layers, of which the first, normalisation, is the task's.

  Args:
    input_shape: (H, W, C); the paper's is (66, 200, 3).
    num_outputs: numbers to be told.
    dropout: share of the units dropped before each of the first two fully connected layers.

  Returns:
    [B, H, W, C] -> [B, num_outputs].

  Raises:
    ConfigError: if the images are too small for the five convolutions.

  Source: Bojarski et al. 2016, "End to end learning for self-driving cars", section 4 and figure 4: 27 million connections and
  250 thousand parameters, as here. The figure's "1164 neurons" are the flattened maps, which are 64 x 1 x 18 = 1,152; a layer
  of 1,164 units after them would have 1.3 million parameters alone. The activation, which it does not name, is ReLU.
  """
  x = inputs = keras.Input(input_shape)
  x = Conv2D(24, 5, 2, activation="relu", kernel_initializer="he_normal", name="conv1")(x)  # [B, 31, 98, 24]
  x = Conv2D(36, 5, 2, activation="relu", kernel_initializer="he_normal", name="conv2")(x)  # [B, 14, 47, 36]
  x = Conv2D(48, 5, 2, activation="relu", kernel_initializer="he_normal", name="conv3")(x)  # [B, 5, 22, 48]
  x = Conv2D(64, 3, activation="relu", kernel_initializer="he_normal", name="conv4")(x)  # [B, 3, 20, 64]
  x = Conv2D(64, 3, activation="relu", kernel_initializer="he_normal", name="conv5")(x)  # [B, 1, 18, 64]
  x = layers.Flatten(name="flatten")(x)  # [B, 1152]
  for i, units in enumerate((100, 50, 10), 1):
    if dropout and i < 3:
      x = layers.Dropout(dropout, name=f"drop{i}")(x)
    x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"fc{i}")(x)
  return keras.Model(inputs, layers.Dense(num_outputs, dtype="float32", name="output")(x), name="pilotnet")
