"""Which of the weights seen so far are the best by a validation metric."""

import dataclasses
import math

from dlsuite.errors import ConfigError, one_of

_HIGHER_IS_BETTER = ("accuracy", "auc", "f1", "score", "reward", "r2", "iou", "bleu", "map")


def is_higher_better(key: str, monitor: str, mode: str, metrics: tuple[str, ...]) -> bool:
  """Returns whether `monitor` should rise.

  Args:
    key: the config key, for the error.
    monitor: `val_<metric>`.
    mode: `auto`, `min` or `max`.
    metrics: what the task reports.

  Raises:
    ConfigError: if the task reports no such metric.
  """
  known = [f"val_{name}" for name in metrics]
  if monitor not in known:
    raise ConfigError(one_of(key, monitor, known))
  return mode == "max" or (mode == "auto" and any(word in monitor.split("_") for word in _HIGHER_IS_BETTER))


@dataclasses.dataclass
class Best:
  """The best value so far; ties go to the earlier.

  Attributes:
    higher: whether a higher value is better.
    value: the best value, or None before the first.
    step: the step of that value, or None.
  """

  higher: bool
  value: float | None = None
  step: int | None = None

  def improves(self, value: float, step: int) -> bool:
    """Takes note of a value; returns whether it is the best so far."""
    if math.isnan(value):
      return False
    better = self.value is None or (value > self.value if self.higher else value < self.value)
    if better:
      self.value, self.step = value, step
    return better
