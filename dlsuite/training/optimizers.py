"""Keras's optimizers by name, applied to gradients that are already summed over the replicas.

SGD and Adam run through TensorFlow's fused kernels: same mathematics as Keras's several small operations a variable.
"""

from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.checks import OPTIMIZERS
from dlsuite.training import fine_tuning, schedules


class _Reduced:
  """Mixed into a Keras optimizer: `apply` runs in cross-replica context on gradients that need no further reduction.

  These are Keras's private hooks (3.10 to 3.15); the parity tests fail if they move.

  Attributes:
    factors: of each variable's learning rate, in the order of the variables; empty if all are 1.
  """

  factors: tuple[float, ...] = ()

  def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
    pairs = [(g, v.value if isinstance(v, keras.Variable) else v) for g, v in zip(grads, trainable_variables, strict=True)]
    self._distributed_tf_update_step(tf.distribute.get_strategy(), pairs, learning_rate)  # type: ignore[attr-defined]

  def _apply_weight_decay(self, variables: list) -> None:
    if self.weight_decay is None:  # type: ignore[attr-defined]
      return

    def decay(variable: tf.Variable, rate: tf.Tensor) -> None:
      variable.assign_sub(variable * tf.cast(rate, variable.dtype))

    rate = self.learning_rate * self.weight_decay  # type: ignore[attr-defined]
    for i, variable in enumerate(variables):
      if self._use_weight_decay(variable):  # type: ignore[attr-defined]
        own = rate * self.factors[i] if self.factors else rate
        tf.distribute.get_strategy().extended.update(variable.value, decay, args=(own,), group=False)


class _Factors:
  """Mixed into one of the optimizers below: each variable learns at its factor of the rate."""

  def update_step(self: Any, gradient: Any, variable: Any, learning_rate: tf.Tensor) -> None:
    factor = self.factors[self._get_variable_index(variable)]
    super().update_step(gradient, variable, learning_rate * factor)  # type: ignore[misc]


class _FusedSGD(_Reduced):
  def update_step(self: Any, gradient: Any, variable: Any, learning_rate: tf.Tensor) -> None:
    if isinstance(gradient, tf.IndexedSlices):
      super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
      return
    rate = tf.cast(learning_rate, variable.dtype)
    if not self.momentum:
      tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
      return
    accumulator = self.momentums[self._get_variable_index(variable)]
    tf.raw_ops.ResourceApplyKerasMomentum(
      var=variable.handle, accum=accumulator.value.handle, lr=rate, grad=gradient,
      momentum=tf.constant(self.momentum, variable.dtype), use_nesterov=self.nesterov)


class _FusedAdam(_Reduced):
  def update_step(self: Any, gradient: Any, variable: Any, learning_rate: tf.Tensor) -> None:
    if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
      super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
      return
    index, dtype = self._get_variable_index(variable), variable.dtype
    step = tf.cast(self.iterations + 1, dtype)
    beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
    tf.raw_ops.ResourceApplyAdam(
      var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
      beta1_power=tf.pow(beta_1, step), beta2_power=tf.pow(beta_2, step), lr=tf.cast(learning_rate, dtype),
      beta1=beta_1, beta2=beta_2, epsilon=tf.constant(self.epsilon, dtype), grad=gradient)


class _Nadam(_Reduced):
  def _backend_update_step(self: Any, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
    # Keras's Nadam keeps a running product of its momentum schedule in this hook, which ours would hide.
    step = tf.cast(self.iterations + 1, self._u_product.dtype)
    self._u_product.assign(self._u_product * self.beta_1 * (1.0 - 0.5 * tf.pow(0.96, step)))
    super()._backend_update_step(grads, trainable_variables, learning_rate)


_FUSED = {"Nadam": _Nadam, "SGD": _FusedSGD, "Adam": _FusedAdam, "AdamW": _FusedAdam}


def learning_rate(optimizer: keras.optimizers.Optimizer, step: int) -> float:
  """Returns the rate with which a step (counted from 0) is or was made."""
  rate = optimizer._learning_rate  # the public property gives that of the next step alone
  if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
    return float(rate(step))
  return float(optimizer.learning_rate.numpy())  # a mirrored variable converts by no other way


def is_kernel(variable: keras.Variable) -> bool:
  """Returns whether decay, L1, L2 and max-norm act on a variable: matrices and filters do, biases and norms do not."""
  return len(variable.shape) >= 2


def build(config: ConfigDict, variables: list[keras.Variable], total_steps: int, warmup_steps: int
          ) -> keras.optimizers.Optimizer:
  """Returns the optimizer of `config` (the section `optimizer`), built for some variables inside the strategy's scope.

  `weight_decay` is decoupled for every optimizer (w -= learning rate * decay * w; Loshchilov & Hutter 2019) and leaves
  biases and normalisation alone.
  """
  name, _ = OPTIMIZERS[config.name]
  parent = getattr(keras.optimizers, name)
  bases, factors = (_FUSED.get(name, _Reduced), parent), fine_tuning.factors(variables, config.rates)
  cls = type(name, (_Factors, *bases) if factors else bases, {"factors": factors})
  optimizer = cls(learning_rate=schedules.build(config, total_steps, warmup_steps), name=config.name,
                  weight_decay=config.weight_decay or (0.0 if name == "AdamW" else None), **config.arguments)
  if config.weight_decay:
    optimizer.exclude_from_weight_decay(var_list=[v for v in variables if not is_kernel(v)])
  optimizer.build(variables)
  return optimizer
