"""Which pixels of an image speak for a class: by the gradient, by the last maps, by hiding them."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dlsuite.probes.network import logits, map_layers

# Of a network, images [N, H, W, C] as it takes them and a class each [N]: how much each pixel speaks for it, [N, H, W].
Evidence = Callable[[keras.Model, np.ndarray, np.ndarray], np.ndarray]


def saliency(network: keras.Model, inputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
  """Returns the size of the gradient of the class's logit, the largest of the channels, float32 [N, H, W].

  Args:
    network: inputs -> logits [N, K].
    inputs: float [N, H, W, C].
    classes: whole numbers [N].

  Source: Simonyan, Vedaldi & Zisserman 2014, "Deep inside convolutional networks", section 3.1.
  """
  x = tf.constant(inputs, tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    chosen = tf.gather(network(x, training=False), classes, batch_dims=1)
  return np.abs(tape.gradient(chosen, x).numpy()).max(-1)


def grad_cam(network: keras.Model, inputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
  """Returns the last feature maps of more than one place, each times the mean gradient of the class's logit over it, added
  and cut at zero.

  Args:
    network: inputs -> logits [N, K].
    inputs: float [N, H, W, C].
    classes: whole numbers [N].

  Returns:
    float32 [N, H, W], the maps' grid brought to the size of the images.

  Raises:
    ValueError: if no layer has feature maps.

  Source: Selvaraju et al. 2017, "Grad-CAM", equations 1 and 2.
  """
  maps = map_layers(network)
  if not maps:
    raise ValueError("the network has no layer with feature maps")
  both = keras.Model(network.inputs[0], [maps[-1].output, network.outputs[0]])
  with tf.GradientTape() as tape:
    found, scores = both(tf.constant(inputs, tf.float32), training=False)
    chosen = tf.gather(scores, classes, batch_dims=1)
  slopes = tf.cast(tape.gradient(chosen, found), tf.float32)
  weights = tf.reduce_mean(slopes, (1, 2), keepdims=True)  # [N, 1, 1, C], equation 1
  heat = tf.nn.relu(tf.reduce_sum(weights * tf.cast(found, tf.float32), -1, keepdims=True))  # [N, h, w, 1], equation 2
  return tf.image.resize(heat, inputs.shape[1:3])[..., 0].numpy()


def occlusion(network: keras.Model, inputs: np.ndarray, classes: np.ndarray, size: int = 0, stride: int = 0) -> np.ndarray:
  """Returns by how much the class's log odds fall if a square is hidden by zeros, the mean over the squares on each pixel.

  The paper draws the probability itself, which a sure network loses nothing of until everything is hidden.

  Args:
    network: inputs -> logits [N, K].
    inputs: float [N, H, W, C].
    classes: whole numbers [N].
    size: pixels a side of the square; 0 is a quarter of the shorter side.
    stride: pixels between two places of it; 0 is half its size. The last places end at the border.

  Returns:
    float32 [N, H, W] in nats, negative where the pixels speak against the class.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.
  """
  height, width = inputs.shape[1:3]
  size = min(size or max(1, min(height, width) // 4), height, width)
  stride = stride or max(1, size // 2)
  places = [(top, left) for top in _starts(height, size, stride) for left in _starts(width, size, stride)]
  shown = np.ones((len(places), height, width, 1), np.float32)
  for mask, (top, left) in zip(shown, places, strict=True):
    mask[top:top + size, left:left + size] = 0.0
  hidden = 1.0 - shown[..., 0]  # [P, H, W]
  heats = []
  for image, label in zip(inputs.astype(np.float32), classes, strict=True):
    tried = np.concatenate([image[np.newaxis], image * shown])
    of_class = _log_odds(logits(network, tried), label)
    falls = of_class[0] - of_class[1:]  # [P]
    heats.append(np.tensordot(falls, hidden, 1) / hidden.sum(0))
  return np.stack(heats).astype(np.float32)


def _log_odds(scores: np.ndarray, label: int) -> np.ndarray:
  others = np.delete(scores, label, 1)
  return scores[:, label] - np.logaddexp.reduce(others, 1)


def _starts(side: int, size: int, stride: int) -> list[int]:
  return sorted({*range(0, side - size + 1, stride), side - size})


def without_top_pixels(network: keras.Model, inputs: np.ndarray, classes: np.ndarray, heats: np.ndarray, share: float = 0.2
                       ) -> float:
  """Returns the class's mean probability once zeros hide the pixels that speak most for it: small if they mattered.

  Args:
    network: inputs -> logits [N, K].
    inputs: float [N, H, W, C].
    classes: whole numbers [N].
    heats: [N, H, W].
    share: of the pixels that are hidden.

  Source: the idea of the deletion curve, Petsiuk, Das & Saenko 2018, "RISE", section 4.2; here one point of it.
  """
  flat = heats.reshape(len(heats), -1)
  count = round(share * flat.shape[1])
  hidden = np.zeros(flat.shape, bool)
  np.put_along_axis(hidden, np.argsort(-flat, 1, kind="stable")[:, :count], True, 1)
  tried = np.where(hidden.reshape(*heats.shape, 1), np.float32(0.0), inputs.astype(np.float32))
  scores = logits(network, tried)
  log_probabilities = scores - np.logaddexp.reduce(scores, 1, keepdims=True)
  return float(np.exp(np.take_along_axis(log_probabilities, classes[:, np.newaxis], 1)).mean())
