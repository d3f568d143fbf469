"""Layers within layers."""

import keras


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
  """Returns all layers inside a layer or network, those inside them too."""
  return list(layer._flatten_layers(include_self=False, recursive=True))
