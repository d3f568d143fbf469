"""Runs one exported module on several CPU devices at once. Runs alone, in the environment of `requirements.txt`.

    python -I execute_on_cpu.py HLO_FILE REPLICAS SPLIT ARGUMENTS_NPZ RESULTS_NPZ

It is how the tests show that what is compiled for a TPU computes what the loop computes: the replicas' all-reduces are real.
`arr_i` of ARGUMENTS_NPZ is argument i; the first SPLIT of them are shared out among the replicas by rows, the others are the
same for all. `arr_i` of RESULTS_NPZ is what each replica returned as result i, [R, ...].
"""

import os
import sys


def main(hlo_file: str, replicas: str, split: str, arguments_file: str, results_file: str) -> None:
  """Runs the module once and writes what every replica returned."""
  count = int(replicas)
  os.environ.update(JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1", XLA_FLAGS=f"--xla_force_host_platform_device_count={count}")
  import jax
  import numpy as np
  from jax._src.interpreters import mlir
  from jax._src.lib import xla_client
  from jax._src.lib.mlir import ir
  from jaxlib import _jax

  sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
  from compile_hlo import walk

  with open(hlo_file, "rb") as f:
    hlo = f.read()
  context = mlir.make_ir_context()
  context.allow_unregistered_dialects = True
  with context:
    module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
  walk(module.operation, _without_copy)
  devices = jax.devices("cpu")[:count]
  options = xla_client.CompileOptions()
  options.num_replicas, options.num_partitions = count, 1
  options.executable_build_options.num_replicas, options.executable_build_options.num_partitions = count, 1
  ids = np.array([device.id for device in devices]).reshape(count, 1)
  options.device_assignment = xla_client.DeviceAssignment.create(ids)
  client = devices[0].client
  executable = client.compile_and_load(module, executable_devices=_jax.DeviceList(tuple(devices)), compile_options=options)
  mesh = jax.sharding.Mesh(np.array(devices), ("replica",))
  arguments = []
  with np.load(arguments_file) as file:
    for i in range(len(file.files)):
      axes = ("replica",) if i < int(split) else ()
      sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
      arguments.append(jax.device_put(file[f"arr_{i}"], sharding))
  results = executable.execute_sharded(arguments).disassemble_into_single_device_arrays()
  np.savez(results_file, *[np.stack([np.asarray(part) for part in parts]) for parts in results])


def _without_copy(op: object) -> None:
  if op.name == "mhlo.copy":  # type: ignore[attr-defined]
    op.results[0].replace_all_uses_with(op.operands[0])  # type: ignore[attr-defined]
    op.erase()  # type: ignore[attr-defined]


if __name__ == "__main__":
  main(*sys.argv[1:])
