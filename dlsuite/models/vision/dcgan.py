"""DCGAN: a generator of transposed convolutions against a discriminator of strided ones."""

import keras
from keras import layers

from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D


def build(sample_shape: tuple[int, ...], latent_size: int = 64, width: int = 32, dropout: float = 0.3
          ) -> dict[str, keras.Model]:
  """Returns the generator and the discriminator for images whose sides divide by 4.

  Args:
    sample_shape: (H, W, C).
    latent_size: Z, size of the noise; the paper uses 100.
    width: channels of the discriminator's first layer; the second, and the generator's first, have twice as many.
    dropout: share of the discriminator's units dropped after each convolution, which stands in for its batch norm.

  Returns:
    `generator`: [B, Z] -> images in [-1, 1]; `discriminator`: [B, H, W, C] -> logits [B, 1], high for real.

  Raises:
    ValueError: if these are no images, or a side does not divide by 4.

  Source: Radford, Metz & Chintala 2016, section 3 and figure 1 (two levels instead of four, for small images).
  """
  if len(sample_shape) != 3:
    raise ValueError("it makes images (H, W, C)")
  height, width_pixels, channels = sample_shape
  if height % 4 or width_pixels % 4:
    raise ValueError("the sides of the images must divide by 4")
  x = noise = keras.Input((latent_size,), name="noise")
  x = layers.Dense(height // 4 * (width_pixels // 4) * 2 * width, use_bias=False, name="project")(x)
  x = layers.Reshape((height // 4, width_pixels // 4, 2 * width), name="shape")(x)  # [B, H/4, W/4, 2 width]
  x = layers.ReLU(name="relu1")(BatchNorm(name="norm1")(x))
  x = layers.Conv2DTranspose(width, 5, 2, "same", use_bias=False, name="up1")(x)  # [B, H/2, W/2, width]
  x = layers.ReLU(name="relu2")(BatchNorm(name="norm2")(x))
  x = layers.Conv2DTranspose(channels, 5, 2, "same", dtype="float32", name="up2")(x)  # [B, H, W, C]
  generator = keras.Model(noise, layers.Activation("tanh", dtype="float32", name="image")(x), name="generator")

  x = image = keras.Input(sample_shape, name="image")
  x = Conv2D(width, 5, 2, "same", name="conv1")(x)  # [B, H/2, W/2, width]
  x = layers.Dropout(dropout, name="drop1")(layers.LeakyReLU(0.2, name="leaky1")(x))
  x = Conv2D(2 * width, 5, 2, "same", name="conv2")(x)  # [B, H/4, W/4, 2 width]
  x = layers.Dropout(dropout, name="drop2")(layers.LeakyReLU(0.2, name="leaky2")(x))
  logits = layers.Dense(1, dtype="float32", name="output")(layers.Flatten(name="flatten")(x))  # [B, 1]
  return {"generator": generator, "discriminator": keras.Model(image, logits, name="discriminator")}
