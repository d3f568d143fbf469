"""What a training on a TPU slice needs, and its time by the roofline, from reports of the compile check: arithmetic only.

    python -m tools.tpu_compile --config=experiments/vision/resnet.py:imagenet --topology=v5e:2x4 --json=v5e_2x4.json
    python -m tools.scale --images=1281167 --epochs=90 --image_bytes=115440 v5e_2x4.json ...

Prints a Markdown table with a line a report. `--efficiency` is the share of that rate that a real run reached, if one is
known; the hours are then given at that share, too. Nothing here was measured on a TPU.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from dlsuite.errors import ConfigError
from launch import topology as launch_topology
from tools.tpu import chips

# Bits a second of one link and one direction, and the side from which on an axis is closed to a ring.
# v5e: https://cloud.google.com/tpu/docs/v5e (1,600 Gbit/s a chip, 4 links); v3: Jouppi et al. 2020, CACM 63(7), table 3.
_LINKS = {"v3": (656e9, 32), "v5e": (400e9, 16)}


@dataclasses.dataclass(frozen=True)
class Slice:
  """One data-parallel training on one slice.

  Attributes:
    topology: the slice.
    batch: global.
    bound: seconds of a step by the roofline of one replica, without communication.
    bound_by: `compute` or `memory`.
    reduced: bytes that every step adds up over the replicas, a replica.
  """

  topology: chips.Topology
  batch: int
  bound: float
  bound_by: str
  reduced: float

  @classmethod
  def read(cls, report: Mapping[str, Any]) -> "Slice":
    """Returns the training step of a report of `tools.tpu_compile`.

    Raises:
      ValueError: if it did not compile, has no batch or time, or is of a chip whose links are not known here.
      ConfigError: if there is no such slice.
    """
    if (kind := report["topology"].partition(":")[0]) not in _LINKS:
      raise ValueError(f"{report['topology']}: the links of a {kind} are not known here, but of {', '.join(_LINKS)}")
    program = report["stages"][0]["programs"]["train"]
    if not program["compiles"]:
      raise ValueError(f"{report['topology']}: the training step did not compile")
    reduced = sum(entry["bytes"] for name, entry in program["collectives"].items() if name.startswith("all-reduce"))
    line = program["roofline"]
    for name, value in (("batch", program["batch"]), ("roofline.seconds", line["seconds"])):
      if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} of the training step must be more than 0")
    return cls(chips.topology(report["topology"]), program["batch"], line["seconds"], line["bound"], reduced)

  @property
  def links(self) -> int:
    """Links of the chip that has fewest: 2 an axis that is a ring, 1 one that is not (none where the axis has one chip)."""
    kind, _, shape = self.topology.name.partition(":")
    closed = _LINKS[kind][1]
    return sum(0 if side == 1 else 2 if side >= closed else 1 for side in map(int, shape.split("x")))

  @property
  def all_reduce(self) -> float:
    """Least seconds to add the gradients up: every chip sends 2 (n - 1) / n of them through its links.

    Source: Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations", theorem 1.
    """
    n = self.topology.chips
    if n == 1:
      return 0.0
    a_second = self.links * _LINKS[self.topology.name.partition(":")[0]][0] / 8
    return 2 * (n - 1) / n * self.reduced / a_second

  @property
  def hosts(self) -> int:
    """Machines that the chips sit in, each of which reads for its own."""
    return launch_topology.of_chips(self.topology.name.partition(":")[0], self.topology.chips).hosts

  def hours(self, images: int, epochs: float, efficiency: float = 1.0) -> float:
    """Returns the hours of a training at a share of `rate`."""
    return self.steps(images, epochs) * (self.bound + self.all_reduce) / efficiency / 3600

  def steps(self, images: int, epochs: float) -> int:
    """Returns the steps of a training; the last partial batch of an epoch is dropped."""
    return int(epochs * (images // self.batch))

  @property
  def rate(self) -> float:
    """Images a second by the roofline, with the sum of the gradients after each step instead of beside it."""
    return self.batch / (self.bound + self.all_reduce)


def table(slices: list[Slice], images: int, epochs: float, image_bytes: int, decoded: float, efficiency: float | None
          ) -> list[str]:
  """Returns the lines of a Markdown table.

  Args:
    slices: one a row.
    images: of the training split.
    epochs: passes over it.
    image_bytes: of an encoded image, on average.
    decoded: images a second that one processor core decodes, crops and resizes.
    efficiency: share of that rate that is expected, or None.
  """
  share = "" if efficiency is None else f" at {100 * efficiency:.0f}% of that rate |"
  lines = [
    "| slice | batch (a chip) | steps | step: roofline | + all-reduce | images/s | hosts | read a host | cores a host | hours |"
    f"{share} chip-hours | price of a chip-hour | cost |", "|" + "---|" * (13 + (efficiency is not None))]
  for s in slices:
    n = s.topology.chips
    hours = s.hours(images, epochs)
    likely = hours if efficiency is None else s.hours(images, epochs, efficiency)
    cells = [
      s.topology.name, f"{s.batch:,} ({s.batch // n})", f"{s.steps(images, epochs):,}", f"{1e3 * s.bound:.2f} ms, {s.bound_by}",
      f"{1e3 * s.all_reduce:.2f} ms for {s.reduced / 1e6:.1f} MB", f"{_rounded(s.rate):,}",
      f"{s.hosts}", f"{s.rate / s.hosts * image_bytes / 1e6:.0f} MB/s", f"{s.rate / s.hosts / decoded:.0f}", f"{hours:.2f}",
      *([] if efficiency is None else [f"{likely:.2f}"]), f"{likely * n:.1f}", "", ""]
    lines.append(f"| {' | '.join(cells)} |")
  return lines


def _rounded(value: float) -> int:
  """Returns a number to three figures."""
  unit = 10 ** max(0, math.floor(math.log10(value)) - 2)
  return round(value / unit) * unit


def main(argv: list[str] | None = None) -> int:
  """Prints the table; returns 2 with one line for a report that cannot be used."""
  parser = argparse.ArgumentParser(prog="scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("reports", nargs="+", help="JSON of tools.tpu_compile")
  parser.add_argument("--images", type=int, required=True, help="images of the training split")
  parser.add_argument("--epochs", type=float, required=True)
  parser.add_argument("--image_bytes", type=int, required=True, help="of an encoded image, on average")
  parser.add_argument("--decoded", type=float, default=820.0, help="images a second that one core decodes and crops")
  parser.add_argument("--efficiency", type=float, default=None, help="share of that rate that is expected")
  options = parser.parse_args(argv)
  for name in ("images", "epochs", "image_bytes", "decoded", "efficiency"):
    value = getattr(options, name)
    if value is not None and not 0 < value < math.inf:
      print(f"scale: --{name}={value:g} must be more than 0", file=sys.stderr)
      return 2
  slices = []
  for path in options.reports:
    try:
      slices.append(Slice.read(json.loads(pathlib.Path(path).read_text(encoding="utf-8"))))
    except (OSError, ValueError, ConfigError) as e:
      print(f"scale: {e}" if path in str(e) else f"scale: {path}: {e}", file=sys.stderr)
      return 2
    except (KeyError, TypeError, IndexError, AttributeError) as e:
      print(f"scale: {path}: is no report of tools.tpu_compile ({type(e).__name__}: {e})", file=sys.stderr)
      return 2
  print("\n".join(table(slices, options.images, options.epochs, options.image_bytes, options.decoded, options.efficiency)))
  return 0


if __name__ == "__main__":
  sys.exit(main())
