"""Learning-rate schedules with warm-up, as functions of the step inside the graph."""

import math

import keras
import tensorflow as tf
from ml_collections import ConfigDict


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
  """The learning rate at each step of a run.

  With p = step / total steps, peak the configured rate, final the factor `schedule.final`:

  - constant: peak
  - step: peak * factor^(number of milestones passed), milestones as fractions of what follows the warm-up
  - cosine: peak * (final + (1 - final) (1 + cos(pi p)) / 2)  (Loshchilov & Hutter 2017, equation 5)
  - linear: peak * (final + (1 - final) (1 - p))
  - exponential: peak * factor^p: the run ends at peak * factor
  - inverse_sqrt: peak * sqrt(w / max(step, w)), w the warm-up steps, at least 1  (Vaswani et al. 2017, section 5.3)
  - one_cycle: cosine from peak / 25 up to peak over the first 30%, cosine down to peak * final (Smith & Topin 2018)

  The warm-up multiplies by (step + 1) / warm-up steps until that reaches 1; p counts from its end.
  """

  def __init__(self, config: ConfigDict, total_steps: int, warmup_steps: int) -> None:
    self.peak = config.learning_rate
    self.name = config.schedule.name
    self.final, self.factor = config.schedule.final, config.schedule.factor
    self.milestones = tuple(config.schedule.milestones)
    self.total_steps, self.warmup_steps = total_steps, warmup_steps

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    """Returns the rate at a step, a float32 scalar."""
    step = tf.cast(step, tf.float32)
    warm = float(self.warmup_steps)
    progress = tf.clip_by_value((step - warm) / max(1.0, self.total_steps - warm), 0.0, 1.0)
    rate = self.peak * getattr(self, f"_{self.name}")(step, progress)
    return rate * tf.minimum(1.0, (step + 1.0) / warm) if warm else rate

  def _constant(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(step)

  def _step(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    passed = tf.add_n([tf.cast(progress >= m, tf.float32) for m in self.milestones])
    return tf.pow(self.factor, passed)

  def _cosine(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    return self.final + (1.0 - self.final) * 0.5 * (1.0 + tf.cos(math.pi * progress))

  def _linear(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    return self.final + (1.0 - self.final) * (1.0 - progress)

  def _exponential(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    return tf.pow(self.factor, progress)

  def _inverse_sqrt(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    start = max(1.0, float(self.warmup_steps))
    return tf.math.rsqrt(tf.maximum(step, start) / start)

  def _one_cycle(self, step: tf.Tensor, progress: tf.Tensor) -> tf.Tensor:
    rising, falling = progress / 0.3, (progress - 0.3) / 0.7
    up = 1 / 25 + (1 - 1 / 25) * 0.5 * (1.0 - tf.cos(math.pi * rising))
    down = self.final + (1 - self.final) * 0.5 * (1.0 + tf.cos(math.pi * falling))
    return tf.where(progress < 0.3, up, down)

  def get_config(self) -> dict:
    """Returns what identifies the schedule."""
    return {"name": self.name, "peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


def is_scheduled(config: ConfigDict) -> bool:
  """Returns whether the rate (of the section `optimizer`) changes with the step."""
  warms_up = any(config[f"warmup_{unit}"] is not None for unit in ("steps", "epochs", "examples"))
  return config.schedule.name != "constant" or warms_up


def build(config: ConfigDict, total_steps: int, warmup_steps: int) -> Schedule | float:
  """Returns the schedule; a plain number if it never changes, so that callbacks such as ReduceLROnPlateau may set it."""
  if config.schedule.name == "constant" and not warmup_steps:
    return config.learning_rate
  return Schedule(config, total_steps, warmup_steps)
