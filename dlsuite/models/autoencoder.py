"""Autoencoders of fully connected layers: an encoder to a code, and its mirror image back."""

import math

import keras
from keras import layers


def build(input_shape: tuple[int, ...], code_size: int = 2, widths: tuple[int, ...] = (500,), variational: bool = False,
          activation: str = "relu") -> dict[str, keras.Model]:
  """Returns the encoder and the decoder.

  Args:
    input_shape: of one example, e.g. (H, W, C).
    code_size: Z, size of the code; the code's layer is linear.
    widths: units of the encoder's hidden layers, `hidden1` first; the decoder has them the other way round. None at all
      makes a linear autoencoder, which finds PCA's subspace.
    variational: whether the encoder gives the mean and the log variance of a normal code instead of the code.
    activation: of the hidden layers.

  Returns:
    `encoder`: [B, *input_shape] -> [B, Z], or [mean [B, Z], log variance [B, Z]]; `decoder`: [B, Z] -> [B, *input_shape],
    logits or values as the loss takes them.

  Source: Hinton & Salakhutdinov 2006; variational: Kingma & Welling 2014, appendix C.2.
  """
  x = inputs = keras.Input(input_shape, name="input")
  x = layers.Flatten(name="flatten")(x)
  for i, width in enumerate(widths, 1):
    x = layers.Dense(width, activation=activation, name=f"hidden{i}")(x)  # [B, width]
  if variational:
    code = [layers.Dense(code_size, dtype="float32", name=name)(x) for name in ("mean", "log_variance")]  # [B, Z] each
  else:
    code = layers.Dense(code_size, dtype="float32", name="code")(x)  # [B, Z]
  encoder = keras.Model(inputs, code, name="encoder")

  x = codes = keras.Input((code_size,), name="code")
  for i, width in reversed(list(enumerate(widths, 1))):
    x = layers.Dense(width, activation=activation, name=f"back{i}")(x)
  x = layers.Dense(math.prod(input_shape), dtype="float32", name="output")(x)  # [B, H W C]
  decoder = keras.Model(codes, layers.Reshape(input_shape, name="shape")(x), name="decoder")
  return {"encoder": encoder, "decoder": decoder}
