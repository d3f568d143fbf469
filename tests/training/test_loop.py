"""The loop in one process: callbacks, divergence, selection, resume, disks that fail."""

import json
import os
import resource
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite import modes
from dlsuite.checks import OPTIMIZERS
from dlsuite.errors import ConfigError, DivergedError, Stopped, WorkdirError
from dlsuite.plan import Plan
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record
from dlsuite.training import checkpoints
from dlsuite.training.learner import Learner
from tests.conftest import make_digits_config


def train(config, strategy, workdir, callbacks=None):
  record = Record(str(workdir), config)
  record.check()
  return modes.train(config, strategy, record, Console(False), callbacks)


def rows(workdir, split):
  return [row for row in map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines()) if row["split"] == split]


def state(workdir, step):
  return checkpoints.read(workdir / "checkpoints" / f"state_{step:09d}.npz")


@pytest.fixture(scope="module")
def whole(strategy, tmp_path_factory):
  """The folder of the run that others are to end like: all 12 steps, never stopped."""
  folder = tmp_path_factory.mktemp("whole")
  train(make_digits_config(), strategy, folder)
  return folder


def assert_same_bits(one, other):
  """Sees to it that two runs have ended in the same weights and states."""
  expected, found = state(one, 12).arrays, state(other, 12).arrays
  assert expected.keys() == found.keys()
  for name, value in expected.items():
    assert value.tobytes() == found[name].tobytes(), name


class Recorder(keras.callbacks.Callback):
  """A user's own callback that writes down what it is told."""

  def __init__(self):
    super().__init__()
    self.calls = []

  def on_train_begin(self, logs=None):
    self.calls.append("begin")

  def on_epoch_end(self, epoch, logs=None):
    self.calls.append((epoch, sorted(logs)))

  def on_train_end(self, logs=None):
    self.calls.append("end")


class StopAfter(keras.callbacks.Callback):
  """Sends SIGTERM once a step is reached."""

  def __init__(self, step):
    super().__init__()
    self._step = step

  def on_train_batch_end(self, batch, logs=None):
    if batch + 1 >= self._step:
      os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_leaves_its_whole_record(digits_config, strategy, tmp_path):
  digits_config.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")
  digits_config.callbacks.tensorboard = True
  digits_config.callbacks.csv = True
  own = Recorder()
  result = train(digits_config, strategy, tmp_path / "run", [own])
  names = {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file()}
  assert {"config.json", "provenance.json", "metrics.jsonl", "result.json", "log.txt", "metrics.csv",
          "figures/learning_curves.png", "figures/confusion_matrix.png",
          "figures/mistakes.png", "figures/first_layer_filters.png"} <= names
  assert any("events.out.tfevents" in name for name in names)
  assert [row["step"] for row in rows(tmp_path / "run", "train")] == [4, 8, 12]
  row = rows(tmp_path / "run", "train")[-1]
  assert {"epoch", "examples", "loss", "accuracy", "learning_rate", "examples_per_second", "waiting_share"} <= row.keys()
  assert (row["examples"], row["epoch"]) == (12 * 32, 12 / (1197 // 32))
  assert result["test"]["error"] == pytest.approx(100 * (1 - result["test"]["accuracy"]), abs=1e-4)
  logs = ["accuracy", "error", "loss", "top5_error", "val_accuracy", "val_balanced_accuracy", "val_calibration_error",
          "val_error", "val_loss", "val_top5_error"]
  assert own.calls == ["begin", (0, logs), (1, logs), (2, logs), "end"]
  provenance = json.loads((tmp_path / "run/provenance.json").read_text())
  assert provenance[0]["versions"]["tensorflow"] == tf.__version__


def test_a_stopped_run_goes_on_to_the_same_bits(digits_config, strategy, tmp_path, whole):
  with pytest.raises(Stopped, match="after step 8 of 12"):
    digits_config.train.steps_per_call = 5
    train(digits_config, strategy, tmp_path / "parts", [StopAfter(5)])
  digits_config.train.steps_per_call = 3
  train(digits_config, strategy, tmp_path / "parts")
  assert_same_bits(whole, tmp_path / "parts")
  result = [json.loads((folder / "result.json").read_text())["test"] for folder in (whole, tmp_path / "parts")]
  assert result[0] == result[1]


def test_a_truncated_checkpoint_is_skipped_for_the_one_before(digits_config, strategy, tmp_path, whole, capfd):
  digits_config.checkpoint.every_steps = 2
  digits_config.train.steps_per_call = 1
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "torn", [StopAfter(7)])
  newest = tmp_path / "torn/checkpoints/state_000000007.npz"
  newest.write_bytes(newest.read_bytes()[:-2000])
  modes.train(digits_config, strategy, Record(str(tmp_path / "torn"), digits_config), Console())
  assert "state_000000007.npz is torn" in capfd.readouterr().err
  assert_same_bits(whole, tmp_path / "torn")


def test_a_flipped_bit_in_a_checkpoint_is_found(digits_config, strategy, tmp_path):
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "run", [StopAfter(4)])
  path = next((tmp_path / "run/checkpoints").glob("state_*.npz"))
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(bytes(content))
  folder = checkpoints.Folder(path.parent, 2, "any")
  assert folder.newest_of_any_config() is None


