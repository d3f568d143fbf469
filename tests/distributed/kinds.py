"""Trains every kind of learning on a number of replicas and saves all that changed: run by test_kinds in a process of its own.

    python -m tests.distributed.kinds --devices=2 --folder=/tmp/kinds --do parity interrupt
"""

import argparse
import pathlib

import numpy as np

from dlsuite.quiet import import_tensorflow

import_tensorflow()

from dlsuite import catalog, modes  # noqa: E402
from dlsuite import config as config_lib  # noqa: E402
from dlsuite.errors import Stopped  # noqa: E402
from dlsuite.plan import Plan  # noqa: E402
from dlsuite.runs.console import Console  # noqa: E402
from dlsuite.runs.record import Record  # noqa: E402
from dlsuite.strategy import Strategy  # noqa: E402
from dlsuite.tasks.language_model import LanguageModel  # noqa: E402
from dlsuite.training import checkpoints  # noqa: E402
from dlsuite.training.loop import Loop  # noqa: E402
from tests.distributed.replicas import StopAt  # noqa: E402

STEPS = 6
# Nothing here draws random numbers by the replica, as dropout does.
KINDS = {
  "regression": ("foundations/diabetes.py:width=16,dropout=0.0", {}),
  # Five windows of a short text make an epoch: the rows begin anew before the last step.
  "language_model": ("sequence/lstm.py:units=16", {
    "model.dropout": 0.0, "data.batch_size": 16, "data.window": 16, "evaluate.batch_size": 11, "evaluate.every_steps": 2,
    "checkpoint.every_steps": 2, "train.steps_per_call": 1}),
  "autoencoder": ("unsupervised/autoencoder.py", {"model.widths": (16,), "data.corrupt": 0.3}),
  "vae": ("unsupervised/vae.py", {"model.widths": (16,)}),
  "segmentation": ("vision/unet.py", {"model.base": 4, "model.depth": 2, "model.batch_norm": False, "model.dropout": 0.0,
                                      "data.tile": 32, "data.test": "test[:2]", "data.valid": "valid[:3]"}),
  "gan": ("unsupervised/gan.py", {"model.width": 16, "evaluate.samples": 500, "train.steps_per_call": 1}),
  # The seed of its weights is one whose greedy action changes with the observation.
  "dqn": ("reinforcement/dqn.py", {
    "seed": 7, "model.width": 16, "environment.count": 4, "agent.collect_steps": 16, "agent.gradient_steps": 2,
    "agent.target_every": 4, "replay.start": 64, "evaluate.episodes": 2}),
  "detection": ("vision/detector.py", {
    "strategy.sync_batch_norm": True, "model.widths": (8, 8, 8), "model.blocks": (0, 0, 0), "model.head": 8,
    "data.valid": "valid[:40]", "evaluate.batch_size": 16}),
}
RESUMED = ("language_model", "gan")  # a state that is carried from batch to batch; two learners
RATES = {"autoencoder": 2e-3, "vae": 2e-3, "detection": 2e-3}  # smaller where the loss is a sum over pixels or predictors
TEXT = 1500  # bytes of each split


def make_config(kind, devices):
  file, changes = KINDS[kind]
  config = catalog.load(f"experiments/{file}").copy_and_resolve_references()
  config.unlock()
  config.strategy.kind, config.strategy.devices = "cpu", devices
  config.data.batch_size = 32
  config.optimizer.name = "sgd"
  config.optimizer.arguments = {"momentum": 0.9}
  config.optimizer.learning_rate = RATES.get(kind, 0.05)
  config.optimizer.schedule.name, config.optimizer.ema = "constant", 0.8
  config_lib.set_duration(config, "train", "train.steps", STEPS)
  config_lib.set_duration(config, "evaluate", "evaluate.every_steps", STEPS)
  config_lib.set_duration(config, "warmup", "optimizer.warmup_steps", 2)
  config.callbacks.tensorboard = False
  for key, value in changes.items():
    section, _, name = key.rpartition(".")
    (config_lib.get(config, section) if section else config)[name] = value
  return config


def train(config, strategy, workdir, seed=0, callbacks=()):
  """Returns the networks at the start, what the run left, and its validations; `seed` is that of all but the first weights."""
  task = modes.task_of(config, strategy)
  if isinstance(task, LanguageModel):
    whole = task.text
    task.text = lambda key: whole(key)[:TEXT]
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  found = {f"start/{name}": value for name, value in checkpoints.collect(task.weights())[0].items()}
  config.seed = seed
  record = Record(str(workdir), config)
  record.open({})
  loop = Loop(task, config, strategy, plan, record, Console(False), list(callbacks))
  try:
    loop.run()
  finally:
    record.close()
  found |= {f"end/{name}": value for name, value in loop.folder.latest_state().arrays.items()}
  rows = [row for row in record.rows() if row["split"] == "valid"]
  return found | {f"valid/{row['step']}/{name}": np.float64(row[name]) for row in rows for name in task.reported}


def parity(arguments, strategy_of, seed=0):
  """Returns each kind's run."""
  found = {}
  for kind in arguments.kinds:
    config = make_config(kind, arguments.devices)
    workdir = arguments.folder / f"{kind}-{arguments.devices}-{seed}"
    run = train(config, strategy_of(config), workdir, seed)
    found |= {f"{kind}/{name}": value for name, value in run.items()}
  return found


def other_seed(arguments, strategy_of):
  """Returns the same runs, from the same weights, with other random numbers."""
  return parity(arguments, strategy_of, seed=1)


def constant_rate(arguments, strategy_of):
  """Returns a run whose learning rate is a variable, one on each replica."""
  config = make_config("regression", arguments.devices)
  config.optimizer.warmup_steps = None
  return train(config, strategy_of(config), arguments.folder / f"constant_rate-{arguments.devices}")


def interrupt(arguments, strategy_of):
  """Stops runs in the middle; they are to be gone on with elsewhere."""
  for kind in RESUMED:
    config = make_config(kind, arguments.devices)
    try:
      train(config, strategy_of(config), arguments.folder / f"interrupted-{kind}", callbacks=[StopAt(3)])
    except Stopped:
      continue
    raise AssertionError(f"the run of {kind} was not stopped")
  return {}


def resume(arguments, strategy_of):
  """Goes on with what `interrupt` began."""
  found = {}
  for kind in RESUMED:
    config, workdir = make_config(kind, arguments.devices), arguments.folder / f"interrupted-{kind}"
    assert [path.name for path in sorted(workdir.glob("checkpoints/state_*.npz"))][-1] == "state_000000003.npz"
    found |= {f"{kind}/{name}": value for name, value in train(config, strategy_of(config), workdir).items()}
  return found


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--devices", type=int, default=1)
  parser.add_argument("--folder", type=pathlib.Path, required=True)
  parser.add_argument("--do", nargs="+", default=["parity"])
  parser.add_argument("--kinds", nargs="+", default=list(KINDS))
  arguments = parser.parse_args()
  made = []

  def strategy_of(config):
    if not made:
      made.append(Strategy.from_config(config))
    return made[0]

  for do in (globals()[name] for name in arguments.do):
    np.savez(arguments.folder / f"{do.__name__}-{arguments.devices}.npz", **do(arguments, strategy_of))


if __name__ == "__main__":
  main()
