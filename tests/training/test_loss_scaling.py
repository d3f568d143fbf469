"""float16 trains by a loss whose scale follows the gradients: beside Keras's own, float32, and through a stop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.errors import DivergedError, Stopped
from dlsuite.tasks import classification
from dlsuite.training import learner as learner_lib
from dlsuite.training.learner import Learner
from tests.training.test_loop import StopAfter, rows, state, train

# Two overflows in a row, one after a scale that has just grown, and one just before it would.
FINITE = [1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1]


@pytest.fixture
def half(digits_config):
  """A small MLP in float16 by a constant rate of gradient descent; convolutions in float16 are slow on CPUs."""
  digits_config.train.precision = "float16"
  digits_config.data.resize, digits_config.data.augment.pad_crop = 0, 0
  digits_config.model = {"name": "mlp", "width": 16}
  digits_config.optimizer.name, digits_config.optimizer.learning_rate = "sgd", 0.05
  digits_config.optimizer.arguments = {"momentum": 0.9}
  digits_config.optimizer.schedule.name = "constant"
  config_lib.set_duration(digits_config, "warmup", "optimizer.warmup_steps", None)
  return digits_config


def by_keras(weights, batches, growth_steps):
  """Returns scale and weights after each step of Keras's optimizer."""
  variable = keras.Variable(weights)
  inner = keras.optimizers.SGD(0.05, momentum=0.9)
  optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**15, dynamic_growth_steps=growth_steps)
  optimizer.build([variable])
  for x in batches:
    with tf.GradientTape() as tape:
      loss = optimizer.scale_loss(tf.reduce_mean(x @ variable.value))
    optimizer.apply(tape.gradient(loss, [variable.value]), [variable])
    yield float(optimizer.dynamic_scale), variable.numpy()


def test_scale_and_weights_follow_keras_own_loss_scaling(half, strategy, monkeypatch):
  monkeypatch.setattr(learner_lib, "_SCALE_GROWTH_STEPS", 3)
  half.data.batch_size = 4
  draw = np.random.default_rng(0)
  batches = [draw.normal(size=(4, 5)).astype(np.float32) + (0 if good else np.inf) for good in FINITE]
  with strategy.tf.scope():
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, use_bias=False)])
    learner = Learner([network], half, strategy, len(FINITE), 0)

  @tf.function
  def step(x, number):
    learner.update(lambda batch: (network(batch["x"])[:, 0], {}, {}), {"x": x}, number)

  expected = by_keras(network.weights[0].numpy(), batches, 3)
  for i, (x, (scale, weights)) in enumerate(zip(batches, expected, strict=True)):
    strategy.tf.run(step, args=(tf.constant(x), tf.constant(i, tf.int64)))
    assert float(learner.variables()["loss_scale"][0].numpy()) == scale, i
    np.testing.assert_allclose(network.weights[0].numpy(), weights, rtol=1e-6, err_msg=str(i))
  assert int(learner.optimizer.iterations.numpy()) == sum(FINITE)


def test_an_overflow_skips_the_step_and_halves_the_scale(half, strategy, tmp_path, monkeypatch):
  half.train.steps = 1
  half.optimizer.learning_rate = 1e-30
  train(half, strategy, tmp_path / "start")
  # Of the hidden layer the first gradient is up to 3e-1: times 2**24 more than float16 holds.
  monkeypatch.setattr(learner_lib, "_FIRST_SCALE", 2.0**24)
  half.optimizer.learning_rate = 0.05
  train(half, strategy, tmp_path / "run")
  before, after = state(tmp_path / "start", 1).arrays, state(tmp_path / "run", 1).arrays
  for name in (name for name in before if name.startswith("network.")):
    np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-25, err_msg=name)
  scale, good_steps = (after[f"learner.main.loss_scale/{i:04d}"] for i in range(2))
  assert (scale, good_steps) == (2.0**23, 0)