def test_a_checkpoint_of_another_config_is_refused(digits_config, strategy, tmp_path):
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "run", [StopAfter(4)])
  shutil.copytree(tmp_path / "run/checkpoints", tmp_path / "other/checkpoints")
  digits_config.seed = 7
  with pytest.raises(WorkdirError, match="another config"):
    checkpoints.Folder(tmp_path / "other/checkpoints", 2, Record("", digits_config).fingerprint).latest_state()
  with pytest.raises(WorkdirError, match=r"seed \(0 there, 7 here\)"):
    Record(str(tmp_path / "run"), digits_config).check()


def test_a_full_disk_keeps_the_checkpoints_before(digits_config, strategy, tmp_path, whole):
  digits_config.checkpoint.every_steps = 4
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "run", [StopAfter(4)])
  saved = {p.name: p.read_bytes() for p in (tmp_path / "run/checkpoints").iterdir()}
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # a checkpoint of LeNet-5 with Adam takes 700 kB
  try:
    with pytest.raises(WorkdirError, match="cannot be written: File too large"):
      train(digits_config, strategy, tmp_path / "run")
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert {p.name: p.read_bytes() for p in (tmp_path / "run/checkpoints").iterdir()} == saved
  train(digits_config, strategy, tmp_path / "run")
  assert_same_bits(whole, tmp_path / "run")


def test_an_infinite_loss_names_step_rate_and_last_good_checkpoint(digits_config, strategy, tmp_path):
  digits_config.optimizer.name = "sgd"
  digits_config.optimizer.learning_rate = 1e30
  digits_config.optimizer.schedule.name = "constant"
  digits_config.optimizer.warmup_steps = None
  with pytest.raises(DivergedError, match=r"NaN or infinite at step \d+ \(learning rate 1e\+30\); no checkpoint") as caught:
    train(digits_config, strategy, tmp_path / "run")
  assert caught.value.exit_code == 3
  assert not list((tmp_path / "run/checkpoints").glob("state_*"))


def test_early_stopping_ends_the_run_and_survives_a_restart(digits_config, strategy, tmp_path):
  digits_config.optimizer.name = "sgd"
  digits_config.optimizer.learning_rate = 1e-12  # nothing improves by min_delta: stops after `patience` evaluations
  digits_config.early_stopping.patience = 1
  digits_config.early_stopping.min_delta = 1.0
  train(digits_config, strategy, tmp_path / "whole")
  assert [row["step"] for row in rows(tmp_path / "whole", "valid")] == [4, 8]
  digits_config.train.steps_per_call = 1
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "parts", [StopAfter(6)])
  train(digits_config, strategy, tmp_path / "parts")
  assert [row["step"] for row in rows(tmp_path / "parts", "valid")] == [4, 8]


