"""What a TPU is called, how large it is, and the environment that TensorFlow needs on it: no cloud and no TensorFlow here."""

import dataclasses
from collections.abc import Mapping

from ml_collections import ConfigDict

from dlsuite.checks import check_batch
from dlsuite.errors import nearest
from launch.errors import LaunchError


@dataclasses.dataclass(frozen=True)
class _Generation:
  """One kind of chip.

  Attributes:
    prefix: what gcloud's accelerator types begin with.
    unit: how many of what the number in a name counts make a chip: names of v2 to v4 and v5p count cores.
    replicas: TensorFlow replicas a chip: v2 and v3 show two cores, later ones with two fuse them into one device.
    host: chips of one machine in a pod.
    alone: the most chips that one machine holds when the whole TPU is that machine.
    runtime: the machine image for one host, into which TensorFlow is installed.
    sizes: the numbers that names may have.
  """

  prefix: str
  unit: int
  replicas: int
  host: int
  alone: int
  runtime: str
  sizes: tuple[int, ...]


_CHIPS = (1, 4, 8, 16, 32, 64, 128, 256)
_BASE = "tpu-ubuntu2204-base"
_GENERATIONS = {
  "v2": _Generation("v2", 2, 2, 4, 4, _BASE, (8, 32, 128, 256, 512)),
  "v3": _Generation("v3", 2, 2, 4, 4, _BASE, (8, 32, 64, 128, 256, 512, 1024, 2048)),
  "v4": _Generation("v4", 2, 1, 4, 4, _BASE, (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)),
  "v5e": _Generation("v5litepod", 1, 1, 4, 8, "v2-alpha-tpuv5-lite", _CHIPS),
  "v5p": _Generation("v5p", 2, 1, 4, 4, "v2-alpha-tpuv5", (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)),
  "v6e": _Generation("v6e", 1, 1, 4, 8, "v2-alpha-tpuv6e", _CHIPS),
}


@dataclasses.dataclass(frozen=True)
class Topology:
  """A TPU of a certain kind and size.

  Attributes:
    name: as the user spells it, e.g. `v5e-8`.
    accelerator_type: as gcloud spells it, e.g. `v5litepod-8`.
    chips: how many chips it has.
    hosts: how many machines they sit in.
    replicas: how many TensorFlow replicas train on it.
    runtime_version: the machine image; empty for a pod, whose image must hold TensorFlow's own server.
  """

  name: str
  accelerator_type: str
  chips: int
  hosts: int
  replicas: int
  runtime_version: str

  @property
  def is_pod(self) -> bool:
    """Whether the chips sit in more than one machine."""
    return self.hosts > 1


def known() -> list[str]:
  """Returns every name that `parse` takes."""
  return [f"{kind}-{size}" for kind, generation in _GENERATIONS.items() for size in generation.sizes]


def parse(name: str) -> Topology:
  """Returns the TPU of a name such as `v5e-8`, `v4-32` or gcloud's own `v5litepod-8`.

  Raises:
    LaunchError: if there is none of that name.
  """
  kind, _, size = name.strip().lower().partition("-")
  kind = next((k for k, generation in _GENERATIONS.items() if kind in (k, generation.prefix)), kind)
  generation = _GENERATIONS.get(kind)
  if generation is None:
    kinds = "; ".join(f"{k}-{{{','.join(map(str, g.sizes))}}}" for k, g in _GENERATIONS.items())
    raise LaunchError(f"--topology={name!r} is unknown{nearest(name, known())}; allowed: {kinds}")
  if size not in map(str, generation.sizes):
    hint = nearest(f"{kind}-{size}", [f"{kind}-{s}" for s in generation.sizes])
    counts = "cores" if generation.unit > 1 else "chips"
    raise LaunchError(f"--topology={name!r}: {kind} has no such size{hint}; allowed numbers of {counts}: "
                      f"{', '.join(map(str, generation.sizes))}")
  chips = int(size) // generation.unit
  hosts = 1 if chips <= generation.alone else chips // generation.host
  return Topology(f"{kind}-{size}", f"{generation.prefix}-{size}", chips, hosts, chips * generation.replicas,
                  generation.runtime if hosts == 1 else "")


def of_chips(kind: str, chips: int) -> Topology:
  """Returns the TPU of a kind, such as `v5e`, with so many chips.

  Raises:
    LaunchError: if there is none.
  """
  return parse(f"{kind}-{chips * _GENERATIONS[kind].unit if kind in _GENERATIONS else chips}")


def check_stages(topology: Topology, stages: Mapping[str, ConfigDict]) -> None:
  """Looks whether every stage of an experiment can be trained on a TPU.

  Raises:
    LaunchError: if one asks for what its machine cannot do or has not got.
    ConfigError: if a batch does not divide over the TPU; the line names the nearest that do.
  """
  for name, config in stages.items():
    if refused := _refused(config):
      raise LaunchError(f"stage {name}: {refused}" if name else refused)
    check_batch(config, topology.replicas, f"the {topology.replicas} replicas on the {topology.chips} chips of {topology.name}",
                f"stage {name}: " if name else "")


def _refused(config: ConfigDict) -> str:
  """Returns what a config asks for that no TPU's machine can do; empty if nothing."""
  strategy, folder = config.strategy, config.data.get("folder", "")
  if strategy.kind not in ("auto", "tpu"):
    return f"strategy.kind={strategy.kind!r} is not for a TPU; allowed here: auto, tpu"
  if strategy.devices:
    return f"strategy.devices={strategy.devices}: a TPU is used whole; leave it 0, --topology says how large it is"
  if config.train.jit == "on":
    return "train.jit='on' is not for TPUs: the strategy compiles the step itself; use 'auto'"
  if not config.init_from.startswith(("gs://", "stage:")) and config.init_from:
    return f"init_from={config.init_from!r} does not lie on the TPU's machine: copy the run to a bucket and give gs://..."
  if folder:
    return f"data.folder={folder!r} does not lie on the TPU's machine: only data sets that tfds prepares in a bucket do"
  return ""


def environment(topology: Topology, name: str, libtpu_path: str) -> dict[str, str]:
  """Returns what must stand in the environment before TensorFlow is imported on the machine that trains.

  One host opens its chips itself, through the plug-in library. On a pod one process trains, through the TensorFlow servers of
  all hosts: it finds them by the TPU's name and must not take the chips of its own host.

  Args:
    topology: the TPU.
    name: of the TPU's node.
    libtpu_path: where `libtpu.so` lies on that machine.
  """
  if topology.is_pod:
    return {"TPU_NAME": name, "TPU_LOAD_LIBRARY": "0"}
  return {
    "TPU_NAME": "local",
    "PJRT_DEVICE": "TPU",
    "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": libtpu_path,
  }
