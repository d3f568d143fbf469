"""A run that is killed again and again ends in the bits of one that was not."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

NOT_COMPARED = {"examples_per_second", "waiting_share", "seconds"}  # clocks


def harness(folder, *arguments):
  done = subprocess.run([sys.executable, "-m", "tests.kill_harness", f"--folder={folder}", *arguments], cwd=ROOT,
                        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=1500, check=False)
  assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
  return done.stdout


def last(workdir, kind):
  path = max((workdir / "checkpoints").glob(f"{kind}_*.npz"))
  with np.load(path) as archive:
    arrays = {name: archive[name] for name in archive.files}
  return path.name, arrays


def rows(workdir):
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [{k: v for k, v in json.loads(line).items() if k not in NOT_COMPARED} for line in lines]


def assert_same_run(one, other):
  for kind in ("state", "selected"):
    (name, expected), (other_name, found) = last(one, kind), last(other, kind)
    assert name == other_name
    assert expected.keys() == found.keys()
    for key in expected.keys() - {"meta"}:
      assert expected[key].tobytes() == found[key].tobytes(), f"{kind}: {key}"
    a, b = (json.loads(arrays["meta"].tobytes()) for arrays in (expected, found))
    a.pop("train_seconds", None), b.pop("train_seconds", None)
    assert a == b
  assert rows(one) == rows(other)
  a, b = (json.loads((workdir / "result.json").read_text()) for workdir in (one, other))
  for result in (a, b):
    del result["train_seconds"], result["starts"]
  assert a == b
  assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("kill")


def test_two_sigkills_cost_nothing(folder):
  harness(folder, "--kills=2", "--signal=KILL")
  assert_same_run(folder / "unbroken", folder / "KILL")


def test_sigterm_saves_and_exits_with_a_code_of_its_own(folder):
  output = harness(folder, "--kills=2", "--signal=TERM", "--seed=5")
  assert "code 75" in output
  assert_same_run(folder / "unbroken", folder / "TERM")


@pytest.mark.slow
def test_twenty_four_sigkills_at_random_instants_cost_nothing(tmp_path):
  harness(tmp_path, "--kills=24", "--signal=KILL", "--seed=1")
  assert_same_run(tmp_path / "unbroken", tmp_path / "KILL")