@pytest.mark.parametrize("monitor", ["val_error", "val_accuracy"])
def test_early_stopping_knows_the_direction_of_other_metrics_than_the_loss(digits_config, strategy, tmp_path, monitor):
  digits_config.early_stopping.update(patience=1, min_delta=101.0, monitor=monitor)  # which no metric improves by
  train(digits_config, strategy, tmp_path / "run")
  assert [row["step"] for row in rows(tmp_path / "run", "valid")] == [4, 8]


def test_early_stopping_restores_the_best_weights(digits_config, strategy, tmp_path):
  """The learning rate ruins the network after the first evaluation, so the first weights must come back and be tested."""
  seen = {}

  class Ruin(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      if epoch == 0:
        seen["best"] = [w.copy() for w in self.model.get_weights()]
        self.model.optimizer.learning_rate = 0.7

  digits_config.checkpoint.select = "last"
  digits_config.optimizer.schedule.name = "constant"
  digits_config.optimizer.warmup_steps = None
  digits_config.early_stopping.patience = 1
  train(digits_config, strategy, tmp_path / "run", [Ruin()])
  (selected,) = (tmp_path / "run/checkpoints").glob("selected_*.npz")
  saved = checkpoints.read(selected).arrays
  for i, best in enumerate(seen["best"]):
    np.testing.assert_array_equal(saved[f"network.classifier/{i:04d}"], best)


def test_reduce_lr_on_plateau_lowers_the_rate_and_its_memory_is_resumed(digits_config, strategy, tmp_path):
  digits_config.optimizer.learning_rate = 1e-3
  digits_config.optimizer.schedule.name = "constant"
  digits_config.optimizer.warmup_steps = None
  digits_config.callbacks.custom = {
    "plateau": {"name": "keras.callbacks.ReduceLROnPlateau", "monitor": "val_loss", "factor": 0.5, "patience": 1,
                "min_delta": 100.0}}
  train(digits_config, strategy, tmp_path / "whole")
  rates = [row["learning_rate"] for row in rows(tmp_path / "whole", "train")]
  assert rates == pytest.approx([1e-3, 1e-3, 5e-4])
  digits_config.train.steps_per_call = 1
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "parts", [StopAfter(9)])
  train(digits_config, strategy, tmp_path / "parts")
  assert [row["learning_rate"] for row in rows(tmp_path / "parts", "train")] == rates


def test_the_weights_tested_are_the_best_by_validation(digits_config, strategy, tmp_path):
  digits_config.evaluate.every_steps = 1
  digits_config.checkpoint.monitor = "val_accuracy"
  digits_config.optimizer.learning_rate = 0.05
  result = train(digits_config, strategy, tmp_path / "run")
  valid = rows(tmp_path / "run", "valid")
  assert result["selected_step"] == max(valid, key=lambda row: row["accuracy"])["step"]  # max takes the first of equals
  assert result["valid"]["accuracy"] == max(row["accuracy"] for row in valid)


def test_a_run_can_start_from_the_weights_of_another(digits_config, strategy, tmp_path, whole, capsys):
  digits_config.init_from = str(whole)
  digits_config.model.width = 2.0
  modes.train(digits_config, strategy, Record(str(tmp_path / "wide"), digits_config), Console())
  shown = capsys.readouterr().out
  assert "1 weights matched, 9 did not" in shown  # only the output's bias has the same shape
  assert "c1/kernel: shape (5, 5, 1, 6) there, (5, 5, 1, 12) here" in shown
  digits_config.model.width = 1.0
  digits_config.optimizer.learning_rate = 1e-12
  result = modes.train(digits_config, strategy, Record(str(tmp_path / "second"), digits_config), Console())
  assert "10 weights matched, 0 did not" in capsys.readouterr().out
  first = json.loads((whole / "result.json").read_text())
  assert result["test"]["accuracy"] == first["test"]["accuracy"]


