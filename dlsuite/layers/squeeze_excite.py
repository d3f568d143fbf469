"""Squeeze and excitation: each channel is scaled by a gate that sees the means of all channels."""

import keras
from keras import layers


def squeeze_excite(x: keras.KerasTensor, ratio: int, name: str) -> keras.KerasTensor:
  """Returns the feature maps [B, H, W, C], each times its gate in (0, 1).

  Args:
    x: [B, H, W, C].
    ratio: how many times narrower than C the layer in between is; it keeps at least one unit.
    name: prefix of the layers' names.

  Source: Hu, Shen & Sun 2017, "Squeeze-and-excitation networks", equations 2 to 4; ratio 16 in section 6.
  """
  channels = x.shape[-1]
  gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)  # [B, 1, 1, C]
  gate = layers.Dense(max(1, channels // ratio), "relu", kernel_initializer="he_normal", name=f"{name}_reduce")(gate)
  gate = layers.Dense(channels, "sigmoid", name=f"{name}_gate")(gate)  # [B, 1, 1, C]
  return layers.Multiply(name=f"{name}_scale")([x, gate])
