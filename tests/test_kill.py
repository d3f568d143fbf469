"""A run that is killed again and again ends in the bits of one that was not."""

import json

import numpy as np
import pytest

from tests.kill_harness import Harness

NOT_COMPARED = {"examples_per_second", "waiting_share", "seconds"}  # clocks


def lenet5(steps):
  """LeNet-5 with augmentation, dropout, batches in two parts, Adam, a cosine schedule, averages and early stopping's counts."""
  return ["--config=experiments/vision/lenet5.py", f"--config.train.steps={steps}", "--config.train.accumulate=2",
          "--config.evaluate.every_steps=50", "--config.train.log_every_steps=25", "--config.optimizer.ema=0.9",
          "--config.early_stopping.patience=100", "--config.callbacks.csv"]


def last(workdir, kind):
  path = max((workdir / "checkpoints").glob(f"{kind}_*.npz"))
  with np.load(path) as archive:
    arrays = {name: archive[name] for name in archive.files}
  return path.name, arrays


def rows(workdir):
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [{k: v for k, v in json.loads(line).items() if k not in NOT_COMPARED} for line in lines]


def pictures(workdir):
  return {path.name: path.read_bytes() for path in workdir.glob("frames/*")}


def table(workdir):
  path = workdir / "metrics.csv"
  return path.read_text() if path.exists() else None


def assert_same_run(one, other):
  for kind in ("state", "selected"):
    (name, expected), (other_name, found) = last(one, kind), last(other, kind)
    assert name == other_name
    assert expected.keys() == found.keys()
    for key in expected.keys() - {"meta"}:
      assert expected[key].dtype == found[key].dtype, f"{kind}: {key}"
      assert expected[key].tobytes() == found[key].tobytes(), f"{kind}: {key}"
    a, b = (json.loads(arrays["meta"].tobytes()) for arrays in (expected, found))
    a.pop("train_seconds", None), b.pop("train_seconds", None)
    assert a == b
  assert rows(one) == rows(other)
  a, b = (json.loads((workdir / "result.json").read_text()) for workdir in (one, other))
  for result in (a, b):
    del result["train_seconds"], result["starts"]
  assert a == b
  assert table(one) == table(other)
  assert pictures(one) == pictures(other)


@pytest.fixture(scope="module")
def harness():
  process = Harness()
  yield process
  process.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("kill")


def test_two_sigkills_cost_nothing(harness, folder):
  harness.kill(folder, lenet5(300))
  assert_same_run(folder / "unbroken", folder / "KILL")
  assert table(folder / "unbroken")


def test_sigterm_saves_and_exits_with_a_code_of_its_own(harness, folder):
  kills = harness.kill(folder, lenet5(300), signal="TERM", seed=5)
  assert 75 in [code for code, _ in kills]
  assert_same_run(folder / "unbroken", folder / "TERM")


@pytest.mark.slow
def test_twenty_four_sigkills_at_random_instants_cost_nothing(harness, tmp_path):
  harness.kill(tmp_path, lenet5(1200), kills=24, seed=1)
  assert_same_run(tmp_path / "unbroken", tmp_path / "KILL")
