"""Frozen layers, rates of their own and new heads, on small networks built here."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.runs.console import Console
from dlsuite.runs.initialization import init_from
from dlsuite.tasks.classification import Classification
from dlsuite.training import checkpoints, fine_tuning, optimizers


def network(outputs=3):
  x = inputs = keras.Input((4,))
  for name in ("stem", "block1", "block2"):
    x = BatchNorm(name=f"{name}_norm")(keras.layers.Dense(5, name=f"{name}_dense")(x))
  return keras.Model(inputs, keras.layers.Dense(outputs, name="output")(x))


def trained_layers(model):
  return sorted({variable.path.split("/")[0] for variable in model.trainable_variables})


@pytest.mark.parametrize(("patterns", "left"), [
  ((), ["block1_dense", "block1_norm", "block2_dense", "block2_norm", "output", "stem_dense", "stem_norm"]),
  (("stem*", "block1*"), ["block2_dense", "block2_norm", "output"]),
  (("*", "!output"), ["output"]),
  (("*", "!block?_norm", "block1*"), ["block2_norm"]),
])
def test_patterns_choose_the_layers_that_stay_and_the_last_that_names_a_layer_decides(patterns, left):
  model = network()
  fine_tuning.freeze({"network": model}, patterns)
  assert trained_layers(model) == left


def test_a_layer_within_another_one_is_named_by_either():
  outer = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="inner")], name="outer")
  inputs = keras.Input((4,))
  for pattern in ("inner", "outer"):
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(keras.models.clone_model(outer)(inputs)))
    fine_tuning.freeze({"network": model}, (pattern,))
    assert [variable.path.split("/")[-2] for variable in model.trainable_variables] == ["output", "output"]


@pytest.mark.parametrize(("patterns", "message"), [
  (("stam_dense*",), r"optimizer\.frozen: 'stam_dense\*' names no .* \(did you mean 'stem_dense'\?\); there are: block1_d"),
  (("*", "!heads"), r"optimizer\.frozen: 'heads' names no layer"),
  (("*",), r"optimizer\.frozen=\('\*',\) leaves no weight to train; take a layer out again, e\.g\. '!output'"),
])
def test_patterns_that_name_nothing_or_leave_nothing_are_refused(patterns, message):
  with pytest.raises(ConfigError, match=message):
    fine_tuning.freeze({"network": network()}, patterns)


def test_frozen_batch_norm_uses_and_keeps_its_moving_averages_in_training():
  layer = BatchNorm()
  x = tf.constant(np.random.default_rng(0).normal(3, 2, (8, 4)), tf.float32)
  layer.build(x.shape)
  layer.trainable = False
  np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
  assert (layer.moving_mean.numpy() == 0).all()


def options(**changes):
  found = config_lib.defaults("fixture", task="classification").optimizer
  found.update(learning_rate=0.1, **changes)
  return found


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_a_layer_with_a_factor_moves_that_much_more_and_decays_that_much_more(name, weight_decay):
  def moved(rates):
    keras.utils.set_random_seed(0)
    model = network()
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer = optimizers.build(options(name=name, weight_decay=weight_decay, rates=rates), model.trainable_variables, 10, 0)
    gradients = [tf.ones_like(variable.value) * (i + 1.0) for i, variable in enumerate(model.trainable_variables)]
    optimizer.apply(gradients, model.trainable_variables)
    changes = zip(model.trainable_variables, before, strict=True)
    return {variable.path: variable.numpy() - value for variable, value in changes}

  plain, ours = moved(()), moved(("stem*=0.1", "*norm=3", "stem_norm=5"))
  for path, change in plain.items():
    factor = {"stem_dense": 0.1, "stem_norm": 5}.get(path.split("/")[0], 3 if "norm" in path else 1)
    if weight_decay and "kernel" in path:  # the decay comes first, the gradient's step does not see it: they add up
      assert np.abs(change).max() > 0
    np.testing.assert_allclose(ours[path], factor * change, rtol=1e-4, atol=1e-6, err_msg=path)


@pytest.mark.parametrize(("rates", "message"), [
  (("stem*",), r"'stem\*' must be a pattern of layers' names, = and a factor above 0"),
  (("stem*=0",), r"'stem\*=0' must be"),
  (("stem*=x",), r"'stem\*=x' must be"),
])
def test_rates_are_a_pattern_and_a_factor(rates, message):
  with pytest.raises(ConfigError, match=message):
    config_lib.parse_rates(rates)


def test_a_rate_of_no_layer_that_learns_is_refused():
  model = network()
  fine_tuning.freeze({"network": model}, ("stem*",))
  with pytest.raises(ConfigError, match=r"optimizer\.rates: 'stem\*' names no layer that could learn"):
    fine_tuning.factors(model.trainable_variables, ("stem*=0.1",))


def test_the_heads_are_the_layers_that_give_the_outputs():
  x = inputs = keras.Input((4,))
  x = keras.layers.Dense(5, name="hidden")(x)
  many = {"logits": keras.layers.Dense(3, name="main")(x), "side": keras.layers.ReLU()(keras.layers.Dense(3, name="aside")(x))}
  assert fine_tuning.heads(network()) == {"output"}
  assert "main" in fine_tuning.heads(keras.Model(inputs, many))


@pytest.fixture
def mlp_config(digits_config):
  digits_config.data.resize, digits_config.data.augment.pad_crop = 0, 0
  digits_config.model = {"name": "mlp", "width": 6}
  return digits_config


def built(config, strategy, classes=10):
  class Fewer(Classification):
    num_classes = classes

  task = Fewer(config, strategy)
  task.open()
  task.build(1, 0)
  return task


def test_a_linear_probe_starts_from_the_body_and_a_new_head_and_trains_that_alone(mlp_config, strategy, tmp_path, capsys):
  source = built(mlp_config, strategy)
  folder = checkpoints.Folder(tmp_path / "checkpoints", 1, "print", True)
  (tmp_path / "checkpoints").mkdir()
  arrays, paths = checkpoints.collect(source.weights())
  folder.save_selected(1, arrays, {"paths": paths, "valid": {}})
  folder.save_state(1, arrays, {"paths": paths}, selected=1)

  mlp_config.seed, mlp_config.optimizer.frozen = 1, ("*", "!output")
  probe = built(mlp_config, strategy, classes=12)
  init_from(str(tmp_path), "", probe, Console(True))
  said = capsys.readouterr().out
  assert "output/kernel: shape (6, 10) there, (6, 12) here; the head begins anew" in said
  ours, theirs = ({v.path: v.numpy() for v in task.networks["classifier"].weights} for task in (probe, source))
  np.testing.assert_array_equal(ours["hidden1/kernel"], theirs["hidden1/kernel"])

  @tf.function
  def step(batch):
    return strategy.tf.run(lambda: probe.train_step(batch, tf.constant(0, tf.int64)))

  step(next(probe.train_batches(0)))
  after = {v.path: v.numpy() for v in probe.networks["classifier"].weights}
  changed = [path for path, value in after.items() if (value != ours[path]).any()]
  assert sorted(changed) == ["output/bias", "output/kernel"]
