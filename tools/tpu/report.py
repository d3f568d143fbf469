"""The figures of one program on one slice, as a table for people and as JSON; no TensorFlow import."""

import dataclasses
from typing import Any

from dlsuite.runs.console import size_text
from tools.tpu.chips import Topology
from tools.tpu.compiler import Compiled

NOT_COVERED = (
  "nothing ran: no numbers were checked, and the roofline is arithmetic with published peaks, not a measurement; its bytes are "
  "those that XLA counts between operations, of which some stay on the chip, so that small programs may be faster",
  "the time of the collectives is not in the roofline, and of a loop XLA counts one turn: FLOPs, bytes and roofline of a "
  "program with loops are too low",
  "the program is TensorFlow's for one replica, with a cross-replica sum where the loop reduces, lowered by the CPU's XLA "
  "bridge; TPUStrategy's own rewrite of the graph and the libtpu that tensorflow-tpu brings may differ",
  "the host's part is not looked at: input pipeline, transfers, checkpoints, several hosts",
  "memory is that of one program; batches fetched ahead and the other programs of a run need some too",
)


@dataclasses.dataclass(frozen=True)
class Roofline:
  """The time of a step that keeps the hardware's published peaks: the least, as far as its bytes really come from memory.

  Attributes:
    compute: seconds for its FLOPs at the peak of the replica's hardware, in bfloat16.
    memory: seconds for its bytes at the bandwidth of the replica's memory.
  """

  compute: float
  memory: float

  @property
  def seconds(self) -> float:
    """The larger of the two."""
    return max(self.compute, self.memory)

  @property
  def bound(self) -> str:
    """`compute` or `memory`, whichever takes longer."""
    return "compute" if self.compute >= self.memory else "memory"


def roofline(flops: float, accessed: float, topology: Topology) -> Roofline:
  """Returns the bound for one step of one replica.

  Args:
    flops: of the replica's step.
    accessed: bytes that it reads and writes.
    topology: whose chip; a core of a chip with two replicas has half of its peak and half of its bandwidth.

  Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model".
  """
  share = topology.chip.replicas
  return Roofline(flops / (topology.chip.flops / share), accessed / (topology.chip.bandwidth / share))


def program_json(compiled: Compiled, batch: int, export_seconds: float, topology: Topology) -> dict[str, Any]:
  """Returns the figures of one program."""
  common = {"compiles": compiled.ok, "batch": batch, "export_seconds": round(export_seconds, 2),
            "compile_seconds": round(compiled.seconds, 2), "cached": compiled.cached}
  if not compiled.ok:
    return common | {"out_of_memory": compiled.out_of_memory, "error": compiled.error}
  line = roofline(compiled.flops, compiled.bytes, topology)
  return common | {
    "peak_bytes": compiled.peak, "hbm_bytes": topology.hbm, "memory": compiled.memory, "flops": compiled.flops,
    "bytes_accessed": compiled.bytes, "collectives": compiled.collectives,
    "all_reduces_asked_for": compiled.all_reduces_asked_for, "loops": compiled.loops,
    "roofline": {"seconds": line.seconds, "bound": line.bound, "compute_seconds": line.compute, "memory_seconds": line.memory}}


def program_lines(kind: str, found: dict[str, Any], topology: Topology) -> list[str]:
  """Returns what a person reads of `program_json`'s figures."""
  made = "cached" if found["cached"] else f"{found['compile_seconds']:.1f} s"
  if not found["compiles"]:
    why = "does not fit" if found["out_of_memory"] else "does not compile"
    return [f"  {kind:<9} {why} at global batch {found['batch']:,} ({made})"]
  line, unit = found["roofline"], topology.unit
  parts = [f"{entry['count']} {name} of {size_text(entry['bytes'])}" for name, entry in found["collectives"].items()]
  asked = found["all_reduces_asked_for"]
  if asked and topology.replicas > 1:
    parts.append(f"the step asks for {asked} all-reduces")
  loops = found["loops"]
  one_turn = f"; too low: of {loops} loop{'s'[:loops - 1]} one turn is counted" if loops else ""
  return [
    f"  {kind:<9} compiles at global batch {found['batch']:,} ({made})",
    f"  {'':<9} peak memory a {unit}: {size_text(found['peak_bytes'])} of {size_text(found['hbm_bytes'])} "
    f"({100 * found['peak_bytes'] / found['hbm_bytes']:.3g}%)",
    f"  {'':<9} a step and {unit}: {count(found['flops'])}FLOP, {size_text(found['bytes_accessed'])} read and written"
    + one_turn,
    f"  {'':<9} collectives: {'; '.join(parts) or 'none'}",
    f"  {'':<9} roofline bound of a step: {duration(line['seconds'])}, by {line['bound']} (compute "
    f"{duration(line['compute_seconds'])}, memory {duration(line['memory_seconds'])}){'; too low, as above' if loops else ''}",
  ]


def count(value: float) -> str:
  """Returns a number with a decimal prefix, e.g. `1.23 G`."""
  for unit in ("", "k", "M", "G"):
    if value < 1000:
      return f"{value:.3g} {unit}"
    value /= 1000
  return f"{value:.4g} T"


def duration(seconds: float) -> str:
  """Returns a short time in a unit that fits it."""
  for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
    if seconds * scale >= 1:
      return f"{seconds * scale:.3g} {unit}"
  return f"{seconds * 1e9:.3g} ns"
