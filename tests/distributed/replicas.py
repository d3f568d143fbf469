"""Trains small configs on a number of replicas and saves the weights: run by test_parity in a process of its own.

    python -m tests.distributed.replicas --devices=2 --folder=/tmp/parity --do parity half [--kind=workers]
"""

import argparse
import os
import pathlib
from unittest import mock

import numpy as np

from dlsuite import config as config_lib
from dlsuite.quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from dlsuite import catalog  # noqa: E402
from dlsuite.data.pipeline import own_part  # noqa: E402
from dlsuite.errors import Stopped  # noqa: E402
from dlsuite.layers.batch_norm import BatchNorm  # noqa: E402
from dlsuite.plan import Plan  # noqa: E402
from dlsuite.runs.console import Console  # noqa: E402
from dlsuite.runs.record import Record  # noqa: E402
from dlsuite.strategy import Strategy  # noqa: E402
from dlsuite.tasks.classification import Classification  # noqa: E402
from dlsuite.training import checkpoints  # noqa: E402
from dlsuite.training import learner as learner_lib  # noqa: E402
from dlsuite.training.loop import Loop  # noqa: E402

STEPS = 6
CASES = {
  "plain": {},
  "clip_norm": {"optimizer.clip.kind": "norm", "optimizer.clip.value": 0.05},
  "clip_global_norm": {"optimizer.clip.kind": "global_norm", "optimizer.clip.value": 0.1},
  "clip_value": {"optimizer.clip.kind": "value", "optimizer.clip.value": 0.01},
  "accumulate": {"train.accumulate": 2, "optimizer.l2": 0.01},
  "ema": {"optimizer.ema": 0.8, "optimizer.max_norm": 1.0, "optimizer.weight_decay": 0.1},
  "sync_batch_norm": {"strategy.sync_batch_norm": True},
  "mixed": {"data.augment.cutmix": 1.0, "data.augment.mixup": 0.4, "data.augment.rand_layers": 1,
            "optimizer.rates": ("conv=0.5",), "optimizer.weight_decay": 0.1},
}


class Tiny(Classification):
  """A network with batch normalisation only where it is synchronised: elsewhere statistics depend on the replicas."""

  def build_model(self, **_):
    x = inputs = keras.Input(self.input_shape)
    x = keras.layers.Conv2D(4, 5, strides=4, name="conv")(x)
    if self.config.strategy.sync_batch_norm:
      x = BatchNorm(name="norm")(x)
    x = keras.layers.Flatten(name="flatten")(keras.layers.ReLU(name="relu")(x))
    return {"classifier": keras.Model(inputs, keras.layers.Dense(self.num_classes, name="output")(x))}


class Dropping(Classification):
  """Its metric `accuracy` is the share of units that dropout keeps in each replica's first example."""

  def build_model(self, **_):
    inputs = keras.Input(self.input_shape)
    x = keras.layers.Dropout(0.5, name="drop")(keras.layers.Flatten(name="flatten")(inputs) * 0 + 1)
    return {"classifier": keras.Model(inputs, keras.layers.Dense(self.num_classes, name="output")(x))}


def make_config(arguments, changes):
  config = catalog.load("experiments/vision/lenet5.py").copy_and_resolve_references()
  config.unlock()
  config.strategy.kind, config.strategy.devices = arguments.kind, arguments.devices
  config.data.batch_size = 32
  config.optimizer.name = "sgd"
  config.optimizer.arguments = {"momentum": 0.9, "nesterov": True}
  config.optimizer.learning_rate = 0.05
  config_lib.set_duration(config, "train", "train.steps", STEPS)
  config_lib.set_duration(config, "evaluate", "evaluate.every_steps", 3)
  config_lib.set_duration(config, "warmup", "optimizer.warmup_steps", 2)
  config.callbacks.tensorboard = False
  for key, value in changes.items():
    section, _, name = key.rpartition(".")
    config_lib.get(config, section)[name] = value
  return config


def train(cls, config, strategy, workdir, callbacks=()):
  task = cls(config, strategy)
  task.open()
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  record = Record(workdir, config, strategy.is_chief)
  record.open({})
  loop = Loop(task, config, strategy, plan, record, Console(False), list(callbacks))
  loop.run()
  return task


def parity(arguments, strategy_of):
  """Returns the final weights, averages and validation metrics of the cases."""
  found = {}
  for name in arguments.cases:
    config = make_config(arguments, CASES[name])
    workdir = pathlib.Path(arguments.folder) / f"{name}-{arguments.devices}-{arguments.kind}"
    task = train(Tiny, config, strategy_of(config), str(workdir))
    arrays, _ = checkpoints.collect(task.variables())
    found |= {f"{name}/{key}": value for key, value in arrays.items()}
    found |= {f"{name}/valid/{key}": np.float32(value) for key, value in task.evaluate("valid").values.items()}
  return found


