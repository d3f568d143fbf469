"""The input that a class likes best, found by climbing the gradient."""

import keras
import numpy as np
import tensorflow as tf


def preferred_inputs(network: keras.Model, classes: np.ndarray, low: np.ndarray | float = -np.inf,
                     high: np.ndarray | float = np.inf, penalty: float = 1e-3, steps: int = 200, rate: float = 0.1,
                     unit: np.ndarray | float = 1.0) -> np.ndarray:
  """Returns for each class an input that maximises its logit minus a penalty on the input's squared size.

  Args:
    network: [B, H, W, C] -> logits [B, K].
    classes: whole numbers [N].
    low: least value of an input, of each channel or of all.
    high: largest value.
    penalty: lambda, a squared unit.
    steps: of gradient ascent, by Adam from an input of zeros.
    rate: of Adam, in units.
    unit: what penalty and rate are measured in, of each channel or of all: the answer does not depend on how large the numbers
      are that a network takes, if this grows with them.

  Returns:
    float32 [N, H, W, C].

  Source: Simonyan, Vedaldi & Zisserman 2014, section 2; bounds and Adam are ours.
  """
  x, mean, square = (tf.Variable(tf.zeros((len(classes), *network.inputs[0].shape[1:]))) for _ in range(3))

  unit = np.asarray(unit, np.float32)
  least, most = (tf.cast(end / unit, tf.float32) for end in (low, high))

  # Not by an optimizer of Keras: it cannot make its variables where the weights stand in for their averages.
  @tf.function
  def climb(step: tf.Tensor) -> None:
    with tf.GradientTape() as tape:
      chosen = tf.gather(tf.cast(network(unit * x, training=False), tf.float32), classes, batch_dims=1)
      loss = penalty * tf.reduce_sum(tf.square(x)) - tf.reduce_sum(chosen)
    tf.raw_ops.ResourceApplyAdam(
      var=x.handle, m=mean.handle, v=square.handle, beta1_power=tf.pow(0.9, step), beta2_power=tf.pow(0.999, step), lr=rate,
      beta1=0.9, beta2=0.999, epsilon=1e-7, grad=tape.gradient(loss, x))
    x.assign(tf.clip_by_value(x, least, most))

  for step in range(1, steps + 1):
    climb(tf.constant(step, tf.float32))
  return unit * x.numpy()
