"""Runs the TPU compiler in its own environment and process, and keeps what it found."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
from typing import Any

from dlsuite.errors import DataError
from tools.tpu import environment
from tools.tpu.chips import Topology

_POWERS = {"K": 10, "M": 20, "G": 30}
_SCRIPT = pathlib.Path(__file__).parent / "compile_hlo.py"
_SWAYS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "TPU_LIBRARY_PATH")  # variables that would change a result that is kept


@dataclasses.dataclass(frozen=True)
class Compiled:
  """What a compilation came to. The numbers are of one replica: of a chip, or of a core where a chip runs two.

  Attributes:
    ok: whether it compiled.
    error: the compiler's message, if not.
    peak: bytes of memory at the most.
    memory: bytes of `argument`, `output`, `alias` (of outputs with arguments), `temp` and `generated_code`.
    flops: of one step.
    bytes: read and written in one step.
    all_reduces_asked_for: in the program before the compiler merged them.
    collectives: {kind: {count, bytes}} in the compiled program.
    loops: in the compiled program; `flops` and `bytes` hold one turn of each.
    seconds: that the compilation took, when it was made.
    cached: whether it was made by an earlier call.
  """

  ok: bool
  error: str = ""
  peak: int = 0
  memory: dict[str, int] = dataclasses.field(default_factory=dict)
  flops: float = 0.0
  bytes: float = 0.0
  all_reduces_asked_for: int = 0
  collectives: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
  loops: int = 0
  seconds: float = 0.0
  versions: dict[str, str] = dataclasses.field(default_factory=dict)
  cached: bool = False

  @property
  def out_of_memory(self) -> bool:
    """Whether it did not compile because it does not fit into the chip's memory."""
    return not self.ok and ("RESOURCE_EXHAUSTED" in self.error or "Ran out of memory" in self.error)

  @property
  def asked_and_had(self) -> tuple[float, float] | None:
    """Bytes that a program asked for and bytes that there were, where the compiler's message on memory tells both."""
    found = [float(number) * 2**_POWERS[unit] for number, unit in re.findall(r"\b(\d+(?:\.\d+)?)([KMG])\b", self.error)]
    return (found[0], found[1]) if self.out_of_memory and len(found) >= 2 else None


def fingerprint(hlo: bytes, topology: Topology) -> str:
  """Returns what a result depends on: the program, the slice, the compiler, how it is called and what is kept of it."""
  digest = hashlib.sha256(_SCRIPT.read_bytes())
  for part in (hashlib.sha256(hlo).hexdigest(), topology.name, topology.chip.config, str(topology.replicas),
               *environment.pins(), *(field.name for field in dataclasses.fields(Compiled))):
    digest.update(part.encode() + b"\0")
  return digest.hexdigest()[:32]


def compile_for(hlo: bytes, topology: Topology, use_cache: bool = True) -> Compiled:
  """Compiles a program for a slice, unless that has been done.

  Raises:
    ConfigError: if the compiler's environment has not been made.
    DataError: if the compiler died, or its result cannot be kept.
  """
  path = environment.cache_folder() / "results" / f"{fingerprint(hlo, topology)}.json"
  if use_cache:
    with contextlib.suppress(OSError, ValueError, TypeError):  # absent, damaged, or of another version's fields
      return Compiled(**json.loads(path.read_text(encoding="utf-8")), cached=True)
  found = _run(hlo, topology)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps(found), encoding="utf-8")
    whole.replace(path)
  except OSError as e:
    raise DataError(f"{path} cannot be written: {e.strerror}; XDG_CACHE_HOME sets another place") from e
  return Compiled(**found)


def _run(hlo: bytes, topology: Topology) -> dict[str, Any]:
  python = environment.python()
  with tempfile.TemporaryDirectory(prefix="dlsuite-tpu-") as folder:
    source, output = pathlib.Path(folder) / "program.hlo", pathlib.Path(folder) / "found.json"
    source.write_bytes(hlo)
    command = [str(python), "-I", str(_SCRIPT), str(source), topology.name, topology.chip.config, str(topology.replicas),
               str(output)]
    own = {name: value for name, value in os.environ.items() if name not in _SWAYS}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=folder, env=own)
    if done.returncode or not output.exists():
      lines = [line for line in done.stderr.splitlines() if line.strip()]
      told = next((line for line in lines if "Check failed" in line or line.startswith("F0000")), lines[-1] if lines else "")
      raise DataError(f"the TPU compiler died with code {done.returncode}: {told.strip()[:300]}")
    return dict(json.loads(output.read_text(encoding="utf-8")))