def test_an_unknown_callback_is_named(digits_config, strategy, tmp_path):
  digits_config.callbacks.custom = {"mine": {"name": "keras.callbacks.ReduceLROnPlatau"}}
  with pytest.raises(ConfigError, match="did you mean 'ReduceLROnPlateau'"):
    train(digits_config, strategy, tmp_path / "run")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_and_keeps_float32_weights(digits_config, strategy, tmp_path, precision):
  digits_config.train.precision = precision
  train(digits_config, strategy, tmp_path / "run")
  losses = [row["loss"] for row in rows(tmp_path / "run", "train")]
  assert losses[-1] < losses[0]
  saved = state(tmp_path / "run", 12).arrays
  assert {v.dtype for k, v in saved.items() if k.startswith("network.")} == {np.dtype("float32")}
  assert ("learner.main.loss_scale/0000" in saved) == (precision == "float16")


def test_a_jitted_step_gives_the_weights_of_a_plain_one(digits_config, strategy, tmp_path):
  digits_config.model.dropout = 0.0
  digits_config.optimizer.name = "sgd"
  train(digits_config, strategy, tmp_path / "plain")
  digits_config.train.jit = "on"
  train(digits_config, strategy, tmp_path / "jit")
  for name, value in state(tmp_path / "plain", 12).arrays.items():
    np.testing.assert_allclose(state(tmp_path / "jit", 12).arrays[name], value, atol=1e-5, err_msg=name)


def test_max_norm_bounds_every_kernel(digits_config, strategy, tmp_path):
  digits_config.optimizer.max_norm = 0.3
  train(digits_config, strategy, tmp_path / "run")
  for name, value in state(tmp_path / "run", 12).arrays.items():
    if name.startswith("network.") and value.ndim >= 2:
      assert np.sqrt((value**2).sum(axis=tuple(range(value.ndim - 1)))).max() <= 0.3 + 1e-6


def test_l2_adds_its_gradient(digits_config, strategy, tmp_path):
  """One SGD step of rate r with penalty c |w|^2 moves a kernel by a further -2 r c w."""
  digits_config.optimizer.name, digits_config.optimizer.learning_rate = "sgd", 0.1
  digits_config.optimizer.schedule.name, digits_config.optimizer.warmup_steps = "constant", None
  digits_config.train.steps = 1
  train(digits_config, strategy, tmp_path / "plain")
  digits_config.optimizer.l2 = 0.5
  train(digits_config, strategy, tmp_path / "l2")
  digits_config.optimizer.l2, digits_config.optimizer.learning_rate = 0.0, 1e-30
  train(digits_config, strategy, tmp_path / "start")
  plain, l2, start = (state(tmp_path / name, 1).arrays for name in ("plain", "l2", "start"))
  for name in (n for n in plain if n.startswith("network.")):
    factor = 2 * 0.1 * 0.5 if plain[name].ndim >= 2 else 0.0
    np.testing.assert_allclose(l2[name], plain[name] - factor * start[name], atol=1e-6, err_msg=name)


def test_a_penalty_without_a_kernel_that_learns_is_none(digits_config, strategy):
  digits_config.optimizer.update(l1=0.1, l2=0.1)
  network = keras.Sequential([keras.Input([4]), keras.layers.BatchNormalization()])
  assert float(Learner([network], digits_config, strategy, 4, 0)._penalty(1)) == 0


def test_the_interval_of_checkpoints_does_not_change_the_result(digits_config, strategy, tmp_path):
  digits_config.checkpoint.select = "last"
  digits_config.optimizer.ema = 0.9
  results = []
  for name, every in (("rarely", None), ("often", 2)):
    digits_config.checkpoint.every_steps = every
    results.append(train(digits_config, strategy, tmp_path / name)["test"])
  assert results[0] == results[1]


def test_a_torn_checkpoint_of_a_later_step_does_not_crowd_out_whole_ones(tmp_path):
  folder = checkpoints.Folder(tmp_path, keep=1, fingerprint="f")
  (tmp_path / "state_000000100.npz").write_bytes(b"torn")
  folder.save_state(70, {"a/0000": np.ones(3)}, {}, None)
  assert folder.latest_state().step == 70


