"""Receptive field and stride of feature maps, by arithmetic on the layers' settings."""

import keras
import numpy as np

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv3D)
_WINDOWS = (*_CONVOLUTIONS, keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.MaxPooling3D)


def fields(network: keras.Model) -> dict[str, tuple[int, int]]:
  """Returns {layer: (stride, receptive field)} in pixels of the input, along the rows, of the layers with feature maps.

  Where paths join, the field is that of the path with the widest one, as in Araujo, Norris & Sim 2019, "Computing
  receptive fields of convolutional neural networks", which has the numbers of well-known networks.
  """
  found = {id(network.input): (1, 1)}
  named = {}
  for layer in network.operations:  # the layers, and what stands between them
    arriving = layer.input if isinstance(layer.input, list) else [layer.input]
    before = [found[id(tensor)] for tensor in arriving if id(tensor) in found]
    if not before or len(layer.output.shape) not in (4, 5):
      continue
    stride, field = max(s for s, _ in before), max(f for _, f in before)
    if isinstance(layer, _WINDOWS):
      size = (layer.kernel_size if isinstance(layer, _CONVOLUTIONS) else layer.pool_size)[-2]
      field += (size - 1) * stride
      stride *= layer.strides[-2]
    found[id(layer.output)] = named[layer.name] = (stride, field)
  return named


def trainable(network: keras.Model) -> int:
  """Returns the number of trained parameters."""
  return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def size_of(network: keras.Model, layer: str) -> tuple[int, ...]:
  """Returns the shape of a layer's output without the batch."""
  return tuple(network.get_layer(layer).output.shape[1:])
