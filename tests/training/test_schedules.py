"""Learning rates worked out by hand, as factors of a peak of 0.2 over 100 steps."""

import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.training import schedules

PEAK, TOTAL = 0.2, 100


def build(name, warmup=0, **options):
  optimizer = config_lib.defaults("fixture", task="classification").optimizer
  optimizer.learning_rate = PEAK
  optimizer.schedule.update(name=name, **options)
  return schedules.build(optimizer, TOTAL, warmup)


@pytest.mark.parametrize(("name", "options", "factors"), [
  ("step", {"milestones": (0.5, 0.75)}, {0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}),
  ("step", {"milestones": (0.6,), "factor": 0.5}, {59: 1, 60: 0.5}),
  ("cosine", {}, {0: 1, 25: 0.5 + 2**0.5 / 4, 50: 0.5, 75: 0.5 - 2**0.5 / 4, 100: 0}),
  ("cosine", {"final": 0.1}, {0: 1, 50: 0.55, 100: 0.1}),
  ("linear", {}, {0: 1, 25: 0.75, 50: 0.5, 100: 0}),
  ("linear", {"final": 0.02}, {0: 1, 50: 0.51, 100: 0.02}),
  ("exponential", {"factor": 0.01}, {0: 1, 50: 0.1, 100: 0.01}),
  ("inverse_sqrt", {}, {0: 1, 1: 1, 4: 0.5, 25: 0.2, 100: 0.1}),
  ("one_cycle", {}, {0: 1 / 25, 15: 0.52, 30: 1, 65: 0.5, 100: 0}),
  ("one_cycle", {"final": 0.1}, {30: 1, 65: 0.55, 100: 0.1}),
])
def test_without_warm_up_the_rate_is_the_formulas(name, options, factors):
  rate = build(name, **options)
  assert {step: float(rate(step)) for step in factors} == pytest.approx({s: PEAK * f for s, f in factors.items()}, abs=1e-7)


@pytest.mark.parametrize(("name", "options", "factors"), [
  ("constant", {}, {0: 1 / 20, 9: 0.5, 19: 1, 20: 1, 100: 1}),
  ("step", {"milestones": (0.5, 0.75)}, {0: 1 / 20, 9: 0.5, 19: 1, 59: 1, 60: 0.1, 80: 0.01}),
  ("cosine", {}, {0: 1 / 20, 9: 0.5, 19: 1, 20: 1, 60: 0.5, 100: 0}),
  ("linear", {"final": 0.5}, {0: 1 / 20, 9: 0.5, 19: 1, 20: 1, 60: 0.75, 100: 0.5}),
  ("exponential", {"factor": 0.01}, {0: 1 / 20, 9: 0.5, 20: 1, 60: 0.1, 100: 0.01}),
  ("inverse_sqrt", {}, {0: 1 / 20, 9: 0.5, 19: 1, 20: 1, 80: 0.5}),
  ("one_cycle", {}, {0: 1 / 500, 9: 1 / 50, 20: 1 / 25, 32: 0.52, 44: 1, 72: 0.5, 100: 0}),
])
def test_warm_up_rises_over_its_20_steps_and_the_formula_counts_from_its_end(name, options, factors):
  rate = build(name, warmup=20, **options)
  assert {step: float(rate(step)) for step in factors} == pytest.approx({s: PEAK * f for s, f in factors.items()}, abs=1e-7)


def test_one_cycle_peaks_at_30_percent_of_the_run():
  rates = [float(build("one_cycle")(step)) for step in range(TOTAL + 1)]
  assert max(range(TOTAL + 1), key=rates.__getitem__) == 30
  assert rates[:31] == sorted(rates[:31])
  assert rates[30:] == sorted(rates[30:], reverse=True)


def test_a_constant_rate_without_warm_up_is_a_plain_number_that_callbacks_may_set():
  assert build("constant") == PEAK
  assert isinstance(build("constant"), float)


def test_a_schedule_gives_the_same_rates_inside_a_graph():
  rate = build("one_cycle", warmup=20)
  compiled = tf.function(rate)
  rates = [float(compiled(tf.constant(step, tf.int64))) for step in (0, 30, 80)]
  assert rates == pytest.approx([float(rate(step)) for step in (0, 30, 80)])
