"""The fused optimizers against Keras's own."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.checks import OPTIMIZERS
from dlsuite.training import optimizers

_SHAPES = ((4, 3), (3,), (2, 2, 3, 5))
# Keras takes 1 - beta in double precision, the kernel in single: 1 - 0.999 differs by 1.3e-5, an update by half of that.
_RATE = 0.01


def _options(name: str, arguments: dict[str, object], **more: object) -> ConfigDict:
  options = config_lib.defaults("test", task="classification").optimizer
  options.name, options.learning_rate, options.arguments = name, _RATE, arguments
  options.update(more)
  return options


def _variables() -> list[keras.Variable]:
  random = np.random.default_rng(0)
  return [keras.Variable(random.normal(size=shape), dtype="float32", name=f"v{i}") for i, shape in enumerate(_SHAPES)]


def _steps(optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], count: int = 5) -> list[np.ndarray]:
  random = np.random.default_rng(1)
  for _ in range(count):
    optimizer.apply([tf.constant(random.normal(size=shape), tf.float32) for shape in _SHAPES], variables)
  return [v.numpy() for v in variables]


@pytest.mark.parametrize(("name", "arguments"), [
  ("sgd", {}),
  ("sgd", {"momentum": 0.9}),
  ("sgd", {"momentum": 0.9, "nesterov": True}),
  ("adam", {}),
  ("adam", {"beta_1": 0.8, "epsilon": 1e-4}),
  ("adam", {"amsgrad": True}),
  ("adamw", {}),
  ("rmsprop", {"momentum": 0.9}),
  ("adagrad", {}),
  ("adadelta", {}),
  ("adamax", {}),
  ("nadam", {}),
  ("lion", {}),
  ("ftrl", {}),
], ids=str)
def test_five_steps_equal_keras(name: str, arguments: dict[str, object]) -> None:
  decay = 0.01 if name == "adamw" else 0.0
  ours, theirs = _variables(), _variables()
  optimizer = optimizers.build(_options(name, arguments, weight_decay=decay), ours, 100, 0)
  reference = getattr(keras.optimizers, OPTIMIZERS[name][0])(learning_rate=_RATE, weight_decay=decay or None, **arguments)
  if decay:
    reference.exclude_from_weight_decay(var_list=[v for v in theirs if len(v.shape) < 2])
  reference.build(theirs)
  for mine, keras_own in zip(_steps(optimizer, ours), _steps(reference, theirs), strict=True):
    np.testing.assert_allclose(mine, keras_own, rtol=1e-6, atol=1e-6)


def test_weight_decay_shrinks_kernels_and_leaves_biases_alone() -> None:
  variables = _variables()
  before = [v.numpy() for v in variables]
  optimizer = optimizers.build(_options("sgd", {}, weight_decay=0.1), variables, 100, 0)
  optimizer.apply([tf.zeros(shape) for shape in _SHAPES], variables)
  for variable, old in zip(variables, before, strict=True):
    factor = 1 - _RATE * 0.1 if old.ndim >= 2 else 1.0  # w -= learning rate x decay x w
    np.testing.assert_allclose(variable.numpy(), old * factor, rtol=1e-6)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_arguments_a_config_may_set_are_those_of_keras(name: str) -> None:
  cls, arguments = OPTIMIZERS[name]
  assert set(arguments) <= set(inspect.signature(getattr(keras.optimizers, cls).__init__).parameters)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_sparse_gradients_change_only_their_rows(name: str) -> None:
  table = keras.Variable(np.ones((6, 2)), dtype="float32", name="table")
  optimizer = optimizers.build(_options(name, {}), [table], 100, 0)
  optimizer.apply([tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 4]), tf.constant([6, 2]))], [table])
  changed = (table.numpy() != 1).any(axis=1)
  np.testing.assert_array_equal(changed, [False, True, False, False, True, False])
