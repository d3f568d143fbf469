"""The length and rhythm of a run, worked out from the durations of its config."""

import dataclasses

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import ConfigError

_ROWS_BETWEEN_EVALUATIONS = 100


@dataclasses.dataclass(frozen=True)
class Plan:
  """The run's length and rhythm, all in steps.

  Attributes:
    total: length of the run.
    warmup: of the learning rate.
    evaluate: between evaluations.
    log: between training rows.
    checkpoint: between checkpoints, or 0 for by time only.
    steps_per_epoch: one pass over the training split; 0 where there is none.
    validates: whether there is anything to validate on.
  """

  total: int
  warmup: int
  evaluate: int
  log: int
  checkpoint: int
  steps_per_epoch: int
  validates: bool = True

  @classmethod
  def of(cls, config: ConfigDict, steps_per_epoch: int) -> "Plan":
    """Works the durations of a config out in steps.

    Raises:
      ConfigError: if one is given in epochs though there are none.
    """
    for keys in config_lib.DURATIONS.values():
      for key in keys:
        if key.endswith("epochs") and config_lib.get(config, key) is not None and not steps_per_epoch:
          raise ConfigError(f"{key}={config_lib.get(config, key):g}: task={config.task!r} has no epochs; give "
                            f"{key.replace('epochs', 'steps')}")
    total = config_lib.steps_of(config, "train", steps_per_epoch)
    evaluate = min(total, config_lib.steps_of(config, "evaluate", steps_per_epoch))
    log = config.train.log_every_steps or max(1, evaluate // _ROWS_BETWEEN_EVALUATIONS, min(50, evaluate))
    warmup = config_lib.steps_of(config, "warmup", steps_per_epoch)
    return cls(total, warmup, evaluate, log, config.checkpoint.every_steps or 0, steps_per_epoch,
               bool(config.data.get("valid", True)))

  def next_stop(self, step: int) -> int:
    """Returns the first step after `step` at which the host has something to do."""
    periods = [p for p in (self.evaluate, self.log, self.checkpoint) if p]
    return min([self.total, *((step // p + 1) * p for p in periods)])
