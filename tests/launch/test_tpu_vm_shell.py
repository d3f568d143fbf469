"""The same job in plain shell, against the same cloud."""

import os
import signal
import subprocess
import time

import pytest

from tests.conftest import ROOT

JOB = ("--type=v5litepod-8", "--topology=v5e-8", "--runtime_version=v2-alpha-tpuv5-lite", "--zone=us-west4-a",
       "--bucket=gs://mine",
       "--workdir=runs/lenet5", "--poll_seconds=0.3", "--retry_seconds=0.01", "--spot")
TRAINER = ("--", "--config=experiments/vision/lenet5.py:smoke")


def start(*arguments):
  # A shell cannot trap what was ignored when it started, as Ctrl-C is by all that runs in the background.
  return subprocess.Popen(["env", "--default-signal=INT", "bash", str(ROOT / "launch/tpu_vm.sh"), *arguments], cwd=ROOT,
                          env=dict(os.environ), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True)


def run(*arguments):
  process = start(*arguments)
  said, _ = process.communicate(timeout=60)
  return process.returncode, said


def is_released(cloud):
  return cloud.resources == {} and not (cloud.bucket / "runs/lenet5.lock").exists()


def test_a_job_whose_tpu_is_taken_away_twice_goes_on_and_ends(cloud):
  cloud.play(trainer=(24, 0), preempt=[4, 12], waits=1, quota=1)
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert (cloud.run / "result.json").exists()
  assert cloud.count("queued-resources create") == 4
  assert said.count("was taken away; it is asked for again") == 2
  assert is_released(cloud)


def test_a_connection_that_breaks_stops_nothing(cloud):
  cloud.play(trainer=(15, 0), breaks=[4])
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert said.count("starts after") == 1
  assert [line for line in said.splitlines() if line.startswith("step")] == [f"step {i}" for i in range(1, 16)]


@pytest.mark.parametrize("code", [2, 3])
def test_bad_input_and_divergence_are_not_tried_again(cloud, code):
  cloud.play(trainer=(1, code))
  assert run(*JOB, *TRAINER)[0] == code
  assert cloud.count("launch.on_vm run") == 1
  assert is_released(cloud)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_and_gives_the_tpu_back(cloud, number):
  cloud.play(trainer=(600, 0))
  process = start(*JOB, *TRAINER)
  deadline = time.monotonic() + 30
  while not list(cloud.run.glob("checkpoints/state_*.npz")):
    assert time.monotonic() < deadline
    time.sleep(0.02)
  process.send_signal(number)
  try:
    said, _ = process.communicate(timeout=60)
  finally:
    process.kill()
    process.communicate()
  assert process.returncode == 75, said
  assert is_released(cloud)


@pytest.mark.parametrize(("scenario", "arguments", "expected"), [
  ({}, ("--zone=z", *TRAINER), "--type is missing"),
  ({}, (*JOB, "--spott", *TRAINER), "--spott is not understood"),
  ({}, (*JOB, "--bucket=mine", *TRAINER), "--bucket=mine is not understood"),
  ({}, JOB, "the trainer's flags are missing"),
  ({"account": ""}, (*JOB, *TRAINER), "run: gcloud auth login"),
  ({"no_bucket": True}, (*JOB, *TRAINER), "mine cannot be written: ERROR: (gcloud.storage.cp) gs://mine not found"),
  ({"denied": ["cp"]}, (*JOB, *TRAINER), "--bucket=gs://mine cannot be written: ERROR: (gcloud.storage.cp) HTTPError 403"),
  ({"refuse": "INVALID_ARGUMENT: no such type"}, (*JOB, *TRAINER), "v5litepod-8 was refused: ERROR:"),
])
def test_bad_input_is_refused_in_a_line(cloud, scenario, arguments, expected):
  cloud.play(**scenario)
  code, said = run(*arguments)
  assert code == 2
  assert expected in said.splitlines()[-1]
  assert is_released(cloud)


def test_a_workdir_in_use_is_refused_with_its_owner(cloud):
  path = cloud.bucket / "runs/lenet5.lock"
  path.parent.mkdir(parents=True)
  path.write_text('{"owner": "ann"}')
  code, said = run(*JOB, *TRAINER)
  assert code == 2
  assert 'the workdir is in use: {"owner": "ann"}' in said
  assert path.exists()
