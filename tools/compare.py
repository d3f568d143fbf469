"""Compares two recorded experiments seed by seed: the mean difference and its interval.

    python -m tools.compare experiments/vision/cifar_resnet.py:cifar10,fast experiments/vision/cifar_resnet.py:cifar10,fast,se

Reads experiments/results.csv; only seeds that both have count. Runs of one seed share the order of the data, so that the
difference of a pair varies less than either value. The interval is Student's for paired values, which takes the differences to
be normally distributed; of two or three pairs it is wide, as it must be.
"""

import csv
import statistics
import sys
from collections.abc import Sequence

from scipy import stats

from dlsuite.errors import ConfigError, DlsuiteError, nearest
from tools.add_result import TABLE

_LEVEL = 0.95  # share of such intervals that hold the true mean


def paired(a: str, b: str) -> dict[int, tuple[float, float]]:
  """Returns {seed: (value of a, value of b)} of two experiments without overrides.

  Raises:
    ConfigError: if one of them has no row, the metrics differ, or fewer than two seeds are common.
  """
  with open(TABLE, newline="", encoding="utf-8") as f:
    rows = [row for row in csv.DictReader(f) if not row["overrides"]]
  known = sorted({row["config"] for row in rows})
  for name in (a, b):
    if name not in known:
      raise ConfigError(f"{name!r} has no row in {TABLE.name}{nearest(name, known)}")
  metrics = {row["metric"] for row in rows if row["config"] in (a, b)}
  if len(metrics) > 1:
    raise ConfigError(f"{a!r} and {b!r} are measured by different metrics: {', '.join(sorted(metrics))}")
  first, second = ({int(row["seed"]): float(row["value"]) for row in rows if row["config"] == name} for name in (a, b))
  common = sorted(set(first) & set(second))
  if len(common) < 2:
    raise ConfigError(f"{a!r} and {b!r} have {len(common)} seeds in common; an interval needs at least 2")
  return {seed: (first[seed], second[seed]) for seed in common}


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
  """Returns (mean, lower end, upper end) of Student's 95% confidence interval of a mean."""
  mean = statistics.mean(differences)
  half = statistics.stdev(differences) / len(differences) ** 0.5 * float(stats.t.ppf((1 + _LEVEL) / 2, len(differences) - 1))
  return mean, mean - half, mean + half


def main(names: list[str]) -> int:
  """Prints the pairs and the interval; returns 2 with one line if they cannot be compared."""
  if len(names) != 2:
    print("usage: python -m tools.compare EXPERIMENT EXPERIMENT", file=sys.stderr)
    return 2
  try:
    pairs = paired(*names)
  except DlsuiteError as e:
    print(f"compare: {e}", file=sys.stderr)
    return e.exit_code
  print(f"a = {names[0]}\nb = {names[1]}\n{'seed':>4} {'a':>10} {'b':>10} {'b - a':>10}")
  for seed, (a, b) in pairs.items():
    print(f"{seed:>4} {a:>10.4g} {b:>10.4g} {b - a:>+10.4g}")
  mean, low, high = interval([b - a for a, b in pairs.values()])
  print(f"mean b - a: {mean:+.4g}, 95% interval {low:+.4g} to {high:+.4g} ({len(pairs)} pairs)")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
