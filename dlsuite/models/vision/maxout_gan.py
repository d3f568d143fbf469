"""The first generative adversarial network for images: rectified units against maxout units, fully connected."""

import math

import keras
from keras import layers


def build(sample_shape: tuple[int, ...], latent_size: int = 100, width: int = 1200, units: int = 240, pieces: int = 5,
          input_dropout: float = 0.2, dropout: float = 0.5) -> dict[str, keras.Model]:
  """Returns the generator and the discriminator.

  Args:
    sample_shape: (H, W, C).
    latent_size: Z, size of the noise.
    width: units of each of the generator's two hidden layers.
    units: maxout units of each of the discriminator's two hidden layers.
    pieces: linear pieces of a maxout unit.
    input_dropout: share of pixels that are dropped before the discriminator sees them.
    dropout: share of maxout units dropped after each hidden layer.

  Returns:
    `generator`: [B, Z] -> images in [-1, 1]; `discriminator`: [B, H, W, C] -> logits [B, 1], high for real.

  Raises:
    ValueError: if these are no images.

  Source: Goodfellow et al. 2014, section 5; sizes and dropout are those of the code that its section 1 points to. The output
  2 sigmoid(x) - 1 is written as tanh(x / 2), whose factor the last layer's weights take up.
  """
  if len(sample_shape) != 3:
    raise ValueError("it makes images (H, W, C)")
  x = noise = keras.Input((latent_size,), name="noise")
  for i in (1, 2):
    x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"hidden{i}")(x)  # [B, width]
  x = layers.Dense(math.prod(sample_shape), dtype="float32", name="output")(x)
  x = layers.Activation("tanh", dtype="float32", name="range")(x)
  generator = keras.Model(noise, layers.Reshape(sample_shape, name="image")(x), name="generator")

  x = image = keras.Input(sample_shape, name="image")
  x = layers.Dropout(input_dropout, name="drop0")(layers.Flatten(name="flatten")(x))
  for i in (1, 2):
    x = layers.Dense(units * pieces, name=f"pieces{i}")(x)  # [B, units * pieces]
    x = layers.Reshape((units, pieces), name=f"shape{i}")(x)
    x = layers.GlobalMaxPooling1D(data_format="channels_first", name=f"maxout{i}")(x)  # [B, units]
    x = layers.Dropout(dropout, name=f"drop{i}")(x)
  logits = layers.Dense(1, dtype="float32", name="output")(x)  # [B, 1]
  return {"generator": generator, "discriminator": keras.Model(image, logits, name="discriminator")}
