"""Local response normalisation: each feature map is damped by its neighbours at the same pixel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("dlsuite")
class LocalResponseNorm(keras.layers.Layer):
  """Divides [B, H, W, C] by (k + alpha * sum of squares over `size` adjacent channels) ^ beta; at the rims fewer channels.

  Computed in float32 also where the layer's dtype is a shorter one, whose range the squares would leave.

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
    wide = tf.nn.local_response_normalization(tf.cast(x, tf.float32), self.size // 2, self.k, self.alpha, self.beta)
    return tf.cast(wide, x.dtype)

  def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Returns the input's shape."""
    return input_shape

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    return super().get_config() | {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
