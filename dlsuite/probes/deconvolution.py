"""The pattern of pixels that made a feature map answer, sent back from the map to the image."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers


@tf.custom_gradient
def _rectified(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
  """ReLU on the way up; on the way down it rectifies what comes down, and not what was off on the way up."""
  return tf.nn.relu(x), tf.nn.relu


def deconvnet(network: keras.Model) -> keras.Model:
  """Returns the same network with the same weights, whose backward pass is a deconvolution.

  The gradient of a convolution is its transpose and that of a max-pooling puts each value back where the maximum was, which
  are the paper's filtering and unpooling; what it changes is the ReLU. Norms pass their own gradients, batch norm its
  factor and response norm a mixture of maps, of which the paper says nothing.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1; that this is all the
  difference to the gradient: Simonyan et al. 2014, section 4.
  """
  def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    if type(layer) is layers.ReLU and layer.max_value is None and not layer.negative_slope and not layer.threshold:
      return layers.Activation(_rectified, name=layer.name)
    copy = type(layer).from_config(layer.get_config())
    if getattr(copy, "activation", None) is keras.activations.relu:
      copy.activation = _rectified
    return copy

  made = keras.models.clone_model(network, clone_function=clone)
  made.set_weights(network.get_weights())
  return made


def deconvolve(down: keras.Model, layer: str, inputs: np.ndarray, channels: np.ndarray) -> np.ndarray:
  """Returns for each image what the strongest answer of one map looks like in pixels, float32 [N, H, W, C].

  Args:
    down: of `deconvnet`.
    layer: name of a layer with maps [N, h, w, D].
    inputs: float [N, H, W, C], as the network takes them.
    channels: the map of each image, whole numbers [N].
  """
  part = keras.Model(down.inputs[0], down.get_layer(layer).output)
  x = tf.constant(inputs, tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    maps = tf.gather(tf.cast(part(x, training=False), tf.float32), channels, axis=3, batch_dims=1)  # [N, h, w]
    flat = tf.reshape(maps, [len(inputs), -1])
    strongest = tf.gather(flat, tf.argmax(flat, 1), batch_dims=1)  # of equal ones the first: a maximum's gradient spreads
  return tape.gradient(strongest, x, output_gradients=strongest).numpy()
