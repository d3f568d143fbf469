"""Draws one metric of several runs over their steps: a line for each kind of run, its seeds thin beside it.

    python -m tools.curves --metric=error --out=/tmp/curves.png \\
      "fine-tuned=/tmp/t0/finetune,/tmp/t1/finetune" "from scratch=/tmp/s0,/tmp/s1"

Reads the rows of metrics.jsonl, by default those of the validation split. The thick line is the mean over a kind's runs, at the
steps that all of them have; the legend gives its last value.
"""

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

from matplotlib import ticker

from dlsuite.errors import ConfigError, DlsuiteError, WorkdirError, nearest
from dlsuite.runs import figures, files

Curve = dict[int, float]  # step -> value


def curve(workdir: files.Path, metric: str, split: str) -> Curve:
  """Returns a metric of one run by step; of a step that was made twice, the later row.

  Raises:
    WorkdirError: if the folder holds no such rows.
    ConfigError: if they have no such metric.
  """
  try:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
  except OSError as e:
    raise WorkdirError(f"{workdir}: metrics.jsonl cannot be read: {e.strerror}") from None
  rows = [row for row in map(json.loads, lines) if row["split"] == split]
  if not rows:
    raise WorkdirError(f"{workdir}: has no rows of the split {split!r}")
  found = {int(row["step"]): float(row[metric]) for row in rows if metric in row}
  if not found:
    known = sorted(set(rows[-1]) - {"split", "step", "epoch", "examples"})
    raise ConfigError(f"--metric={metric!r} is in no row of {workdir}{nearest(metric, known)}; there are: {', '.join(known)}")
  return found


def mean(curves: Sequence[Curve]) -> Curve:
  """Returns the mean of several curves at the steps that all have."""
  common = set.intersection(*(set(each) for each in curves))
  return {step: statistics.mean(each[step] for each in curves) for step in sorted(common)}


def draw(kinds: Mapping[str, Sequence[Curve]], metric: str, split: str, path: pathlib.Path, log: bool = False) -> None:
  """Draws kinds of runs, {name: curves}, as a PNG or an SVG, by a logarithmic scale if `log`."""
  colours = (figures.BLUE, figures.ORANGE, figures.GREEN, figures.GREY)
  with figures.figure(path) as (_, axis):
    for i, (name, curves) in enumerate(kinds.items()):
      colour, middle = colours[i % len(colours)], mean(curves)
      style = "-" if i < len(colours) else "--"
      for each in curves:
        axis.plot(list(each), list(each.values()), color=colour, linewidth=0.8, alpha=0.5, linestyle=style)
      last = list(middle.values())[-1]
      axis.plot(list(middle), list(middle.values()), color=colour, linewidth=2.5, linestyle=style,
                label=f"{name}: {last:.3g} at the end, mean of {len(curves)}" if len(curves) > 1 else f"{name}: {last:.3g}")
    axis.set(xlabel="step", ylabel=f"{metric} ({split})", yscale="log" if log else "linear")
    if log:
      axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
      axis.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
      axis.yaxis.set_minor_formatter(ticker.NullFormatter())
    axis.legend()


def _kinds(words: Sequence[str], metric: str, split: str) -> dict[str, list[Curve]]:
  kinds: dict[str, list[Curve]] = {}
  for word in words:
    name, equals, runs = word.partition("=")
    if not name or not equals or not runs:
      raise ConfigError(f"{word!r}: expected NAME=RUN,RUN,...")
    if name in kinds:
      raise ConfigError(f"the name {name!r} is given twice")
    kinds[name] = [curve(files.path(run), metric, split) for run in runs.split(",")]
    if not mean(kinds[name]):
      raise WorkdirError(f"the runs of {name!r} have no step in common")
  return kinds


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns 2 with one line if something is missing."""
  parser = argparse.ArgumentParser(prog="python -m tools.curves", description=(__doc__ or "").splitlines()[0])
  parser.add_argument("kinds", nargs="+", metavar="NAME=RUN,RUN", help="runs that differ in the seed alone, and their name")
  parser.add_argument("--metric", required=True)
  parser.add_argument("--split", default="valid", help="train or valid")
  parser.add_argument("--log", action="store_true", help="a logarithmic scale")
  parser.add_argument("--out", required=True, type=pathlib.Path, help="the picture, .png or .svg")
  args = parser.parse_args(argv)
  try:
    figures.check_out(args.out)
    draw(_kinds(args.kinds, args.metric, args.split), args.metric, args.split, args.out, args.log)
  except DlsuiteError as e:
    print(f"curves: {e}", file=sys.stderr)
    return e.exit_code
  return 0


if __name__ == "__main__":
  sys.exit(main())
