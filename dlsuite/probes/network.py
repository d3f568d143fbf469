"""Which layers of a functional model are worth looking at, and what they put out."""

import keras
import numpy as np
from keras import layers

from dlsuite.layers.batch_norm import BatchNorm

_NORMS = (BatchNorm, layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization)
_ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
_MOVED = (layers.InputLayer, layers.ZeroPadding2D, layers.Cropping2D, layers.Dropout, layers.SpatialDropout2D,
          layers.Rescaling, layers.Normalization)
_CHUNK = 128  # images at a time


def consumers(network: keras.Model, layer: keras.layers.Layer) -> list[keras.layers.Layer]:
  """Returns the layers that read what a layer puts out."""
  return [other for other in network.layers
          if not isinstance(other, layers.InputLayer) and any(t is layer.output for t in keras.tree.flatten(other.input))]


def map_layers(network: keras.Model) -> list[keras.layers.Layer]:
  """Returns the layers whose outputs are feature maps [B, H, W, C] of more than one place, in the network's order.

  Of a convolution, its norm and its activation only the last is one; padding and dropout are none. Maps of a network that takes
  images of any size have more than one place.
  """
  def finished(layer: keras.layers.Layer) -> bool:
    after = consumers(network, layer)
    return not after or not all(isinstance(other, (*_NORMS, *_ACTIVATIONS)) for other in after)

  return [layer for layer in network.layers
          if not isinstance(layer, (*_MOVED, *_NORMS)) and len(layer.output.shape) == 4
          and any(side != 1 for side in layer.output.shape[1:3]) and finished(layer)]


def output_layer(network: keras.Model) -> keras.layers.Layer:
  """Returns the last layer with weights, which makes the logits."""
  return next(layer for layer in reversed(network.layers) if layer.weights)


def outputs_of(network: keras.Model, tensors: list[keras.KerasTensor], inputs: np.ndarray) -> list[np.ndarray]:
  """Returns what a network computes at some places inside, float32 [N, ...] each.

  Args:
    network: with one input.
    tensors: outputs of its layers.
    inputs: [N, H, W, C], as the network takes them.
  """
  part = keras.Model(network.inputs[0], tensors)
  chunks = []
  for i in range(0, len(inputs), _CHUNK):
    found = keras.tree.flatten(part(inputs[i:i + _CHUNK], training=False))
    chunks.append([np.asarray(keras.ops.cast(values, "float32")) for values in found])
  return [np.concatenate(values) for values in zip(*chunks, strict=True)]


def features(network: keras.Model, inputs: np.ndarray) -> np.ndarray:
  """Returns what the last layer sees, float32 [N, D]."""
  (found,) = outputs_of(network, [output_layer(network).input], inputs)
  return found.reshape(len(found), -1)


def logits(network: keras.Model, inputs: np.ndarray) -> np.ndarray:
  """Returns what a classifier puts out, float32 [N, classes]."""
  return outputs_of(network, [network.outputs[0]], inputs)[0]
