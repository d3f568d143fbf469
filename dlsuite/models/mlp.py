"""The multilayer perceptron: fully connected layers, no knowledge of images."""

import keras
from keras import layers


def build(input_shape: tuple[int, ...], num_outputs: int, width: int = 800, depth: int = 1,
          dropout: float = 0.0) -> keras.Model:
  """Returns a multilayer perceptron with `depth` equal hidden layers.

  Args:
    input_shape: of one example, e.g. (H, W, C); it is flattened.
    num_outputs: number of classes, values or actions.
    width: units of each hidden layer; Simard et al. use 800.
    depth: number of hidden layers, at least 1; Simard et al. use 1.
    dropout: share of the units dropped after each hidden layer.

  Returns:
    [B, *input_shape] -> logits or values [B, num_outputs].

  Source: Simard, Steinkraus & Platt 2003, section 4 ("2 layer MLP": one hidden and one output layer).
  """
  inputs = keras.Input(input_shape)
  x = layers.Flatten(name="flatten")(inputs)  # [B, H W C]
  for i in range(1, depth + 1):
    x = layers.Dense(width, activation="relu", name=f"hidden{i}")(x)  # [B, width]
    if dropout:
      x = layers.Dropout(dropout, name=f"drop{i}")(x)
  x = layers.Dense(num_outputs, dtype="float32", name="output")(x)  # [B, num_outputs]
  return keras.Model(inputs, x, name="mlp")
