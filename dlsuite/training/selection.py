"""Which of the weights seen so far are the best by a validation metric."""

import dataclasses
import math

from dlsuite.errors import ConfigError, one_of

# A metric's name is known by one of its words.
_HIGHER_IS_BETTER = frozenset({"accuracy", "auc", "f1", "score", "reward", "return", "r2", "iou", "dice", "bleu", "map",
                               "map50", "parzen", "modes", "coverage", "quality"})
_LOWER_IS_BETTER = frozenset({"loss", "error", "rmse", "absolute", "bits", "nats", "perplexity", "divergence"})


def is_higher_better(key: str, monitor: str, mode: str, metrics: tuple[str, ...]) -> bool:
  """Returns whether `monitor` should rise.

  Args:
    key: the config key, for the error.
    monitor: `val_<metric>`.
    mode: `auto`, `min` or `max`.
    metrics: what the task reports.

  Raises:
    ConfigError: if the task reports no such metric, or the mode is `auto` and which direction is better is not known.
  """
  known = [f"val_{name}" for name in metrics]
  if monitor not in known:
    raise ConfigError(one_of(key, monitor, known))
  words = set(monitor.split("_"))
  if mode == "auto" and not words & (_HIGHER_IS_BETTER | _LOWER_IS_BETTER):
    raise ConfigError(f"{key}={monitor!r}: whether more or less of it is better is not known; set "
                      f"{key.replace('monitor', 'mode')}=max or min")
  return mode == "max" or (mode == "auto" and bool(words & _HIGHER_IS_BETTER))


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
