"""Draws the errors of ImageNet's networks by year: published in the challenge, and here on CIFAR-10 after ten minutes each.

    python -m tools.ten_years --out=/tmp/ten_years.png

Reads the rows of experiments/vision/ten_years.py:cifar10,network=... in experiments/results.csv; a network without one has no
bar.
"""

import argparse
import csv
import pathlib
import statistics
import sys
from typing import NamedTuple

from dlsuite.errors import ConfigError, DlsuiteError
from dlsuite.runs import figures
from tools.add_result import TABLE

_CONFIG = "experiments/vision/ten_years.py:cifar10,network="


class Entry(NamedTuple):
  """A network of the challenge.

  Attributes:
    name: as the papers write it.
    year: of the challenge; DenseNet, which was not entered, that of its conference.
    published: top-5 error in % on the challenge's test images, if it was entered.
  """

  name: str
  year: int
  published: float | None


# Russakovsky et al. 2015, "ImageNet large scale visual recognition challenge", table 8 (2012: without other images; 2013:
# Clarifai, Zeiler's company); He et al. 2015, table 5; Hu et al. 2017, section 5.
ENTRIES = {
  "alexnet": Entry("AlexNet", 2012, 16.4), "zfnet": Entry("ZFNet", 2013, 11.7), "vgg": Entry("VGG", 2014, 7.3),
  "googlenet": Entry("GoogLeNet", 2014, 6.7), "resnet": Entry("ResNet", 2015, 3.57), "se_resnet": Entry("SENet", 2017, 2.25),
  "densenet": Entry("DenseNet", 2017, None),
}


def ours(table: pathlib.Path = TABLE) -> dict[str, list[float]]:
  """Returns {network: test errors in %, a seed each} of the recorded runs, in the order of the years.

  Raises:
    ConfigError: if there is none.
  """
  with open(table, newline="", encoding="utf-8") as f:
    rows = [row for row in csv.DictReader(f) if not row["overrides"]]
  found = {name: [float(row["value"]) for row in rows if row["config"] == _CONFIG + name] for name in ENTRIES}
  if not any(found.values()):
    raise ConfigError(f"{table.name} has no row of {_CONFIG}...")
  return {name: values for name, values in found.items() if values}


def draw(measured: dict[str, list[float]], path: pathlib.Path) -> None:
  """Draws both charts as one PNG or SVG.

  Args:
    measured: {network: errors in %, a seed each}.
    path: of the picture.
  """
  published = {name: entry.published for name, entry in ENTRIES.items() if entry.published is not None}
  means = {name: statistics.mean(values) for name, values in measured.items()}
  panels = ((published, "ImageNet, published: top-5 error of the entry (%; 2013: Clarifai)", figures.GREY),
            (means, "CIFAR-10, here: error after ten minutes' epochs (%)", figures.BLUE))
  with figures.figure(path, 1, 2, (12, 4.6)) as (_, axes):
    for axis, (values, title, colour) in zip(axes, panels, strict=True):
      names = [f"{ENTRIES[name].name}\n{ENTRIES[name].year}" for name in values]
      bars = axis.bar(names, list(values.values()), 0.7, color=colour)
      axis.bar_label(bars, [f"{value:.3g}" for value in values.values()], padding=2)
      axis.set(title=title, ylabel="error (%)")
      axis.grid(axis="x", visible=False)
      axis.set_axisbelow(True)
      axis.tick_params(axis="x", labelsize=9)
      axis.margins(y=0.1)
    for i, seeds in enumerate(measured.values()):
      if len(seeds) > 1:
        axes[1].plot([i] * len(seeds), seeds, "o", color=figures.ORANGE, markersize=4)


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns 2 with one line if something is missing."""
  parser = argparse.ArgumentParser(prog="python -m tools.ten_years", description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--out", required=True, type=pathlib.Path, help="the picture, .png or .svg")
  args = parser.parse_args(argv)
  try:
    figures.check_out(args.out)
    draw(ours(), args.out)
  except DlsuiteError as e:
    print(f"ten_years: {e}", file=sys.stderr)
    return e.exit_code
  return 0


if __name__ == "__main__":
  sys.exit(main())
