"""A job on a TPU, from its command line to the end, against a cloud that is played."""

import json

from launch import tpu_vm
from tests.launch.conftest import JOB


def test_a_job_waits_for_its_tpu_trains_and_gives_it_back(cloud, capsys):
  cloud.play(waits=2)
  assert tpu_vm.main(JOB) == 0
  assert (cloud.run / "result.json").exists()
  assert cloud.resources == {}
  assert not (cloud.bucket / "runs/lenet5.lock").exists()
  said = capsys.readouterr().out
  assert [line for line in said.splitlines() if line.startswith("step")] == [f"step {i}" for i in range(1, 9)]
  assert "WAITING_FOR_RESOURCES" in said


def test_a_job_whose_tpu_is_taken_away_twice_goes_on_and_ends(cloud, capsys):
  cloud.play(trainer=(24, 0), preempt=[4, 12])
  assert tpu_vm.main([*JOB, "--spot"]) == 0
  assert cloud.count("queued-resources create") == 3
  assert cloud.count("queued-resources delete") == 3
  assert cloud.resources == {}
  rows = [json.loads(line)["step"] for line in (cloud.run / "metrics.jsonl").read_text().splitlines()]
  assert set(rows) == set(range(1, 25))
  starts = [int(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if line.startswith("starts after")]
  assert len(starts) == 3
  assert starts[0] == 0
  assert starts[1] >= 4
  assert starts[2] >= 12
