"""What the TPU compiler itself says; scheduled, where `python -m tools.tpu_compile --make_environment` has been run."""

import importlib
import inspect
import json
import math
import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import catalog
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError
from tools import tpu_compile
from tools.tpu import chips, compiler, environment, execute_on_cpu, export

pytestmark = pytest.mark.slow
MLP = "experiments/foundations/mlp.py:smoke"


@pytest.fixture(autouse=True)
def _environment():
  try:
    environment.python()
  except ConfigError as e:
    pytest.skip(str(e))


def compiled(tmp_path, *arguments):
  path = tmp_path / "found.json"
  code = tpu_compile.main([*arguments, f"--json={path}"])
  found = json.loads(path.read_text())
  assert code == (0 if found["ok"] else 1)
  return found


@pytest.mark.parametrize("path", catalog.names())
def test_every_experiment_compiles_for_a_tpu(path, tmp_path):
  found = compiled(tmp_path, f"--config={path}:smoke", "--topology=v5e:1x1")
  assert found["ok"]
  for stage in found["stages"]:
    train = stage["programs"]["train"]
    assert 0 < train["peak_bytes"] < train["hbm_bytes"] and train["flops"] > 0 and train["collectives"] == {}
    assert "evaluate" in stage["programs"] or any("evaluates on the host" in note for note in stage["notes"])


@pytest.mark.skipif(not os.environ.get("DLSUITE_TPU_PAPER_SHAPES"), reason="asked for by DLSUITE_TPU_PAPER_SHAPES=1")
@pytest.mark.parametrize("reference", [row[0] for row in catalog.rows()])
def test_every_published_protocol_compiles_for_a_tpu(reference, tmp_path):
  assert compiled(tmp_path, f"--config={reference}", "--topology=v5e:1x1")["ok"]


@pytest.mark.parametrize("slice_", ["v2:2x2", "v3:2x2", "v4:2x2x1", "v5e:2x4", "v5p:2x2x1", "v6e:2x2"])
def test_data_parallel_gradients_travel_in_one_sum(slice_, tmp_path):
  found = compiled(tmp_path, f"--config={MLP}", f"--topology={slice_}")
  train = found["stages"][0]["programs"]["train"]
  assert train["all_reduces_asked_for"] == 4 + 1  # two kernels, two biases, the metrics
  assert train["collectives"] == {"all-reduce": {"count": 1, "bytes": 4 * (60_010 + 4)}}  # float32: parameters, four metrics


