"""Batch normalisation by the fused kernel, with statistics over one replica or over all of them."""

import keras
import tensorflow as tf

from dlsuite.layers import processor

_BLOCK = 16  # channels: oneDNN normalises other numbers of them in bfloat16 by kernels that take three times as long or more


@keras.saving.register_keras_serializable("dlsuite")
class BatchNorm(keras.layers.Layer):
  """Normalises the last axis of [B, C] or [B, H, W, C] by the batch's statistics.

  Same mathematics as `keras.layers.BatchNormalization`, which on TensorFlow runs as some twenty separate operations;
  here one `FusedBatchNormV3` does the work on every device, in float32, bfloat16 and float16. On a CPU in bfloat16 it sees
  channels of zeros added up to the next multiple of 16.

  Args:
    momentum: weight of the old moving average, a step.
    epsilon: added to the variance.
    center: whether to learn an offset.
    scale: whether to learn a factor.
    synchronized: statistics over the global batch instead of one replica's part of it.
    gamma_initializer: what the factors start as, e.g. "zeros" for the last one of a residual branch.

  Source: Ioffe & Szegedy 2015, algorithm 1.
  """

  def __init__(self, momentum: float = 0.9, epsilon: float = 1.001e-5, center: bool = True, scale: bool = True,
               synchronized: bool = False, gamma_initializer: str = "ones", **kwargs: object) -> None:
    super().__init__(**kwargs)
    self.momentum, self.epsilon, self.center, self.scale, self.synchronized = momentum, epsilon, center, scale, synchronized
    self.gamma_initializer = gamma_initializer

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Makes gamma and beta, where they are learnt, and the two moving averages, all float32 [C]."""

    def weight(name: str, value: str, trainable: bool = True) -> keras.Variable:
      return self.add_weight(name=name, shape=(input_shape[-1],), initializer=value, trainable=trainable, autocast=False,
                             dtype="float32")

    self.gamma = weight("gamma", self.gamma_initializer) if self.scale else tf.ones([input_shape[-1]])
    self.beta = weight("beta", "zeros") if self.center else tf.zeros([input_shape[-1]])
    self.moving_mean = weight("moving_mean", "zeros", False)
    self.moving_variance = weight("moving_variance", "ones", False)

  def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Returns the normalised input, same shape and dtype; a frozen layer uses its moving averages in training too."""
    flat = len(x.shape) == 2
    x = x[:, None, None, :] if flat else x
    y = self._train(x) if training and self.trainable else self._fused(x, self.moving_mean, self.moving_variance, False)[0]
    return y[:, 0, 0, :] if flat else y

  def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Returns the input's shape."""
    return input_shape

  def _fused(self, x: tf.Tensor, mean: object, variance: object, training: bool) -> tuple[tf.Tensor, ...]:
    channels = x.shape[-1]
    more = -channels % _BLOCK if x.dtype == tf.bfloat16 and processor.is_cpu() else 0

    def padded(values: object) -> tf.Tensor:
      given = tf.convert_to_tensor(values)
      return tf.pad(given, [[0, 0]] * (given.shape.rank - 1) + [[0, more]]) if more and given.shape[-1] else given

    found = tf.raw_ops.FusedBatchNormV3(x=padded(x), scale=padded(self.gamma), offset=padded(self.beta), mean=padded(mean),
                                        variance=padded(variance), epsilon=self.epsilon, is_training=training)[:3]
    if not more:
      return found
    # Not values[..., :channels], whose gradient takes longer than all the rest.
    return tuple(tf.slice(values, [0] * values.shape.rank, [-1] * (values.shape.rank - 1) + [channels]) for values in found)

  def _train(self, x: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    if self.synchronized and context is not None:  # on one replica too: the kernel's sums round otherwise
      y, mean, variance = self._synchronized(x, context)
    else:
      empty = tf.zeros([0], tf.float32)
      y, mean, variance = self._fused(x, empty, empty, True)
      count = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
      variance = variance * ((count - 1) / count)  # the kernel gives the unbiased estimate; Keras averages the biased one
    for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
      moving.assign(moving * self.momentum + tf.stop_gradient(batch) * (1 - self.momentum))
    return y

  def _synchronized(self, x: tf.Tensor, context: tf.distribute.ReplicaContext) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    floats = tf.cast(x, tf.float32)

    def global_mean(values: tf.Tensor) -> tf.Tensor:
      # First over each example's pixels: long sums round, and so most of the rounding is the same for any replica count.
      local = tf.reduce_mean(tf.reduce_mean(values, [1, 2]), 0)
      return context.all_reduce(tf.distribute.ReduceOp.MEAN, local)

    mean = global_mean(floats)
    variance = global_mean(tf.square(floats - mean))  # a second pass: a difference of two large sums would lose digits
    factor = tf.math.rsqrt(variance + self.epsilon) * self.gamma
    return tf.cast((floats - mean) * factor + self.beta, x.dtype), mean, variance

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    own = ("momentum", "epsilon", "center", "scale", "synchronized", "gamma_initializer")
    return super().get_config() | {name: getattr(self, name) for name in own}
