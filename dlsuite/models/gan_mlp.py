"""A generator and a discriminator of fully connected layers, for points in the plane."""

import math

import keras
from keras import layers


def build(sample_shape: tuple[int, ...], latent_size: int = 16, width: int = 128, depth: int = 2) -> dict[str, keras.Model]:
  """Returns the generator and the discriminator.

  Args:
    sample_shape: of one example.
    latent_size: Z, size of the noise.
    width: units of each hidden layer.
    depth: hidden layers of each network.

  Returns:
    `generator`: [B, Z] -> [B, *sample_shape]; `discriminator`: [B, *sample_shape] -> logits [B, 1], high for real.

  Source: Goodfellow et al. 2014, section 3 (multilayer perceptrons); the sizes are ours.
  """
  x = noise = keras.Input((latent_size,), name="noise")
  for i in range(1, depth + 1):
    x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"hidden{i}")(x)  # [B, width]
  x = layers.Dense(math.prod(sample_shape), dtype="float32", name="output")(x)
  generator = keras.Model(noise, layers.Reshape(sample_shape, name="shape")(x), name="generator")

  x = sample = keras.Input(sample_shape, name="sample")
  x = layers.Flatten(name="flatten")(x)
  for i in range(1, depth + 1):
    x = layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=f"hidden{i}")(x)
  logits = layers.Dense(1, dtype="float32", name="output")(x)  # [B, 1]
  return {"generator": generator, "discriminator": keras.Model(sample, logits, name="discriminator")}