@pytest.mark.parametrize("generation", chips.CHIPS)
def test_the_compiler_knows_every_slice_and_gives_it_as_many_replicas(generation, tmp_path):
  slices = [chips.topology(f"{generation}:{shape}") for shape in chips.CHIPS[generation].slices]
  code = ("import os; os.environ.update(TPU_SKIP_MDS_QUERY='1', JAX_PLATFORMS='cpu', ALLOW_MULTIPLE_LIBTPU_LOAD='1')\n"
          "from jax.experimental import topologies\n"
          f"for name in {[slice_.name for slice_ in slices]}:\n"
          "  found = topologies.get_topology_desc(platform='tpu', topology_name=name, "
          f"chip_config_name={chips.CHIPS[generation].config!r})\n"
          "  print(len(found.devices))")
  done = subprocess.run([environment.python(), "-I", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
  assert [int(count) for count in done.stdout.split()] == [slice_.replicas for slice_ in slices]


def test_the_flops_are_those_of_a_count_by_hand():
  exporter = export.Exporter(catalog.load("experiments/foundations/mlp.py:mnist"), 1)
  program = exporter.train()
  found = compiler.compile_for(program.hlo, chips.topology("v5e:1x1"))
  # A product costs 2 FLOPs a weight and example; forward and for the weights' gradient, from the second layer on also for
  # the input's. Adam costs about ten a weight; the rest is small.
  products = program.batch * (2 * 2 * 784 * 800 + 3 * 2 * 800 * 10)
  assert products <= found.flops <= 1.1 * (products + 10 * 636_010)


def test_of_a_loop_one_turn_is_counted_and_the_loop_is_told():
  @tf.function(jit_compile=True)
  def ten_products(a, b):
    return tf.while_loop(lambda i, _: i < 10, lambda i, y: (i + 1, tf.tanh(y @ b)), (0, a))[1]

  square = tf.TensorSpec([256, 256])
  hlo = ten_products.experimental_get_compiler_ir(square, square)(stage="hlo_serialized")
  found = compiler.compile_for(hlo, chips.topology("v5e:1x1"))
  assert found.loops == 1 and 1 <= found.flops / (2 * 256**3) < 1.1


def test_the_largest_batch_fits_and_the_next_does_not(tmp_path):
  wide = f"{MLP},width=65536"  # half a MiB of activations an example, and little to compile
  found = compiled(tmp_path, f"--config={wide}", "--largest_batch", "--tolerance=0")
  border = found["stages"][0]["largest_batch"]
  assert border["does_not_fit"] == border["fits"] + border["unit"]
  exporter = export.Exporter(catalog.load(wide), 1)
  slice_ = chips.topology("v5e:1x1")
  fits = compiler.compile_for(exporter.train(border["fits"]).hlo, slice_, use_cache=False)
  beyond = compiler.compile_for(exporter.train(border["does_not_fit"]).hlo, slice_, use_cache=False)
  assert fits.ok and fits.peak <= slice_.hbm
  assert beyond.out_of_memory and "Ran out of memory" in beyond.error


# The noise of a denoising autoencoder is drawn for each replica, as dropout is.
STAGES = [(path, stage) for path in catalog.names() for stage in config_lib.stages_of(catalog.load(f"{path}:smoke"))
          if stage != "denoise"]


@pytest.mark.parametrize(("path", "stage"), STAGES)
def test_eight_replicas_of_the_exported_step_learn_what_one_does(path, stage, tmp_path):
  """The very programs that are compiled for a TPU, run on CPU devices: the global batch on one, and shared out among eight.

  U-Net's batch of four is shared out among four.
  """
  config = config_lib.stages_of(catalog.load(f"{path}:smoke"))[stage]
  one, eight = (executed(config, replicas, tmp_path) for replicas in (1, math.gcd(8, config.data.batch_size)))
  assert len(one) > 4
  assert all((shared == shared[:1]).all() for shared in eight)  # all replicas agree
  if all(np.allclose(shared[0], alone[0], rtol=1e-3, atol=1e-5) for alone, shared in zip(one, eight, strict=True)):
    return
  # Deep networks without shortcuts magnify rounding: no more is asked of them than of one replica with other roundings.
  nudged = executed(config, 1, tmp_path, nudge=1e-7)
  for alone, shared, other in zip(one, eight, nudged, strict=True):
    np.testing.assert_allclose(shared[0], alone[0], rtol=1e-3, atol=1e-4 + 10 * np.abs(other[0] - alone[0]).max(initial=0.0))


def executed(config, replicas, folder, nudge=0.0):
  """Returns all results of one exported training step on made-up examples, sums and updated variables, each [R, ...].

  In float32, without dropout, whose masks differ, and with batch normalisation synchronised. Where a network of images learns
  by Adam, by plain descent: Adam divides each gradient by its size, also one that is nothing but rounding. Each weight of a
  kernel is made larger or smaller by the share `nudge`.
  """
  config = config.copy_and_resolve_references()
  config.unlock()
  config.train.precision, config.strategy.sync_batch_norm = "float32", True
  build = importlib.import_module(f"dlsuite.models.{config.model.name}").build
  config.model.update({name: 0.0 for name in inspect.signature(build).parameters if name.endswith("dropout")})
  if config.optimizer.name == "adam" and config.model.name.startswith("vision."):
    config.optimizer.update(name="sgd", learning_rate=0.01, arguments={})
  exporter = export.Exporter(config, replicas)
  program = exporter.train()
  specs, stacked = exporter._spec("train")
  random, arguments = np.random.default_rng(0), []
  for _, spec in sorted(specs.items()):
    shape = (config.data.batch_size, *spec.shape[1:])
    values = random.integers(0, 2, shape) if spec.dtype.is_integer else random.normal(size=shape)
    arguments.append(values.astype(spec.dtype.as_numpy_dtype))
  split = 0 if stacked else len(arguments)  # a batch that an agent hands over goes whole to every replica
  arguments.append(np.array(0, np.int64))
  arguments += [_read(captured, nudge, random) if captured.dtype == tf.resource else captured.numpy()
                for captured in program.graph.external_captures]
  hlo, given, results = (folder / f"{replicas}{name}" for name in (".hlo", "_given.npz", "_results.npz"))
  hlo.write_bytes(program.hlo)
  np.savez(given, *arguments)
  subprocess.run([environment.python(), "-I", execute_on_cpu.__file__, hlo, str(replicas), str(split), given, results],
                 check=True, capture_output=True, cwd=folder)
  with np.load(results) as file:
    return [file[f"arr_{i}"] for i in range(len(file.files))]


def _read(handle, nudge, random):
  dtype = tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)
  value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype).numpy()
  nudged = nudge and value.ndim > 1 and dtype.is_floating
  return (value * (1 + nudge * random.choice([-1, 1], value.shape))).astype(value.dtype) if nudged else value
