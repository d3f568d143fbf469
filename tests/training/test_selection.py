"""Which weights are the best."""

import pytest

from dlsuite.errors import ConfigError
from dlsuite.training.selection import Best, is_higher_better

METRICS = ("loss", "accuracy", "error", "spread")


def chosen(higher, values):
  """Returns the steps (0, 1, ...) at which a value was the best so far, and the best of all."""
  best = Best(higher)
  steps = [step for step, value in enumerate(values) if best.improves(value, step)]
  return steps, best.step, best.value


@pytest.mark.parametrize(("higher", "steps", "step", "value"), [(True, [0, 2], 2, 0.8), (False, [0, 1], 1, 0.3)])
def test_the_best_is_the_highest_or_the_lowest(higher, steps, step, value):
  assert chosen(higher, [0.5, 0.3, 0.8, 0.4]) == (steps, step, value)


@pytest.mark.parametrize("higher", [True, False])
def test_ties_go_to_the_earlier(higher):
  assert chosen(higher, [0.5, 0.5, 0.5]) == ([0], 0, 0.5)


@pytest.mark.parametrize("higher", [True, False])
def test_nan_never_improves_not_even_as_the_first(higher):
  assert chosen(higher, [float("nan"), 0.5, float("nan"), 0.5]) == ([1], 1, 0.5)


@pytest.mark.parametrize(("monitor", "mode", "higher"), [
  ("val_accuracy", "auto", True), ("val_error", "auto", False), ("val_loss", "auto", False),
  ("val_accuracy", "min", False), ("val_error", "max", True), ("val_spread", "min", False), ("val_spread", "max", True),
])
def test_the_direction_comes_from_the_metrics_name_unless_the_mode_says_it(monitor, mode, higher):
  assert is_higher_better("checkpoint.monitor", monitor, mode, METRICS) is higher


@pytest.mark.parametrize(("higher", "names"), [
  (True, "balanced_accuracy r2 iou dice mean_iou map map50 return parzen modes coverage high_quality"),
  (False, "calibration_error top5_error rmse absolute bits_per_byte squared_error reconstruction_loss divergence")])
def test_the_direction_of_each_metric_that_a_task_reports_is_known(higher, names):
  for name in names.split():
    assert is_higher_better("checkpoint.monitor", f"val_{name}", "auto", (name,)) is higher


def test_a_metric_whose_direction_is_not_known_is_refused_with_the_key_that_says_it():
  with pytest.raises(ConfigError, match=r"early_stopping\.monitor='val_spread': .* set early_stopping\.mode=max or min"):
    is_higher_better("early_stopping.monitor", "val_spread", "auto", METRICS)


@pytest.mark.parametrize(("monitor", "nearest"), [
  ("val_acuracy", "val_accuracy"), ("accuracy", "val_accuracy"), ("val_los", "val_loss")])
def test_an_unknown_metric_names_the_key_and_the_nearest(monitor, nearest):
  with pytest.raises(ConfigError, match=rf"checkpoint\.monitor='{monitor}' is unknown \(did you mean '{nearest}'\?\)"):
    is_higher_better("checkpoint.monitor", monitor, "auto", METRICS)