def odd(arguments, strategy_of):
  """Returns the metrics over 7 examples: with 4 replicas some get one example, some none."""
  found = {}
  for batch_size in (4, 8, 200):
    config = make_config(arguments, {"data.valid": "valid[:7]", "evaluate.batch_size": batch_size})
    workdir = pathlib.Path(arguments.folder) / f"odd{batch_size}-{arguments.devices}"
    task = train(Tiny, config, strategy_of(config), str(workdir))
    found |= {f"odd{batch_size}/{key}": np.float32(value) for key, value in task.evaluate("valid").values.items()}
  return found


def masks(arguments, strategy_of):
  """Returns what dropout leaves on each replica for equal inputs: [replicas, units] of one step, and of the next."""
  config = make_config(arguments, {})
  strategy = strategy_of(config)
  task = Dropping(config, strategy)
  task.open()
  task.build(STEPS, 0)
  network = keras.Model(task.networks["classifier"].input, task.networks["classifier"].get_layer("drop").output)
  learner = task.learners["main"]
  found = {}

  @tf.function
  def one_step(batch, step):
    batch = own_part(batch, strategy)

    def losses(part):
      kept = network(tf.cast(part["image"], tf.float32), training=True)
      outputs = task.networks["classifier"](tf.cast(part["image"], tf.float32), training=True)
      return *task.losses(outputs, part, True), {"kept": kept}

    _, outputs = learner.update(losses, batch, step)
    return outputs["kept"][:1]

  batches = task.train_batches(0)
  for step in range(2):
    kept = strategy.tf.run(one_step, args=(next(batches), tf.constant(step, tf.int64)))
    found[f"mask{step}"] = np.concatenate([v.numpy() for v in strategy.tf.experimental_local_results(kept)])
  return found


class Lopsided(Tiny):
  """Its loss is 64 times as large on the last replica: in float16 the gradient overflows there alone."""

  def losses(self, outputs, batch, training):
    losses, metrics = super().losses(outputs, batch, training)
    context = tf.distribute.get_replica_context()
    last = context.replica_id_in_sync_group == context.num_replicas_in_sync - 1
    return losses * tf.where(last, 64.0, 1.0), metrics


def half(arguments, strategy_of):
  """Returns each replica's own weights and scale after steps in float16; the first ones overflow on the last replica alone."""
  config = make_config(arguments, {"train.precision": "float16", "optimizer.learning_rate": 1e-4})
  strategy = strategy_of(config)
  with mock.patch.object(learner_lib, "_FIRST_SCALE", 2.0**15):
    task = train(Lopsided, config, strategy, f"{arguments.folder}/half-{arguments.devices}")
  variables = {"scale": task.learners["main"].variables()["loss_scale"][0]}
  variables |= {v.path: v.value for v in task.networks["classifier"].trainable_variables}
  variables["applied"] = task.learners["main"].optimizer.iterations.value
  return {name: np.stack([part.numpy() for part in strategy.tf.experimental_local_results(v)]) for name, v in variables.items()}


class StopAt(keras.callbacks.Callback):
  """Asks for a stop as SIGTERM would, once a step is reached."""

  def __init__(self, step):
    super().__init__()
    self.limit = step

  def on_train_batch_end(self, batch, logs=None):
    if batch + 1 == self.limit:
      import signal

      os.kill(os.getpid(), signal.SIGTERM)


class Counting(keras.callbacks.Callback):
  """Counts the steps that are made, one a call."""

  def __init__(self):
    super().__init__()
    self.steps = 0

  def on_train_batch_end(self, batch, logs=None):
    self.steps += 1


def interrupt(arguments, strategy_of):
  """Stops in the middle; the run is to be gone on with elsewhere."""
  config = make_config(arguments, {"checkpoint.every_steps": 2, "train.steps_per_call": 1})
  try:
    train(Tiny, config, strategy_of(config), f"{arguments.folder}/interrupted", [StopAt(3)])
  except Stopped:
    return {}
  raise AssertionError("the run was not stopped")


def resume(arguments, strategy_of):
  """Returns the final weights of what `interrupt` began and was copied for this number of devices, and the steps it took."""
  config = make_config(arguments, {"checkpoint.every_steps": 2, "train.steps_per_call": 1})
  made = Counting()
  task = train(Tiny, config, strategy_of(config), f"{arguments.folder}/resumed-{arguments.devices}", [made])
  return checkpoints.collect(task.variables())[0] | {"steps": np.array(made.steps)}


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--devices", type=int, default=1)
  parser.add_argument("--kind", default="cpu")
  parser.add_argument("--folder", required=True)
  parser.add_argument("--do", nargs="+", default=["parity"])
  parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
  arguments = parser.parse_args()
  made = []

  def strategy_of(config):
    if not made:
      made.append(Strategy.from_config(config))
    return made[0]

  for do in (globals()[name] for name in arguments.do):
    found = do(arguments, strategy_of)
    if strategy_of(None).is_chief:
      np.savez(pathlib.Path(arguments.folder) / f"{do.__name__}-{arguments.devices}-{arguments.kind}.npz", **found)


if __name__ == "__main__":
  main()
