"""A language model of stacked LSTM layers whose state is an input and an output."""

import keras
from keras import layers

from dlsuite.layers.lstm import LSTM


def build(vocabulary_size: int, units: int = 512, depth: int = 1, embedding: int = 64, dropout: float = 0.0) -> keras.Model:
  """Returns codes and states -> logits and the states after the window.

  Args:
    vocabulary_size: V, number of codes.
    units: U, of each LSTM layer's state.
    depth: L, number of LSTM layers.
    embedding: size of a code's vector.
    dropout: share of the units dropped before each layer and before the output (never between time steps: Zaremba,
      Sutskever & Vinyals 2014).

  Returns:
    [codes int32 [B, T], then h and c of each layer, 2 L times [B, U]] -> [logits [B, T, V], then the same states].

  Raises:
    ValueError: if there is no layer, or one of no units.

  Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.
  """
  if min(units, depth, embedding) < 1:
    raise ValueError("units, depth and embedding must be at least 1")
  codes = keras.Input((None,), dtype="int32", name="codes")
  states = [keras.Input((units,), name=f"{kind}{i}") for i in range(1, depth + 1) for kind in ("h", "c")]
  x = layers.Embedding(vocabulary_size, embedding, name="embedding")(codes)  # [B, T, embedding]
  after = []
  for i in range(depth):
    if dropout:
      x = layers.Dropout(dropout, name=f"drop{i + 1}")(x)
    x, h, c = LSTM(units, name=f"lstm{i + 1}")(x, initial_state=states[2 * i:2 * i + 2])  # [B, T, units]
    after += [h, c]
  if dropout:
    x = layers.Dropout(dropout, name="drop_output")(x)
  logits = layers.Dense(vocabulary_size, dtype="float32", name="output")(x)  # [B, T, V]
  return keras.Model([codes, *states], [logits, *after], name="lstm_language_model")
