"""A long short-term memory whose steps are as few and as large operations as TensorFlow allows."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

_LONGEST = 256  # time steps written out one by one; more of them go through a loop, whose graph is small


@keras.saving.register_keras_serializable("dlsuite")
class LSTM(keras.layers.Layer):
  """Maps [B, T, E] and a state to the outputs [B, T, U] and the state after the last step.

  Same mathematics and weights as `keras.layers.LSTM`, gates in the order input, forget, candidate, output. Where T is
  known, the steps are written out and the backward pass is our own: one product over all steps for each weight.

  The cell state c and all that is not a matrix product is computed in float32 even if the layer's dtype is a shorter one.

  Args:
    units: U, size of h and of c.

  Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.
  """

  def __init__(self, units: int, **kwargs: object) -> None:
    super().__init__(**{"autocast": False} | kwargs)  # Keras would round c
    self.units = units

  def build(self, input_shape: tuple[int | None, ...]) -> None:
    """Makes kernel [E, 4U], recurrent_kernel [U, 4U] and bias [4U], whose part for the forget gate is one."""

    def bias(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
      return keras.ops.cast(keras.ops.repeat(keras.ops.array([0, 1, 0, 0]), shape[0] // 4), dtype)

    def weight(name: str, shape: tuple[int | None, ...], initializer: object) -> keras.Variable:
      return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    self.kernel = weight("kernel", (input_shape[-1], 4 * self.units), "glorot_uniform")
    self.recurrent_kernel = weight("recurrent_kernel", (self.units, 4 * self.units), "orthogonal")
    self.bias = weight("bias", (4 * self.units,), bias)

  def call(self, x: tf.Tensor, initial_state: Sequence[tf.Tensor] | None = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the outputs of all steps and the state after the last one.

    Args:
      x: [B, T, E].
      initial_state: h and c, each [B, U]; zeros if None.

    Returns:
      The outputs [B, T, U] and h [B, U] in the layer's dtype, c [B, U] in float32 or in a longer dtype.
    """
    wide = self._wide_dtype
    if initial_state is None:
      initial_state = [tf.zeros([tf.shape(x)[0], self.units], wide)] * 2
    h, c = initial_state
    weights = (tf.convert_to_tensor(v) for v in (self.kernel, self.recurrent_kernel, self.bias))
    unroll = x.shape[1] is not None and x.shape[1] <= _LONGEST
    return (_unrolled if unroll else _looped)(
      tf.cast(x, self.compute_dtype), tf.cast(h, self.compute_dtype), tf.cast(c, wide), *weights)

  def compute_output_spec(self, x: keras.KerasTensor, initial_state: Sequence[keras.KerasTensor] | None = None
                          ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Returns what `call` would return; no step is traced."""
    batch, steps, _ = x.shape
    return (keras.KerasTensor((batch, steps, self.units), self.compute_dtype),
            keras.KerasTensor((batch, self.units), self.compute_dtype),
            keras.KerasTensor((batch, self.units), self._wide_dtype))

  @property
  def _wide_dtype(self) -> str:
    return "float32" if self.compute_dtype in ("bfloat16", "float16") else self.compute_dtype

  def get_config(self) -> dict:
    """Returns the arguments that rebuild the layer."""
    return super().get_config() | {"units": self.units}


# In all that follows the batch is the last axis: the gates then lie one after the other, so that splitting them copies
# nothing, and the weights are the left factor of each product, where the processor's kernels are up to six times as fast.


def _project(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, wide: tf.DType) -> tf.Tensor:
  """Returns the input's share of the gates, [T, 4U, B], from [B, T, E]."""
  product = tf.matmul(kernel, tf.transpose(x, [1, 2, 0]), transpose_a=True)
  return tf.cast(product, wide) + tf.cast(bias, wide)[:, None]


def _step(projected: tf.Tensor, h: tf.Tensor, c: tf.Tensor, recurrent: tf.Tensor) -> tuple[tf.Tensor, ...]:
  """Returns h and c [U, B] after a step, and the activations i, f, g, o and tanh(c) for the backward pass."""
  z = projected + tf.cast(tf.matmul(recurrent, h, transpose_a=True), projected.dtype)
  units = recurrent.shape[0]
  z_if, z_g, z_o = tf.split(z, [2 * units, units, units])
  i, f = tf.split(tf.sigmoid(z_if), 2)
  g, o = tf.tanh(z_g), tf.sigmoid(z_o)
  c = f * c + i * g
  tanh_c = tf.tanh(c)
  return tf.cast(o * tanh_c, h.dtype), c, i, f, g, o, tanh_c


def _looped(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns what `_unrolled` does, for any number of steps, with TensorFlow's own gradient."""
  narrow, wide = x.dtype, c.dtype
  kernel, recurrent = tf.cast(kernel, narrow), tf.cast(recurrent, narrow)
  steps = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
  projected = tf.TensorArray(wide, steps).unstack(_project(x, kernel, bias, wide))

  def body(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, outputs: tf.TensorArray) -> tuple:
    h, c, *_ = _step(projected.read(t), h, c, recurrent)
    return t + 1, h, c, outputs.write(t, h)

  start = (tf.constant(0), tf.transpose(h), tf.transpose(c), tf.TensorArray(narrow, steps))
  _, h, c, outputs = tf.while_loop(lambda t, *_: t < steps, body, start, maximum_iterations=steps)
  return tf.transpose(outputs.stack(), [2, 0, 1]), tf.transpose(h), tf.transpose(c)


@tf.custom_gradient
def _unrolled(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor, recurrent: tf.Tensor, bias: tf.Tensor
              ) -> tuple[tuple[tf.Tensor, tf.Tensor, tf.Tensor], Callable]:
  """Returns the outputs [B, T, U], h and c [B, U], and the function of their gradients.

  Args:
    x: [B, T, E].
    h: [B, U], of x's dtype.
    c: [B, U], whose dtype is that of all sums.
    kernel: [E, 4U].
    recurrent: [U, 4U].
    bias: [4U].
  """
  narrow, wide = x.dtype, c.dtype
  w_x, w_h = tf.cast(kernel, narrow), tf.cast(recurrent, narrow)
  hs, cs, activations = [tf.transpose(h)], [tf.transpose(c)], []
  for projected in tf.unstack(_project(x, w_x, bias, wide)):
    h_next, c_next, *rest = _step(projected, hs[-1], cs[-1], w_h)
    hs.append(h_next)
    cs.append(c_next)
    activations.append(rest)

  def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
    sigmoid_grad, tanh_grad = tf.raw_ops.SigmoidGrad, tf.raw_ops.TanhGrad
    d_hs = tf.unstack(tf.transpose(tf.cast(d_outputs, wide), [1, 2, 0]))
    d_h, d_c, d_zs = tf.cast(tf.transpose(d_h), wide), tf.transpose(d_c), []
    for t in reversed(range(len(activations))):
      i, f, g, o, tanh_c = activations[t]
      d_h += d_hs[t]
      d_c += tanh_grad(y=tanh_c, dy=d_h * o)
      d_z = tf.concat([sigmoid_grad(y=i, dy=d_c * g), sigmoid_grad(y=f, dy=d_c * cs[t]), tanh_grad(y=g, dy=d_c * i),
                       sigmoid_grad(y=o, dy=d_h * tanh_c)], 0)
      d_zs.append(tf.cast(d_z, narrow))
      d_c *= f
      d_h = tf.cast(tf.matmul(w_h, d_zs[-1]), wide)
    d_z = tf.concat(d_zs[::-1], 1)  # [4U, T B]
    embedding, steps = x.shape[2], x.shape[1]
    flat_x = tf.reshape(tf.transpose(x, [2, 1, 0]), [embedding, -1])
    d_x = tf.transpose(tf.reshape(tf.matmul(w_x, d_z), [embedding, steps, -1]), [2, 1, 0])
    d_kernel = tf.matmul(flat_x, d_z, transpose_b=True)
    d_recurrent = tf.matmul(tf.concat(hs[:-1], 1), d_z, transpose_b=True)
    d_bias = tf.reduce_sum(tf.cast(d_z, wide), 1)
    return (d_x, tf.cast(tf.transpose(d_h), narrow), tf.transpose(d_c), tf.cast(d_kernel, kernel.dtype),
            tf.cast(d_recurrent, recurrent.dtype), tf.cast(d_bias, bias.dtype))

  return (tf.transpose(tf.stack(hs[1:]), [2, 0, 1]), tf.transpose(hs[-1]), tf.transpose(cs[-1])), gradient
