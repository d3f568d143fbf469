"""The input that a class likes best, found by climbing the gradient."""

import keras
import numpy as np
import tensorflow as tf


def preferred_inputs(network: keras.Model, classes: np.ndarray, low: np.ndarray | float = -np.inf,
                     high: np.ndarray | float = np.inf, penalty: float = 1e-3, steps: int = 200, rate: float = 0.1
                     ) -> np.ndarray:
  """Returns for each class an input that maximises its logit minus a penalty on the input's squared size.

  Args:
    network: [B, H, W, C] -> logits [B, K].
    classes: whole numbers [N].
    low: least value of an input, of each channel or of all.
    high: largest value.
    penalty: lambda, a squared unit of the input.
    steps: of gradient ascent, by Adam from an input of zeros.
    rate: of Adam, in units of the input.

  Returns:
    float32 [N, H, W, C].

  Source: Simonyan, Vedaldi & Zisserman 2014, section 2; bounds and Adam are ours.
  """
  x = tf.Variable(tf.zeros((len(classes), *network.inputs[0].shape[1:])))
  optimizer = keras.optimizers.Adam(rate)
  optimizer.build([x])

  @tf.function
  def climb() -> None:
    with tf.GradientTape() as tape:
      chosen = tf.gather(tf.cast(network(x, training=False), tf.float32), classes, batch_dims=1)
      loss = penalty * tf.reduce_sum(tf.square(x)) - tf.reduce_sum(chosen)
    optimizer.apply([tape.gradient(loss, x)], [x])
    x.assign(tf.clip_by_value(x, tf.cast(low, tf.float32), tf.cast(high, tf.float32)))

  for _ in range(steps):
    climb()
  return x.numpy()