def test_of_a_state_whose_selected_weights_are_torn_those_of_the_state_before_are_the_selected(tmp_path):
  folder = checkpoints.Folder(tmp_path, keep=2, fingerprint="f")
  for step, chosen in ((90, 70), (100, 80)):
    folder.save_selected(chosen, {"a/0000": np.full(3, chosen)}, {})
    folder.save_state(step, {"a/0000": np.ones(3)}, {}, chosen)
  (tmp_path / "selected_000000080.npz").write_bytes(b"torn")
  assert (folder.latest_state().step, folder.selected().step) == (90, 70)


def test_a_kill_during_start_up_leaves_a_folder_that_can_be_used(digits_config, strategy, tmp_path):
  (tmp_path / "run/checkpoints").mkdir(parents=True)
  (tmp_path / "run/.config.json.part").write_text("{")
  train(digits_config, strategy, tmp_path / "run")
  assert not list((tmp_path / "run").glob("*.part"))


def test_a_second_run_in_the_same_folder_is_refused(digits_config, strategy, tmp_path):
  digits_config.train.steps = 1
  first = Record(str(tmp_path / "run"), digits_config)
  first.open({})
  with pytest.raises(WorkdirError, match=f"in use by another process [(]process {os.getpid()} on "):
    train(digits_config, strategy, tmp_path / "run")
  first.close()
  train(digits_config, strategy, tmp_path / "run")


def test_a_callback_that_sets_the_rate_is_refused_beside_a_schedule(digits_config, strategy, tmp_path):
  digits_config.callbacks.custom = {"plateau": {"name": "keras.callbacks.ReduceLROnPlateau"}}
  with pytest.raises(ConfigError, match=r"take optimizer\.schedule\.name='constant'"):
    train(digits_config, strategy, tmp_path / "run")
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_makes_finite_steps_in_a_graph(digits_config, strategy, name):
  digits_config.optimizer.name = name
  with strategy.tf.scope():
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    learner = Learner([network], digits_config, strategy, 4, 2)
  x = tf.constant(np.random.default_rng(0).normal(size=(digits_config.data.batch_size, 5)), tf.float32)

  @tf.function
  def step(number):
    learner.update(lambda batch: (tf.reduce_sum(tf.square(network(batch["x"]) - 1), 1), {}, {}), {"x": x}, number)

  before = network.get_weights()
  for i in range(4):
    strategy.tf.run(step, args=(tf.constant(i, tf.int64),))
  for value, old in zip(network.get_weights(), before, strict=True):
    assert (value != old).any()
  saved, _ = checkpoints.collect({"network": network.weights, **learner.variables()})
  assert all(np.isfinite(value).all() for value in saved.values())


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_an_optimizer_makes_finite_steps_in_the_loop(digits_config, strategy, tmp_path, name):
  digits_config.optimizer.name = name
  digits_config.train.steps = 4
  train(digits_config, strategy, tmp_path / name)


@pytest.mark.parametrize(("group", "key"), [
  ("train", "train.epochs"), ("evaluate", "evaluate.every_epochs"), ("warmup", "optimizer.warmup_epochs")])
def test_epochs_are_refused_where_there_are_none_and_the_key_to_set_is_named(digits_config, group, key):
  assert Plan.of(digits_config, 0).total == 12
  config_lib.set_duration(digits_config, group, key, 3.0)
  assert Plan.of(digits_config, 10)
  instead = key.replace("epochs", "steps")
  with pytest.raises(ConfigError, match=f"{key}=3: task='classification' has no epochs; give {instead}"):
    Plan.of(digits_config, 0)


def test_streamed_records_train_and_resume_to_the_same_bits(digits_config, strategy, tmp_path):
  digits_config.data.cache = "stream"
  train(digits_config, strategy, tmp_path / "whole")
  digits_config.train.steps_per_call = 1
  with pytest.raises(Stopped):
    train(digits_config, strategy, tmp_path / "parts", [StopAfter(7)])
  train(digits_config, strategy, tmp_path / "parts")
  for name, value in state(tmp_path / "whole", 12).arrays.items():
    assert value.tobytes() == state(tmp_path / "parts", 12).arrays[name].tobytes(), name
