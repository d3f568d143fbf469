"""What can be known of a TPU program without the TPU compiler: what is refused and where, what is exported, the arithmetic."""

import dataclasses
import importlib
import inspect
import json
import sys
from typing import NamedTuple
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2

from dlsuite import catalog
from dlsuite.errors import ConfigError, DataError
from dlsuite.modes import task_of
from dlsuite.training import steps
from tools import tpu_compile
from tools.tpu import blame, chips, compiler, environment, export, largest_batch, report, scan

MLP = "experiments/foundations/mlp.py:smoke"
BFLOAT16 = 16  # PrimitiveType.BF16 of xla_data.proto


def line_of(function, text):
  """Returns `file:line` of the line of a function that holds a text."""
  lines, first = inspect.getsourcelines(function)
  (number,) = (first + i for i, line in enumerate(lines) if text in line)
  return f"tests/tools/test_tpu_compile.py:{number}"


def findings(function, *specs):
  graph = tf.function(function).get_concrete_function(*specs).graph
  return scan.scan(graph, blame.Sites())


VECTOR = tf.TensorSpec([8], tf.float32)


def by_python(x):
  return tf.py_function(lambda v: v * 2, [x], tf.float32)  # here


def printing(x):
  tf.print("mean", tf.reduce_mean(x))  # here
  return x


def through_text(x):
  return tf.strings.to_number(tf.strings.as_string(x))  # here


def rotated(x):
  flat = tf.reshape(x, [1, 2, 4, 1])
  return tf.raw_ops.ImageProjectiveTransformV3(images=flat, transforms=tf.ones([1, 8]), output_shape=[2, 4],  # here
                                               fill_value=0.0, interpolation="NEAREST", fill_mode="CONSTANT")


def wide(x):
  return tf.cast(tf.cast(x, tf.float64) * 2.0, tf.float32)  # here


def places(x):
  return tf.where(x > 0)  # here


def distinct(x):
  return tf.unique(x)[0]  # here


def masked(x):
  return tf.boolean_mask(x, x > 0)  # here


def inside_a_loop(x):
  def body(i, total):
    return i + 1, total + tf.cast(tf.size(tf.unique(x)[0]), tf.float32)  # here

  return tf.while_loop(lambda i, _: i < 3, body, (0, 0.0))[1]


def of_text_in_an_assertion(x):
  tf.debugging.assert_equal(tf.size(x), 8, message="a text for people")
  return x


def of_wide_constants(x):
  return x * tf.cast(tf.constant(np.float64(2.0)), tf.float32)


@pytest.mark.parametrize(("function", "kind"), [
  (by_python, scan.HOST), (printing, scan.HOST), (through_text, scan.HOST), (rotated, scan.HOST), (wide, scan.FLOAT64),
  (places, scan.DYNAMIC), (distinct, scan.DYNAMIC), (masked, scan.DYNAMIC), (inside_a_loop, scan.DYNAMIC)])
def test_what_is_not_for_a_tpu_is_refused_with_its_line(function, kind):
  found = findings(function, VECTOR)
  assert {f.kind for f in found} == {kind}
  assert found[0].blame.place == line_of(function, "# here")


@pytest.mark.parametrize("function", [of_text_in_an_assertion, of_wide_constants])
def test_what_xla_drops_is_not_refused(function):
  assert findings(function, VECTOR) == []


def test_a_batch_of_unknown_shape_is_refused():
  (told,) = scan.dynamic_inputs({"image": tf.TensorSpec([4, None, None, 3], tf.uint8), "label": tf.TensorSpec([4], tf.int64)})
  assert told == "dynamic shape: the batch's 'image' is uint8 [4, None, None, 3]"


# -- models that fail, each at a line of its own


@keras.saving.register_keras_serializable("tests")
class Distinct(keras.layers.Layer):
  def call(self, x):
    return x + tf.cast(tf.size(tf.unique(tf.reshape(x, [-1]))[0]), x.dtype)  # here


