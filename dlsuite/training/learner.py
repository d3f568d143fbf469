"""One optimizer and the variables it trains: forward, backward, reduce, clip, apply, average."""

import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.strategy import Strategy
from dlsuite.training import gradients, optimizers

Batch = dict[str, tf.Tensor]
# Returns the per-example losses [b], the per-example metrics {name: [b]}, and what else the task wants back {name: [b, ...]}.
LossFunction = Callable[[Batch], tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]]

# float16 holds nothing above 65,504 and loses what is below 6e-8: the loss is multiplied so that its gradients lie between.
_FIRST_SCALE = 2.0**15
_LEAST_SCALE, _LARGEST_SCALE = 1.0, 2.0**24
_SCALE_GROWTH_STEPS = 2000  # without an overflow, after which the scale is doubled


class Learner:
  """Trains some networks by one loss. A task with two losses (a GAN) has two learners.

  Made inside the strategy's scope. `update` runs in replica context. In float16 the loss is scaled: a step whose summed
  gradient overflows changes nothing but the scale, which is halved. Where it cannot be halved any more the gradient itself is
  not finite: then the step's metrics are NaN, by which the loop sees it.

  Source: Micikevicius et al. 2018, section 3.2 (loss scaling).

  Args:
    networks: whose trainable variables are learnt.
    config: the whole config; the sections `optimizer`, `train` and `data` are read.
    strategy: the process's strategy.
    total_steps: length of the run, for the schedule.
    warmup_steps: of the learning rate.
    beside: networks that take part in the loss without being learnt here; they are computed as in training, but nothing
      of them changes.
    index: of the learner among those of its task, so that each draws its own random numbers.
  """

  def __init__(self, networks: Sequence[keras.Model], config: ConfigDict, strategy: Strategy, total_steps: int,
               warmup_steps: int, beside: Sequence[keras.Model] = (), index: int = 0) -> None:
    self._index = index
    self._config, self._strategy = config, strategy
    self.trainable = [v for network in networks for v in network.trainable_variables]
    weights = {id(v) for network in (*networks, *beside) for v in network.weights}
    self._seeds = [v for network in (*networks, *beside) for v in network.variables if id(v) not in weights]
    self._statistics = [v for network in networks for v in network.non_trainable_variables if id(v) in weights]
    self.optimizer = optimizers.build(config.optimizer, self.trainable, total_steps, warmup_steps)
    self.averages = self._copies() if config.optimizer.ema else []
    self._scaling: list[tf.Variable] = []
    if strategy.precision(config) == "float16":
      self._scaling = [tf.Variable(_FIRST_SCALE, trainable=False, name="loss_scale"),
                       tf.Variable(0.0, trainable=False, name="good_steps")]
    self._forward_backward = tf.function(self._gradients, jit_compile=True) if strategy.jit(config) else self._gradients

  def _copies(self) -> list[keras.Variable]:
    return [keras.Variable(v.numpy(), trainable=False, dtype="float32", name=f"average_{i}")
            for i, v in enumerate(self.trainable)]

  def variables(self) -> dict[str, list]:
    """Returns everything but the networks' weights that a resumed run needs, by group."""
    known = {id(v) for v in self.optimizer.variables}  # Keras leaves Nadam's running product out of them
    hidden = [v for v in vars(self.optimizer).values() if isinstance(v, keras.Variable) and id(v) not in known]
    return {"optimizer": [*self.optimizer.variables, *hidden],
            "averages": list(self.averages), "loss_scale": list(self._scaling)}

  @property
  def loss_scale(self) -> float | None:
    """What the loss is multiplied by now, in float16."""
    return float(self._scaling[0].numpy()) if self._scaling else None

  @property
  def is_scale_least(self) -> bool:
    """Whether the loss is scaled, but cannot be scaled down any more."""
    return self.loss_scale == _LEAST_SCALE

  def reset_averages(self) -> None:
    """Starts the averages from the weights as they are now."""
    if self.averages:
      for average, variable in zip(self.averages, self.trainable, strict=True):
        average.assign(variable.numpy())

  def update(self, loss_function: LossFunction, batch: Batch, step: tf.Tensor
             ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Makes one step on this replica's part of the batch, in replica context.

    Args:
      loss_function: per-example losses, metrics and outputs of a batch.
      batch: {word: [B/R, ...]}.
      step: int64 scalar, from which the seeds of dropout and the like are derived.

    Returns:
      {metric: float32 scalar}, sums over this replica's examples; and {output: [B/R, ...]}.
    """
    context = tf.distribute.get_replica_context()
    seed = tf.random.experimental.stateless_fold_in(
      tf.stack([tf.constant(self._config.seed, tf.int64), step]), tf.cast(context.replica_id_in_sync_group, tf.int64))
    if self._index:
      seed = tf.random.experimental.stateless_fold_in(seed, tf.constant(self._index, tf.int64))
    scale = tf.convert_to_tensor(self._scaling[0]) if self._scaling else tf.constant(1.0)
    grads, statistics, sums, outputs = self._forward_backward(loss_function, batch, seed, scale)
    grads = context.all_reduce(tf.distribute.ReduceOp.SUM, grads)
    if self._scaling:
      grads = [tf.math.divide_no_nan(g, scale) for g in map(tf.convert_to_tensor, grads)]
    changed = [v for v, value in zip(self._statistics, statistics, strict=True) if value is not None]
    statistics = [value for value in statistics if value is not None]
    if statistics:
      statistics = context.all_reduce(tf.distribute.ReduceOp.MEAN, statistics)
    finite = gradients.all_finite(grads) if self._scaling else tf.constant(True)
    if self._scaling:
      lost = ~finite & (scale <= _LEAST_SCALE)
      sums = {name: tf.where(lost, np.nan, value) for name, value in sums.items()}
    grads = gradients.clip(grads, self._config.optimizer.clip)
    context.merge_call(functools.partial(self._apply, changed=changed), args=(grads, statistics, finite))
    return sums, outputs

  def _gradients(self, loss_function: LossFunction, batch: Batch, seed: tf.Tensor, scale: tf.Tensor
                 ) -> tuple[list, list[tf.Tensor | None], dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Returns this replica's gradients of (sum of losses / global batch), new statistics, summed metrics, and outputs.

    A statistic that the forward pass leaves alone, such as a frozen weight, is None.
    """
    parts = self._config.train.accumulate
    statistics = list(self._statistics)
    totals: list = []
    sums: dict[str, tf.Tensor] = {}
    pieces: dict[str, list[tf.Tensor]] = {}
    current: list[tf.Tensor | None] = [None for _ in statistics]
    for part in range(parts):
      piece = {word: _slice(value, part, parts) for word, value in batch.items()}
      seeds = tf.random.stateless_uniform([len(self._seeds), 2], seed + tf.constant([0, part], tf.int64), None, None, tf.uint32)
      mapping = [(v, seeds[i]) for i, v in enumerate(self._seeds)]
      mapping += [(v, value) for v, value in zip(statistics, current, strict=True) if value is not None]
      with tf.GradientTape() as tape:
        with keras.StatelessScope(mapping) as scope:
          losses, metrics, outputs = loss_function(piece)
        loss = tf.reduce_sum(tf.cast(losses, tf.float32)) / self._config.data.batch_size + self._penalty(parts)
        loss = loss * scale
      grads = tape.gradient(loss, [v.value for v in self.trainable], unconnected_gradients=tf.UnconnectedGradients.ZERO)
      totals = grads if not totals else [_add(a, b) for a, b in zip(totals, grads, strict=True)]
      current = [scope.get_current_value(v) for v in statistics]
      for name, values in metrics.items():
        value = tf.reduce_sum(tf.cast(values, tf.float32))
        sums[name] = sums[name] + value if name in sums else value
      for name, values in outputs.items():
        pieces.setdefault(name, []).append(tf.stop_gradient(values))
    return totals, current, sums, {name: tf.concat(parts, 0) for name, parts in pieces.items()}

  def _penalty(self, parts: int) -> tf.Tensor:
    """Returns L1 and L2 of the kernels, shared out so that the sum over replicas and parts counts it once."""
    options = self._config.optimizer
    kernels = [tf.convert_to_tensor(v) for v in self.trainable if optimizers.is_kernel(v)]
    total = tf.constant(0.0)
    if options.l1 and kernels:  # of which there is none if all are frozen
      total += options.l1 * tf.add_n([tf.reduce_sum(tf.abs(k)) for k in kernels])
    if options.l2 and kernels:
      total += options.l2 * tf.add_n([tf.reduce_sum(tf.square(k)) for k in kernels])
    return total / (self._strategy.replicas * parts)

  def _apply(self, strategy: tf.distribute.Strategy, grads: list, statistics: list, finite: tf.Tensor, *,
             changed: list[keras.Variable]) -> None:
    """In cross-replica context: one optimizer step, max-norm, averages and statistics on every device."""
    if not self._scaling:
      self._step(strategy, grads, changed, statistics)
      return
    good = strategy.experimental_local_results(finite)[0]
    scale, count = self._scaling
    tf.cond(good, lambda: self._step(strategy, grads, changed, statistics), lambda: None)
    grown = count + 1 >= _SCALE_GROWTH_STEPS
    larger, smaller = tf.minimum(scale * 2, _LARGEST_SCALE), tf.maximum(scale / 2, _LEAST_SCALE)
    scale.assign(tf.where(good, tf.where(grown, larger, scale), smaller))
    count.assign(tf.where(good & ~grown, count + 1, 0.0))

  def _step(self, strategy: tf.distribute.Strategy, grads: list, changed: list[keras.Variable], statistics: list) -> None:
    options = self._config.optimizer
    self.optimizer.apply(grads, self.trainable)

    def on_each_device(variable: keras.Variable, function: Callable, *args: object) -> None:
      strategy.extended.update(variable.value, function, args=args, group=False)

    if options.max_norm:
      for v in filter(optimizers.is_kernel, self.trainable):
        on_each_device(v, lambda w: w.assign(tf.clip_by_norm(w, options.max_norm, axes=list(range(len(w.shape) - 1)))))
    if self.averages:
      for average, v in zip(self.averages, self.trainable, strict=True):
        on_each_device(average, lambda a, w: a.assign_sub((1.0 - options.ema) * (a - w)), v.value)
    for v, value in zip(changed, statistics, strict=True):
      on_each_device(v, lambda s, new: s.assign(new), value)


def _slice(value: tf.Tensor, part: int, parts: int) -> tf.Tensor:
  size = value.shape[0] // parts
  return value[part * size:(part + 1) * size] if parts > 1 else value


def _add(a: tf.Tensor | tf.IndexedSlices, b: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
  return tf.convert_to_tensor(a) + tf.convert_to_tensor(b)