def test_a_gradient_that_is_never_finite_ends_the_run_once_the_scale_is_at_its_least(half, strategy, tmp_path, monkeypatch):
  """The slope of sqrt(0 w) is infinite times 0, though its value is 0."""
  losses = classification.Classification.losses

  def endless(task, outputs, batch, training):
    values, metrics = losses(task, outputs, batch, training)
    return values + tf.sqrt(0 * tf.cast(values, tf.float32)), metrics

  monkeypatch.setattr(classification.Classification, "losses", endless)
  monkeypatch.setattr(learner_lib, "_FIRST_SCALE", 2.0**3)
  half.train.log_every_steps = 1
  with pytest.raises(DivergedError, match=r"a gradient \(float16, at a loss scale of 1\) became NaN or infinite at step 4 "):
    train(half, strategy, tmp_path)
  assert [row["loss_scale"] for row in rows(tmp_path, "train")] == [4, 2, 1]


def test_the_learning_rate_that_is_reported_is_that_of_the_last_step_that_was_made(half, strategy, tmp_path, monkeypatch):
  config_lib.set_duration(half, "warmup", "optimizer.warmup_steps", 10)
  half.train.log_every_steps = 1
  train(half, strategy, tmp_path / "all")
  monkeypatch.setattr(learner_lib, "_FIRST_SCALE", 2.0**24)
  train(half, strategy, tmp_path / "some")
  made, after = ([row["learning_rate"] for row in rows(tmp_path / name, "train")] for name in ("all", "some"))
  skipped = np.diff([2.0**24, *(row["loss_scale"] for row in rows(tmp_path / "some", "train"))]) < 0
  assert skipped.any()
  steps = np.cumsum(~skipped)
  assert after == [made[max(0, step - 1)] for step in steps]


def test_float16_moves_the_weights_as_float32_does(half, strategy):
  """A smooth network: rounding at the corner of a ReLU would open and close units."""
  half.data.batch_size = 16
  draw = np.random.default_rng(1)
  x = tf.constant(draw.normal(size=(16, 8)), tf.float32)
  y = tf.constant(draw.normal(size=16), tf.float32)
  initial = [draw.normal(size=(8, 32)) / 3, np.zeros(32), draw.normal(size=(32, 1)) / 6, np.zeros(1)]

  def trained(precision, policy):
    half.train.precision = precision
    with strategy.tf.scope():
      network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "tanh", dtype=policy),
                                  keras.layers.Dense(1, dtype=policy)])
      learner = Learner([network], half, strategy, 20, 0)
    network.set_weights(initial)

    def losses(batch):
      return tf.square(tf.cast(network(batch["x"])[:, 0], tf.float32) - batch["y"]), {}, {}

    step = tf.function(lambda number: learner.update(losses, {"x": x, "y": y}, number)[0])
    for i in range(20):
      strategy.tf.run(step, args=(tf.constant(i, tf.int64),))
    return network.get_weights()

  for start, one, other in zip(initial, trained("float32", "float32"), trained("float16", "mixed_float16"), strict=True):
    assert np.linalg.norm(other - one) < 0.01 * np.linalg.norm(one - start)


def test_a_float16_run_that_was_stopped_between_overflows_goes_on_to_the_same_bits(half, strategy, tmp_path, monkeypatch):
  monkeypatch.setattr(learner_lib, "_FIRST_SCALE", 2.0**24)
  monkeypatch.setattr(learner_lib, "_SCALE_GROWTH_STEPS", 2)
  half.train.steps_per_call = 1
  train(half, strategy, tmp_path / "whole")
  with pytest.raises(Stopped):
    train(half, strategy, tmp_path / "parts", [StopAfter(5)])
  train(half, strategy, tmp_path / "parts")
  whole, parts = (state(tmp_path / name, 12).arrays for name in ("whole", "parts"))
  assert 2.0**10 < whole["learner.main.loss_scale/0000"] < 2.0**24
  for name, value in whole.items():
    assert value.tobytes() == parts[name].tobytes(), name