@keras.saving.register_keras_serializable("tests")
class Fractional(keras.layers.Layer):
  def call(self, x):
    pooled = tf.nn.fractional_max_pool(tf.cast(x[:, :, None, None], tf.float32), [1, 1.5, 1, 1])[0]  # here
    return x + tf.cast(tf.reduce_mean(pooled), x.dtype)

  def compute_output_shape(self, shape):
    return shape


@keras.saving.register_keras_serializable("tests")
class Raising(keras.layers.Layer):
  def call(self, x, training=False):
    if training:
      raise ValueError("not in training")  # here
    return x


def model_with(layer):
  def build(input_shape, num_outputs, **_):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(16, name="hidden")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_outputs, dtype="float32")(layer(name="odd")(x)))

  return build


@pytest.mark.parametrize(("layer", "told"), [
  (Distinct, ["dynamic shape: Unique", "of layer 'odd'"]),
  (Fractional, ["cannot be exported: XLA has no FractionalMaxPool", "of layer 'odd'"]),
  (Raising, ["cannot be traced: ValueError", "not in training"])])
def test_a_model_that_fails_is_told_in_one_line_with_its_place(layer, told, monkeypatch, capsys):
  monkeypatch.setattr("dlsuite.models.mlp.build", model_with(layer))
  monkeypatch.setattr(environment, "python", lambda: None)  # nothing comes as far as the compiler
  assert tpu_compile.main([f"--config={MLP}"]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("tpu_compile: the train step") and all(part in line for part in told)
  assert line_of(layer, "# here") in line


def test_an_operation_of_a_library_layer_is_blamed_on_the_line_that_made_the_layer(mlp):
  program = mlp.program
  (product,) = (op for op in blame.operations(program.graph) if op.type == "MatMul" and "hidden1" in op.name
                and "gradient_tape" not in op.name)
  found = blame.of_operation(product, program.sites)
  assert (found.layer, found.place.partition(":")[0]) == ("hidden1", "dlsuite/models/mlp.py")
  assert "layers.Dense(width" in found.code
  derivative = next(op for op in blame.operations(program.graph) if op.type == "MatMul" and "gradient_tape" in op.name)
  assert blame.of_operation(derivative, program.sites).place.startswith("dlsuite/models/mlp.py:")


def answering(monkeypatch, *answers):
  """Puts the answers in the compiler's place, in turn."""
  left = list(answers)
  monkeypatch.setattr(environment, "python", lambda: None)
  monkeypatch.setattr(compiler, "compile_for", lambda *_: left.pop(0))


COMPILED = compiler.Compiled(True, peak=2**20, memory={}, flops=197e6, bytes=819e3, seconds=1.0)


def test_what_the_compiler_refuses_is_blamed_on_a_line_of_the_model(monkeypatch, capsys):
  names = []

  def compile_for(hlo, *_):
    module = hlo_pb2.HloModuleProto.FromString(hlo)
    names.append(next(i.metadata.op_name for i in instructions(module, "dot") if "hidden1" in i.metadata.op_name))
    return compiler.Compiled(False, f'UNIMPLEMENTED: no such dot, metadata={{op_name="{names[0]}"}}')

  answering(monkeypatch)
  monkeypatch.setattr(compiler, "compile_for", compile_for)
  assert tpu_compile.main([f"--config={MLP}"]) == 1
  first, _ = capsys.readouterr().err.splitlines()  # one line a step
  assert "the train step at global batch 16 does not compile for v5e:1x1: UNIMPLEMENTED: no such dot" in first
  assert "of layer 'hidden1' at dlsuite/models/mlp.py:" in first


OUT_OF_MEMORY = "JaxRuntimeError: RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: "
BRIEF = "Ran out of memory on HBM, the total memory required for HLO temporaries (24.30G) exceeds available HBM (15.75G)."
LONG = """XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 15.80G of 15.75G hbm.

  Largest program allocations in hbm:

  1. Size: 7.84G
     Operator: op_name="mlp_1/hidden1_1/MatMul"
     Shape: bf16[64240,65536]{1,0:T(8,128)(2,1)}
     Unpadded size: 7.84G

  2. Size: 1.73M
     XLA label: overlays
"""


@pytest.mark.parametrize(("message", "why", "largest"), [
  (BRIEF, "Ran out of memory on HBM, the total memory required", "float32 [64, 800] of ReadVariableOp"),
  (LONG, "Used 15.80G of 15.75G", "7.84G of bf16[64240,65536] for MatMul 'mlp_1/hidden1_1/MatMul' of layer 'hidden1'")])
def test_a_step_that_does_not_fit_names_the_memory_and_what_takes_most_of_it(message, why, largest, monkeypatch, capsys):
  answering(monkeypatch, compiler.Compiled(False, OUT_OF_MEMORY + message), COMPILED)
  assert tpu_compile.main([f"--config={MLP}"]) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert "the train step at global batch 16 does not fit v5e:1x1: " in line and why in line
  assert f"; the largest: {largest}" in line and "dlsuite/models/mlp.py:" in line


def test_the_figures_are_written_as_json_and_read_as_text(monkeypatch, tmp_path, capsys):
  answering(monkeypatch, COMPILED, COMPILED)
  assert tpu_compile.main([f"--config={MLP}", f"--json={tmp_path / 'found.json'}"]) == 0
  found = json.loads((tmp_path / "found.json").read_text())
  assert found["ok"] and found["topology"] == "v5e:1x1" and found["pins"] == environment.pins()
  (stage,) = found["stages"]
  train = stage["programs"]["train"]
  assert (train["batch"], train["peak_bytes"], train["hbm_bytes"], train["flops"]) == (16, 2**20, 16 * 2**30, 197e6)
  assert train["roofline"]["seconds"] == pytest.approx(1e-6)
  text = capsys.readouterr().out
  assert "peak memory a chip: 1 MiB of 16 GiB" in text and "roofline bound of a step: 1 us" in text
  assert all(sentence in text for sentence in report.NOT_COVERED)
  assert "--largest_batch" in text and "too low" not in text.partition("not covered")[0]


def test_of_a_program_with_loops_the_figures_are_said_to_be_too_low():
  slice_ = chips.topology("v5e:1x1")
  found = report.program_json(dataclasses.replace(COMPILED, loops=2), 16, 0.0, slice_)
  lines = report.program_lines("train", found, slice_)
  assert lines[2].endswith("read and written; too low: of 2 loops one turn is counted")
  assert lines[4].endswith("; too low, as above")


def test_the_largest_batch_is_searched_for_where_asked(monkeypatch, tmp_path):
  tried = []

  def compile_for(hlo, *_):
    module = hlo_pb2.HloModuleProto.FromString(hlo)
    (batch,) = {i.shape.dimensions[0] for i in instructions(module, "parameter") if len(i.shape.dimensions) == 4}
    tried.append(batch * 8)
    if batch > 15:
      return compiler.Compiled(False, "RESOURCE_EXHAUSTED: x")
    return dataclasses.replace(COMPILED, peak=batch * 2**30)

  answering(monkeypatch)
  monkeypatch.setattr(compiler, "compile_for", compile_for)
  monkeypatch.setattr(export.Exporter, "evaluate", lambda self: None)
  path = tmp_path / "found.json"
  assert tpu_compile.main([f"--config={MLP}", "--topology=v5e:2x4", "--largest_batch", "--tolerance=0", f"--json={path}"]) == 0
  border = json.loads(path.read_text())["stages"][0]["largest_batch"]
  assert (border["fits"], border["does_not_fit"], border["unit"]) == (120, 128, 8)
  assert {120, 128} <= set(tried)


def test_a_result_is_kept_for_the_same_program_slice_and_pins(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  monkeypatch.setattr(compiler, "_run", lambda hlo, topology: {"ok": True, "peak": len(hlo)})
  slice_ = chips.topology("v5e:1x1")
  assert not compiler.compile_for(b"program", slice_).cached
  again = compiler.compile_for(b"program", slice_)
  assert (again.cached, again.peak) == (True, 7)
  assert not compiler.compile_for(b"another", slice_).cached
  assert not compiler.compile_for(b"program", chips.topology("v5e:2x2")).cached
  assert not compiler.compile_for(b"program", slice_, use_cache=False).cached
  monkeypatch.setattr(environment, "pins", lambda: ["jax==0"])
  assert not compiler.compile_for(b"program", slice_).cached


@pytest.mark.parametrize("kept", ['{"ok": tr', "[1]", '{"ok": true, "of_another_version": 1}', "\udcff"])
def test_a_kept_result_that_cannot_be_read_is_made_again(kept, monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  monkeypatch.setattr(compiler, "_run", lambda *_: {"ok": True, "peak": 7})
  slice_ = chips.topology("v5e:1x1")
  compiler.compile_for(b"program", slice_)
  (path,) = (tmp_path / "dlsuite/tpu_compile/results").iterdir()
  path.write_text(kept, errors="surrogateescape")
  again, then = (compiler.compile_for(b"program", slice_) for _ in range(2))
  assert (again.peak, again.cached, then.cached) == (7, False, True)


class VerdictError(Exception):
  """The compiler's own error."""


@pytest.fixture
def compile_hlo(monkeypatch):
  """The script of the compiler's environment, whose packages are not here."""
  for name in ("jax._src.interpreters", "jax._src.lib", "jax._src.lib.mlir", "jax.experimental", "jaxlib"):
    monkeypatch.setitem(sys.modules, name, mock.MagicMock())
  sys.modules["jaxlib"].__version__ = "0"
  sys.modules["jaxlib"]._jax.JaxRuntimeError = sys.modules["jax._src.lib.mlir"].ir.MLIRError = VerdictError
  sys.modules["jax.experimental"].topologies.get_topology_desc().devices = ["chip"]
  for name in ("TPU_SKIP_MDS_QUERY", "JAX_PLATFORMS", "ALLOW_MULTIPLE_LIBTPU_LOAD"):
    monkeypatch.setenv(name, "")  # as before after the test
  yield importlib.import_module("tools.tpu.compile_hlo")
  del sys.modules["tools.tpu.compile_hlo"]


def test_what_the_compiler_says_is_the_result_and_what_the_machine_lacks_is_none(compile_hlo, monkeypatch, tmp_path):
  (tmp_path / "hlo").write_bytes(b"program")
  arguments = (str(tmp_path / "hlo"), "v5e:1x1", "default", "1", str(tmp_path / "found.json"))
  monkeypatch.setattr(compile_hlo, "compiled", mock.Mock(side_effect=MemoryError))
  with pytest.raises(MemoryError):
    compile_hlo.main(*arguments)
  assert not (tmp_path / "found.json").exists()
  monkeypatch.setattr(compile_hlo, "compiled", mock.Mock(side_effect=VerdictError("no such dot")))
  compile_hlo.main(*arguments)
  assert json.loads((tmp_path / "found.json").read_text())["error"] == "VerdictError: no such dot"


# -- bad input


@pytest.mark.parametrize(("name", "told"), [
  ("v5e:2x3", "(did you mean 'v5e:2x4'?); allowed for v5e: 1x1, 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16"),
  ("v5e:3x3", "(did you mean 'v5e:2x4'?)"), ("v5e:5x1", "(did you mean 'v5e:2x2'?)"), ("v4:2x2", "(did you mean 'v4:2x2x1'?)"),
  ("v5e:\u00b2x4", "(did you mean 'v5e:4x4'?)"), pytest.param(f"v5e:{'9' * 5000}", "allowed for v5e: 1x1", id="of_5000_digits"),
  ("v5:2x4", "(did you mean 'v5"), ("5e:2x4", "(did you mean 'v5e:2x4'?)"), ("v5e:", "allowed for v5e"), ("", "allowed: KIND"),
  ("v5e-8", "allowed: KIND:SHAPE with KIND of v2, v3, v4, v5e, v5p, v6e")])
def test_an_unknown_slice_is_refused_with_the_nearest(name, told, capsys):
  with pytest.raises(ConfigError) as e:
    chips.topology(name)
  assert str(e.value).startswith(f"--topology={name!r} is unknown") and told in str(e.value)
  assert tpu_compile.main([f"--config={MLP}", f"--topology={name}"]) == 2
  assert len(capsys.readouterr().err.splitlines()) == 1


def test_replicas_are_cores_where_the_cores_of_a_chip_work_apart():
  found = {name: (chips.topology(name).chips, chips.topology(name).replicas) for name in ("v3:2x2", "v4:2x2x2", "v5e:4x8")}
  assert found == {"v3:2x2": (4, 8), "v4:2x2x2": (8, 8), "v5e:4x8": (32, 32)}
  assert chips.topology("v3:2x2").hbm == 16 * 2**30  # 32 GiB a chip


@pytest.mark.parametrize(("arguments", "told"), [
  (["--config.data.batch_size=20", "--topology=v5e:2x4"],
   "data.batch_size=20 does not divide by the 8 chips of --topology=v5e:2x4; nearest that do: 16 or 24"),
  (["--topology=v5e:4x8"], "data.batch_size=16 does not divide by the 32 chips of --topology=v5e:4x8; nearest that do: 32"),
  (["--config.train.accumulate=3", "--config.data.batch_size=36", "--topology=v3:2x2"],
   "data.batch_size=36 does not divide by the 8 cores of --topology=v3:2x2 x train.accumulate=3; nearest that do: 24 or 48"),
  (["--topolgy=v5e:2x4"], "--topolgy is not a flag (did you mean '--topology'?); --help shows all"),
  (["--topology"], "argument --topology: expected one argument"),
  (["--tolerance=-1"], "--tolerance=-1 must be 0 or more"),
  (["--json=/no/such/folder/found.json"], "--json=/no/such/folder/found.json cannot be written: there is no folder"),
  (["--config.train.epoch=1"], "--config.train.epoch is not a key of this config")])
def test_bad_input_is_one_line_and_exit_code_2(arguments, told, capsys):
  assert tpu_compile.main([f"--config={MLP}", *arguments]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("tpu_compile: ") and told in line


def test_a_missing_environment_is_told_with_the_command_that_makes_it(monkeypatch, tmp_path, capsys):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert tpu_compile.main([f"--config={MLP}"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert str(tmp_path) in line and line.endswith("python -m tools.tpu_compile --make_environment")


# -- what is exported


def exported(reference, replicas):
  program = export.Exporter(catalog.load(reference), replicas).train()
  return program, hlo_pb2.HloModuleProto.FromString(program.hlo)


class Exported(NamedTuple):
  """A program, what XLA gets of it, and the process's policies of precision before and after the export."""

  program: export.Program
  module: hlo_pb2.HloModuleProto
  before: str
  after: str


@pytest.fixture(scope="module")
def mlp():
  """The MLP's train step on one replica."""
  before = keras.config.dtype_policy().name
  return Exported(*exported(MLP, 1), before, keras.config.dtype_policy().name)


def instructions(module, opcode):
  return [i for computation in module.computations for i in computation.instructions if i.opcode == opcode]


def test_the_step_of_eight_replicas_sums_each_gradient_and_the_metrics_once():
  _, module = exported("experiments/vision/lenet5.py:smoke", 8)
  sums = instructions(module, "all-reduce")
  assert len(sums) == 5 * 2 + 1  # kernel and bias of C1, C3, C5, F6 and the output; loss, accuracy and error as one vector
  elements = sum(int(np.prod(i.shape.dimensions)) for i in sums)
  assert elements == 61_706 + 4  # the parameters of LeNet-5; loss, accuracy, error and top-5 error


def test_one_replica_sums_nothing(mlp):
  assert not instructions(mlp.module, "all-reduce")


def test_convolutions_are_exported_in_bfloat16_whatever_this_processor_does():
  _, module = exported("experiments/vision/lenet5.py:smoke", 1)
  found = instructions(module, "convolution")
  assert len(found) >= 2 + 2 + 1  # forward, of the kernels, of the input of the second
  assert {i.shape.element_type for i in found} == {BFLOAT16}


def test_variables_that_the_step_updates_share_memory_with_its_results(mlp):
  variables = 4 + 2 * 4 + 1  # weights, Adam's two moments of each, its step counter
  assert len(mlp.module.input_output_alias.entries) == variables


def test_replicas_draw_different_noise():
  assert instructions(exported("experiments/unsupervised/vae.py:smoke", 2)[1], "replica-id")


def test_a_program_is_the_same_to_the_byte_each_time_it_is_exported():
  exporter = export.Exporter(catalog.load(MLP), 2)
  first = exporter.train().hlo
  assert exporter.train(32).hlo != first
  assert exporter.train().hlo == first


@pytest.mark.parametrize("path", ["foundations/mlp.py", "reinforcement/dqn.py", "sequence/lstm.py"])
def test_a_batch_larger_than_the_data_can_be_exported(path):
  exporter = export.Exporter(catalog.load(f"experiments/{path}:smoke"), 2)
  program = exporter.train(16 * 4096)
  rows = {i.shape.dimensions[0] for i in instructions(hlo_pb2.HloModuleProto.FromString(program.hlo), "parameter")
          if i.shape.dimensions}
  assert rows & {16 * 4096, 8 * 4096}  # the whole of it where an agent hands it over, else a replica's half


def test_the_exported_step_is_the_step_of_the_loop(strategy):
  """On the CPU, where both can run: the same weights to the bit after a step."""
  config = catalog.load(MLP).copy_and_resolve_references()
  config.unlock()
  config.train.precision, config.strategy.kind = "float32", "cpu"
  batch = {"image": tf.constant(np.arange(16 * 64).reshape(16, 8, 8, 1) % 17 * 15, tf.uint8),
           "label": tf.range(16, dtype=tf.int64) % 10}

  def after(task, its_strategy):
    step = steps.replica_train_step(task, its_strategy)
    tf.function(lambda: its_strategy.tf.run(step, args=(batch, tf.constant(0, tf.int64), False)))()
    return [v.numpy() for values in task.variables().values() for v in values]

  exporter = export.Exporter(config, 1)
  exporter.train()
  ours = task_of(config, strategy)
  ours.build(exporter._plan.total, exporter._plan.warmup)
  for a, b in zip(after(ours, strategy), after(exporter._task, exporter.strategy), strict=True):
    np.testing.assert_array_equal(a, b)


def test_shapes_come_from_what_a_set_declares_where_it_is_not_prepared():
  exporter = export.Exporter(catalog.load("experiments/vision/cifar_resnet.py:cifar10"), 8)
  assert not exporter.length_known
  specs, _ = exporter._spec("train")
  assert specs == {"image": tf.TensorSpec([16, 32, 32, 3], tf.uint8), "label": tf.TensorSpec([16], tf.int64)}
  specs, _ = exporter._spec("evaluate")
  assert set(specs) == {"image", "label", "mask", "index"}


@pytest.mark.parametrize(("path", "evaluates"), [
  ("reinforcement/dqn.py", False), ("unsupervised/gan.py", False), ("sequence/lstm.py", True),
  ("foundations/diabetes.py", True), ("vision/detector.py", True)])
def test_a_task_without_an_evaluation_step_says_so(path, evaluates):
  if "detector" in path:
    pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")
  exporter = export.Exporter(catalog.load(f"experiments/{path}:smoke"), 2)
  assert exporter.evaluation == "" if evaluates else "evaluates on the host" in exporter.evaluation
  assert (exporter.evaluate() is not None) == evaluates


def test_boxes_of_a_set_that_is_not_prepared_are_asked_for():
  pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")
  with pytest.raises(DataError, match=r"data\.name='bccd' is not prepared on this machine, and task='detection' takes its"):
    export.Exporter(catalog.load("experiments/vision/detector.py:bccd"), 1).train()


def test_the_policy_of_the_process_is_left_as_it_was(mlp):
  assert BFLOAT16 in {i.shape.element_type for i in instructions(mlp.module, "dot")}  # it was another meanwhile
  assert mlp.after == mlp.before


# -- arithmetic


def test_the_roofline_is_the_slower_of_compute_and_memory():
  v5e = chips.topology("v5e:1x1")
  line = report.roofline(197e12, 819e9 / 2, v5e)
  assert (line.compute, line.memory, line.seconds, line.bound) == (1.0, 0.5, 1.0, "compute")
  line = report.roofline(197e9, 819e6 * 3, v5e)
  assert (line.seconds, line.bound) == (pytest.approx(3e-3), "memory")
  of_core = report.roofline(123e12 / 2, 1.0, chips.topology("v3:2x2"))  # a core has half of its chip's 123 TFLOP/s
  assert of_core.compute == 1.0


def linear(memory, of_each, fixed=0.0, tells=True):
  def need(batch):
    needed = fixed + of_each * batch
    return largest_batch.Need(needed <= memory, needed if tells or needed <= memory else 0.0)

  return need


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize(("of_each", "fixed", "start"), [(1.0, 0.0, 8), (0.37, 100.0, 8), (7.0, 900.0, 64), (0.001, 5.0, 8)])
def test_the_largest_batch_fits_and_the_next_does_not(of_each, fixed, start, tells):
  border = largest_batch.search(linear(1000.0, of_each, fixed, tells), 8, start, 1000.0, 10**7)
  truth = int((1000.0 - fixed) / of_each / 8 + 1e-9) * 8
  assert (border.largest, border.next) == (truth, truth + 8)
  assert {border.largest, border.next} - {0} <= set(border.tried)
  assert len(border.tried) <= 8  # halving alone would take up to 20


def test_a_border_that_is_no_line_is_still_found():
  border = largest_batch.search(lambda b: largest_batch.Need(b < 5000, 1.0), 8, 8, 1000.0, 10**6)
  assert (border.largest, border.next) == (4992, 5000)


def test_nothing_fits_and_everything_fits():
  nothing = largest_batch.search(lambda _: largest_batch.Need(False), 8, 64, 1.0, 1024)
  assert (nothing.largest, nothing.next, list(nothing.tried)) == (0, 8, [64, 32, 16, 8])
  everything = largest_batch.search(lambda _: largest_batch.Need(True, 1.0), 8, 64, 10.0, 1024)
  assert (everything.largest, everything.next) == (1024, 0)


def test_the_border_may_stay_as_wide_as_the_tolerance():
  border = largest_batch.search(linear(1000.0, 0.001), 8, 8, 900.0, 10**7, tolerance=0.1)
  assert border.largest <= 1_000_000 < border.next <= 1.1 * border.largest + 8


def test_the_compilers_message_on_memory_is_read():
  error = "RESOURCE_EXHAUSTED: the total memory required for HLO temporaries (108.51G) exceeds available HBM (15.75G). HLO"
  assert compiler.Compiled(False, error).asked_and_had == (108.51 * 2**30, 15.75 * 2**30)
  assert compiler.Compiled(False, "RESOURCE_EXHAUSTED: no numbers").asked_and_had is None
