"""What a TPU chip can do, and the slices that can be had of each kind; no TensorFlow import.

Sources: https://cloud.google.com/tpu/docs/v3, .../v4, .../v5e, .../v5p and .../v6e ("key specifications", "configurations");
v2 is in Jouppi et al. 2020, "A domain-specific supercomputer for training deep neural networks", CACM 63(7), table 3.
TPU7x is left out: TensorFlow is not supported on it (https://cloud.google.com/tpu/docs/tpu7x).
"""

import dataclasses
import math
import re

from dlsuite.errors import ConfigError, nearest

_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16")


@dataclasses.dataclass(frozen=True)
class Chip:
  """One kind of chip. All numbers are a chip's, as published.

  Attributes:
    hbm: bytes of memory.
    bandwidth: of the memory, bytes a second.
    flops: a second at best, in bfloat16. A float32 product runs there too: at default precision as one bfloat16 pass.
    replicas: of a data-parallel program on one chip. The two cores of a v4 or v5p act as one; those of v2 and v3 do not.
    slices: shapes that can be had.
    config: libtpu's name of the way the cores are used.
  """

  hbm: int
  bandwidth: float
  flops: float
  replicas: int
  slices: tuple[str, ...]
  config: str = "default"


CHIPS = {
  "v2": Chip(16 * 2**30, 700e9, 46e12, 2, ("2x2", *_FLAT[3:])),
  "v3": Chip(32 * 2**30, 900e9, 123e12, 2, ("2x2", *_FLAT[3:], "16x32", "32x32")),
  "v4": Chip(32 * 2**30, 1200e9, 275e12, 1, _CUBES, "megacore"),
  "v5e": Chip(16 * 2**30, 819e9, 197e12, 1, _FLAT),
  "v5p": Chip(95 * 2**30, 2765e9, 459e12, 1, _CUBES),
  "v6e": Chip(32 * 2**30, 1638e9, 918e12, 1, _FLAT),
}


@dataclasses.dataclass(frozen=True)
class Topology:
  """A slice of a TPU pod.

  Attributes:
    name: e.g. `v5e:2x4`.
    chip: what each chip can do.
    chips: how many.
  """

  name: str
  chip: Chip
  chips: int

  @property
  def replicas(self) -> int:
    """Replicas of a data-parallel program over the whole slice."""
    return self.chips * self.chip.replicas

  @property
  def unit(self) -> str:
    """What runs one replica: `chip`, or `core` where a chip runs two."""
    return "chip" if self.chip.replicas == 1 else "core"

  @property
  def hbm(self) -> int:
    """Bytes of memory of one replica."""
    return self.chip.hbm // self.chip.replicas


def topology(name: str) -> Topology:
  """Returns the slice that a name such as `v5e:2x4` means.

  Raises:
    ConfigError: if there is no such slice; the line names the nearest one and what there is.
  """
  generation, _, shape = name.partition(":")
  chip = CHIPS.get(generation)
  if chip is not None and shape in chip.slices:
    return Topology(name, chip, math.prod(map(int, shape.split("x"))))
  known = [f"{kind}:{s}" for kind, c in CHIPS.items() for s in c.slices]
  if chip is not None:
    beside = _nearest_shape(shape, generation, chip)
    raise ConfigError(f"--topology={name!r} is unknown{beside}; allowed for {generation}: {', '.join(chip.slices)}")
  raise ConfigError(f"--topology={name!r} is unknown{nearest(name, known)}; allowed: KIND:SHAPE with KIND of "
                    f"{', '.join(CHIPS)}, e.g. v5e:2x4")


def _nearest_shape(shape: str, generation: str, chip: Chip) -> str:
  """Returns ` (did you mean '...'?)`: the shape with the nearest number of chips, or the nearest spelling."""
  parts = shape.split("x")
  if not all(re.fullmatch(r"[1-9]\d{0,5}", part, re.ASCII) for part in parts):
    return nearest(f"{generation}:{shape}", [f"{generation}:{s}" for s in chip.slices])
  wanted = math.log(math.prod(map(int, parts)))
  best = min(chip.slices, key=lambda s: abs(math.log(math.prod(map(int, s.split("x")))) - wanted))
  return f" (did you mean '{generation}:{best}'?)"
