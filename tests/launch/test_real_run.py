"""A real training on a played TPU that is taken away while it trains."""

import json

import numpy as np
import pytest

from launch import tpu_vm
from tests.launch.conftest import JOB

TRAINING = ("--config.train.steps=400", "--config.evaluate.every_steps=100",
            "--config.checkpoint.every_steps=7", "--config.analyses=()", "--noconfig.callbacks.tensorboard")


def final_state(run):
  path = sorted(run.glob("checkpoints/state_*.npz"))[-1]
  with np.load(path) as archive:
    return {name: archive[name] for name in archive.files if name != "meta"}


@pytest.mark.slow
def test_a_run_whose_tpu_is_taken_away_twice_ends_in_the_bits_of_one_that_was_left_alone(cloud, capsys):
  cloud.prepared.unlink()
  found = []
  for name, preempt in (("alone", []), ("taken", [20, 150])):
    cloud.play(trainer=None, preempt=preempt)
    (cloud.folder / "state.json").unlink(missing_ok=True)
    arguments = [item for item in JOB if not item.startswith("--workdir")]
    code = tpu_vm.main([*arguments, f"--workdir=runs/{name}", *TRAINING, "--spot"])
    said = capsys.readouterr()
    assert code == 0, said
    assert said.out.count("was taken away") == len(preempt)
    found.append(cloud.bucket / "runs" / name)
    if name == "alone":
      assert cloud.prepared.exists()  # the data were prepared once, by the first job
      (cloud.bucket / "runs/alone").rename(cloud.folder / "alone")
      found[0] = cloud.folder / "alone"
  alone, taken = (final_state(run) for run in found)
  assert alone.keys() == taken.keys()
  for name, values in alone.items():
    np.testing.assert_array_equal(taken[name], values, err_msg=name)
  results = [json.loads((run / "result.json").read_text()) for run in found]
  assert results[0]["test"] == results[1]["test"]
  rows = [list(map(json.loads, (run / "metrics.jsonl").read_text().splitlines())) for run in found]
  steps = [[row["step"] for row in run if row["split"] == "valid"] for run in rows]
  assert steps == [[100, 200, 300, 400]] * 2
