"""Compiles one HLO module for TPU chips that are not there. Runs alone, in the environment of `requirements.txt`.

    python -I compile_hlo.py HLO_FILE TOPOLOGY CHIP_CONFIG REPLICAS OUTPUT_JSON

The JSON holds `ok`; then memory, cost and collectives, or `error`, the compiler's own message. What is no word of the compiler
on the program, such as a machine without memory, ends the process instead. These are private calls of jaxlib, which is why
every version is pinned.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.update(TPU_SKIP_MDS_QUERY="1", JAX_PLATFORMS="cpu", ALLOW_MULTIPLE_LIBTPU_LOAD="1")

import jaxlib
import numpy as np
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax._src.lib.mlir import ir
from jax.experimental import topologies
from jaxlib import _jax

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
_LOOP = re.compile(r" while\(")
_BYTES = {"pred": 1, "s4": 1, "u4": 1, "bf16": 2, "f16": 2, "c64": 8, "c128": 16}


def main(hlo_file: str, topology: str, chip_config: str, replicas: str, output: str) -> None:
  """Compiles, and writes what came of it."""
  began = time.monotonic()
  with open(hlo_file, "rb") as f:
    hlo = f.read()
  devices = topologies.get_topology_desc(platform="tpu", topology_name=topology, chip_config_name=chip_config).devices
  if len(devices) != int(replicas):
    raise ValueError(f"{topology} has {len(devices)} devices, not {replicas}")
  found: dict[str, Any]
  try:
    found = {"ok": True, **compiled(hlo, devices)}
  except (_jax.JaxRuntimeError, ir.MLIRError, ValueError) as e:  # its message is the result
    found = {"ok": False, "error": f"{type(e).__name__}: {e}"}
  found["seconds"] = time.monotonic() - began
  found["versions"] = {"jaxlib": jaxlib.__version__}
  with open(output, "w", encoding="utf-8") as f:
    json.dump(found, f)


def compiled(hlo: bytes, devices: Sequence[Any]) -> dict[str, Any]:
  """Returns memory, cost and collectives of a module compiled for a slice's devices, a replica each."""
  replicas = len(devices)
  context = mlir.make_ir_context()
  context.allow_unregistered_dialects = True
  with context:
    module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
  asked, dynamic = 0, []

  def prepare(op: Any) -> None:
    nonlocal asked
    if op.name == "mhlo.copy":  # an annotation of the exporter's, unknown to the compiler's input dialect
      op.results[0].replace_all_uses_with(op.operands[0])
      op.erase()
      return
    asked += op.name == "stablehlo.all_reduce"
    if any("?" in str(result.type) for result in op.results):
      dynamic.append(_name(op))

  walk(module.operation, prepare)
  if dynamic:
    named = " ".join(f'op_name="{name}"' for name in dict.fromkeys(dynamic))
    raise ValueError(f"dynamic shape: {named}")
  options = xla_client.CompileOptions()
  options.num_replicas, options.num_partitions = replicas, 1
  options.executable_build_options.num_replicas, options.executable_build_options.num_partitions = replicas, 1
  ids = np.array([device.id for device in devices]).reshape(replicas, 1)
  options.device_assignment = xla_client.DeviceAssignment.create(ids)
  executable = devices[0].client.compile(module, executable_devices=_jax.DeviceList(tuple(devices)), compile_options=options)
  stats, cost = executable.get_compiled_memory_stats(), executable.cost_analysis()
  cost = cost[0] if isinstance(cost, list) else cost
  sizes = {name: getattr(stats, f"{name}_size_in_bytes") for name in ("argument", "output", "alias", "temp", "generated_code")}
  text = executable.hlo_modules()[0].to_string()
  return {"peak": stats.peak_memory_in_bytes, "memory": sizes, "flops": cost.get("flops", 0.0),
          "bytes": cost.get("bytes accessed", 0.0), "all_reduces_asked_for": asked,
          "collectives": collectives(text), "loops": len(_LOOP.findall(text))}


def collectives(text: str) -> dict[str, dict[str, int]]:
  """Returns {kind: {count, bytes}} of the communication in a compiled module's text; bytes are those of the results."""
  found: dict[str, dict[str, int]] = {}
  kinds = "|".join(COLLECTIVES)
  for shape, kind in re.findall(rf" = (\(.*?\)|\S+) ({kinds})(?:-start)?\(", text):
    entry = found.setdefault(kind, {"count": 0, "bytes": 0})
    entry["count"] += 1
    entry["bytes"] += sum(_bytes(kind_, dims) for kind_, dims in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape))
  return found


def _bytes(dtype: str, dimensions: str) -> int:
  width = _BYTES.get(dtype) or int(re.sub(r"\D", "", dtype) or 8) // 8
  return width * int(np.prod([int(d) for d in dimensions.split(",") if d] or [1]))


def walk(op: Any, visit: Callable[[Any], None]) -> None:
  """Visits every operation inside another one, from within outwards."""
  for region in op.regions:
    for block in region:
      for inner in list(block):
        walk(inner.operation, visit)
        visit(inner.operation)


def _name(op: Any) -> str:
  match = re.search(r'loc\((?:fused\[)?"([^"]+)"', str(op.location))
  return match[1] if match else op.name


if __name__ == "__main__":
  main(*sys.argv[1:])
