"""Whatever happens to one of several worker processes, the run ends in the bits of one to which nothing happened."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.test_kill import assert_same_run

pytestmark = pytest.mark.workers

# LeNet-5 with augmentation, dropout, Adam, a cosine schedule and averaged weights: all that a restart could lose.
COMMAND = ["--config=experiments/vision/lenet5.py", "--config.train.steps=300", "--config.evaluate.every_steps=50",
           "--config.train.log_every_steps=25", "--config.optimizer.ema=0.9"]


@pytest.fixture(scope="module")
def strike(tmp_path_factory):
  """Returns the function (folder, workers, faults, seed) -> what each start did.

  The workers share a data folder that is empty at first: the chief prepares the data, the others find them.
  """
  environment = os.environ | {"PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(tmp_path_factory.mktemp("data"))}
  process = subprocess.Popen([sys.executable, "-m", "tests.distributed.worker_faults"], cwd=ROOT, text=True, env=environment,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)

  def order(folder, workers, faults, seed=0):
    request = {"folder": str(folder), "command": COMMAND, "workers": workers, "faults": faults, "seed": seed}
    print(json.dumps(request), file=process.stdin, flush=True)
    answer = json.loads(process.stdout.readline() or '{"fault": "the process is gone"}')
    assert "fault" not in answer, answer["fault"]
    return answer["starts"]

  yield order
  process.stdin.close()
  process.wait(60)
  process.stdout.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """The folders of the runs on two and on four workers, whose unbroken runs are made once."""
  return {workers: tmp_path_factory.mktemp(f"workers{workers}") for workers in (2, 4)}


@pytest.fixture
def folder_of(folders):
  """Returns the function workers -> their folder, without the run of another test."""

  def clean(workers):
    subprocess.run(["rm", "-rf", str(folders[workers] / "broken")], check=True)
    return folders[workers]

  return clean


def end(starts, folder):
  """Sees to it that the last start came to the run's end, the others before it, and that only the chief wrote."""
  assert set(starts[-1]["codes"]) == {0}, starts[-1]["said"]
  assert all(start["steps"] < 300 for start in starts[:-1])
  for start in starts:
    assert not any(start["wrote"][1:])
  assert any(start["wrote"][0] for start in starts)
  assert_same_run(folder / "unbroken", folder / "broken")


def says(start, rank):
  """Returns the last line of what a worker printed."""
  return [line for line in start["said"][rank].splitlines() if line.startswith("dlsuite: ")][-1]


def test_ten_sigkills_of_either_of_two_workers_cost_nothing(strike, folder_of):
  two = folder_of(2)
  faults = [["KILL", rank] for rank in (1, 0, 1, 1, 0, 0, 1, 0, 1, 0)]
  starts = strike(two, 2, [*faults, ["NONE", 0]], seed=1)
  for (_, rank), start in zip(faults, starts, strict=False):
    assert start["codes"][rank] == -9
    assert start["codes"][1 - rank] == 76, start["said"]
    assert says(start, 1 - rank).startswith(f"dlsuite: worker {rank} (127.0.0.1:"), start["said"]
  end(starts, two)


def test_a_worker_that_is_killed_before_the_first_steps_is_named_too(strike, folder_of):
  two = folder_of(2)
  faults = [["EARLY", rank] for rank in (1, 0, 1, 0)]
  starts = strike(two, 2, [*faults, ["NONE", 0]], seed=5)
  for (_, rank), start in zip(faults, starts, strict=False):
    assert start["codes"][rank] == -9
    assert start["codes"][1 - rank] == 76, start["said"]
    assert f"worker {rank} (127.0.0.1:" in says(start, 1 - rank), start["said"]
  end(starts, two)


def test_the_workers_of_four_that_are_left_name_the_one_that_was_killed(strike, folder_of):
  faults, four = [["KILL", 2], ["KILL", 0]], folder_of(4)
  starts = strike(four, 4, [*faults, ["NONE", 0]], seed=2)
  for (_, rank), start in zip(faults, starts, strict=False):
    for other in set(range(4)) - {rank}:
      assert start["codes"][other] == 76, start["said"]
      assert says(start, other).startswith(f"dlsuite: worker {rank} (127.0.0.1:"), start["said"]
  end(starts, four)


@pytest.mark.parametrize(("workers", "ranks"), [(2, (1, 0)), (4, (3, 0))])
def test_a_worker_that_is_asked_to_stop_stops_all_at_one_step_with_the_state_saved(strike, folder_of, workers, ranks):
  folder = folder_of(workers)
  starts = strike(folder, workers, [*(["TERM", rank] for rank in ranks), ["NONE", 0]], seed=3)
  for start in starts[:2]:
    assert start["codes"] == [75] * workers
    for rank in range(workers):
      assert f"after step {start['steps']} of 300, state saved" in says(start, rank)
  end(starts, folder)


@pytest.mark.parametrize(("workers", "ranks"), [(2, (1, 0)), (4, (2, 0))])
def test_a_worker_that_hangs_is_named_by_its_rank(strike, folder_of, workers, ranks):
  folder = folder_of(workers)
  starts = strike(folder, workers, [*(["STOP", rank] for rank in ranks), ["NONE", 0]], seed=4)
  for start, rank in zip(starts, ranks, strict=False):
    for other in set(range(workers)) - {rank}:
      assert start["codes"][other] == 76
      assert says(start, other).startswith(f"dlsuite: worker {rank} (127.0.0.1:")
      assert "hangs" in says(start, other)
  end(starts, folder)


@pytest.mark.parametrize(("workers", "rank"), [(2, 0), (2, 1), (4, 0), (4, 2)])
def test_the_others_wait_for_a_worker_that_starts_late(strike, folder_of, workers, rank):
  folder = folder_of(workers)
  end(strike(folder, workers, [["LATE", rank]]), folder)
