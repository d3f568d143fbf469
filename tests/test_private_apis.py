"""Private names of other packages: where they are used, and that they still are what they were."""

import ast

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.training import optimizers
from tests.conftest import ROOT

FOLDERS = ("dlsuite", "launch", "tools", "experiments")
# Names used here that no file of ours defines, beside public ones. Another one needs a test below before it may be used.
USED = {
  "dlsuite/layers/nested.py": {"_flatten_layers"},
  "dlsuite/rl/track.py": {"_create_image_array"},
  "dlsuite/training/optimizers.py": {
    "_backend_update_step", "_apply_weight_decay", "_distributed_tf_update_step", "_get_variable_index", "_momentums",
    "_velocities", "_use_weight_decay", "_u_product", "_learning_rate"},
  "tools/tpu/blame.py": {"_functions"},  # without it what is inside a loop would not be refused: test_tpu_compile
}
MODULES = {"tools/tpu/export.py": ["tensorflow.compiler.xla.service"]}  # test_tpu_compile reads programs by it, too
DOCUMENTED = {"_getframe"}  # of sys, in Python's own documentation
# These have an environment of their own with exact pins, or are tested where they stand.
ELSEWHERE = {"tools/tpu/compile_hlo.py", "tools/tpu/execute_on_cpu.py", "tools/tpu/replicas.py"}


def trees():
  files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
  return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


def is_private(name):
  return name.startswith("_") and not name.startswith("__")


def reached(node):
  """Returns the name that an expression asks an object for: `x.name`, `getattr(x, "name")` and the like."""
  if isinstance(node, ast.Attribute):
    return node.attr
  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr", "setattr"):
    return node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
  return ""


def own_names(tree):
  """Returns what a file defines: functions, classes, assigned names and attributes."""
  defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
  targets = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)]
  return defined | {node.id if isinstance(node, ast.Name) else node.attr for node in targets}


def test_no_private_name_of_another_package_is_used_without_a_test():
  found = {}
  for file, tree in trees().items():
    hooks = USED.get(file, set())  # overridden there, so that they look like the file's own
    foreign = {reached(node) for node in ast.walk(tree) if is_private(reached(node))} | {
      node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in hooks}
    found[file] = {name for name in foreign - DOCUMENTED if name not in own_names(tree) or name in hooks}
  # What one class of ours takes of another file's stands in this repository too.
  ours = set().union(*(own_names(tree) for tree in trees().values()))
  found = {file: names - (ours - USED.get(file, set())) for file, names in found.items() if file not in ELSEWHERE}
  assert {file: names for file, names in found.items() if names} == USED


def test_no_private_module_of_another_package_is_imported():
  found = {}
  for file, tree in trees().items():
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    hidden = ("tensorflow.python", "tensorflow.core", "tensorflow.compiler", "keras.src")
    private = [m for m in modules if m.startswith(hidden) or "._" in m]
    if private and file not in ELSEWHERE:
      found[file] = private
  assert found == MODULES


def traced(name, **options):
  """Returns the types of the operations with which an optimizer of ours applies one gradient."""
  config = config_lib.defaults("test", task="classification").optimizer
  config.name, config.learning_rate = name, 0.1
  config.update(options)
  variable = keras.Variable(np.ones((2, 3), np.float32))
  optimizer = optimizers.build(config, [variable], 10, 0)
  apply = tf.function(lambda gradient: optimizer.apply([gradient], [variable]))
  graph = apply.get_concrete_function(tf.TensorSpec((2, 3))).graph.as_graph_def()
  return {node.op for nodes in (graph.node, *(function.node_def for function in graph.library.function)) for node in nodes}


@pytest.mark.parametrize(("name", "options", "kernel"), [
  ("sgd", {}, "ResourceApplyGradientDescent"), ("sgd", {"arguments": {"momentum": 0.9}}, "ResourceApplyKerasMomentum"),
  ("adam", {}, "ResourceApplyAdam"), ("adamw", {}, "ResourceApplyAdam")])
def test_keras_calls_our_update_hooks(name, options, kernel):
  """Were a hook renamed, Keras would go its own way, with the same numbers and more time."""
  assert kernel in traced(name, **options)


def test_weight_decay_is_applied_in_our_hook_and_once():
  config = config_lib.defaults("test", task="classification").optimizer
  config.name, config.learning_rate, config.weight_decay = "sgd", 0.1, 0.5
  variable = keras.Variable(np.full((2, 3), 4.0, np.float32))
  optimizer = optimizers.build(config, [variable], 10, 0)
  assert type(optimizer)._apply_weight_decay is optimizers._Reduced._apply_weight_decay
  assert hasattr(keras.optimizers.Optimizer, "_apply_weight_decay")
  optimizer.apply([tf.zeros((2, 3))], [variable])
  np.testing.assert_allclose(variable.numpy(), 4.0 * (1 - 0.1 * 0.5), rtol=1e-6)


@pytest.mark.parametrize(("cls", "names"), [
  (keras.optimizers.Adam, ("_backend_update_step", "_distributed_tf_update_step", "_get_variable_index", "_use_weight_decay",
                           "_momentums", "_velocities", "_learning_rate")),
  (keras.optimizers.Nadam, ("_u_product", "_backend_update_step"))])
def test_a_built_optimizer_has_the_private_parts_that_are_used(cls, names):
  optimizer = cls(0.25)
  optimizer.build([keras.Variable(np.ones(2, np.float32))])
  assert [name for name in names if not hasattr(optimizer, name)] == []


def test_an_output_is_named_by_its_layer():
  inputs = keras.Input((3,))
  hidden = keras.layers.Dense(2, name="hidden")(inputs)
  network = keras.Model(inputs, {"first": hidden, "last": keras.layers.Dense(2, name="output")(hidden)})
  assert network.output_names == ["hidden", "output"]


def test_the_car_racing_environment_draws_its_surface_in_any_size():
  pygame = pytest.importorskip("pygame")
  box2d = pytest.importorskip("gymnasium.envs.box2d.car_racing")
  surface = pygame.Surface((8, 6))
  surface.fill((1, 2, 3))
  pixels = box2d.CarRacing._create_image_array(None, surface, (4, 3))
  assert pixels.shape == (3, 4, 3)
  assert (pixels == (1, 2, 3)).all()


def test_a_layer_lists_the_layers_inside_layers():
  inner = keras.layers.Dense(1)
  inputs = keras.Input((5, 3))
  outer = keras.Model(inputs, keras.layers.TimeDistributed(inner)(inputs))
  assert inner in outer._flatten_layers(include_self=False, recursive=True)
  assert outer not in outer._flatten_layers(include_self=False, recursive=True)
