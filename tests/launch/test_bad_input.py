"""What a TPU job refuses: one line, exit code 2, no TPU asked for and nothing left in the bucket."""

import json
import os
import subprocess
import sys

import pytest

from dlsuite.runs.process import start_of
from launch import bucket, tpu_vm
from launch import lock as launch_lock
from launch.errors import LaunchError
from launch.shell import Shell
from tests.conftest import ROOT
from tests.launch.conftest import JOB, busy, repository


def refusal(capsys, *arguments, code=2):
  """Returns the line that a command line is refused with."""
  assert tpu_vm.main(arguments) == code
  lines = [line for line in capsys.readouterr().err.splitlines() if "differ from commit" not in line]
  assert len(lines) == 1
  return lines[0]


def job(**flags):
  """Returns the plain job's command line with other flags; None leaves one out."""
  kept = [item for item in JOB if item.partition("=")[0].removeprefix("--") not in flags]
  return [*kept, *(f"--{name}={value}" for name, value in flags.items() if value is not None)]


@pytest.mark.parametrize(("flags", "expected"), [
  ({"topology": "v5-8"}, "--topology='v5-8' is unknown (did you mean"),
  ({"topology": None}, "--topology is missing"),
  ({"zone": None}, "--zone is missing"),
  ({"bucket": None}, "--bucket is missing"),
  ({"bucket": "mine"}, "(did you mean 'gs://mine'?)"),
  ({"bucket": "gs://"}, "is not the name of a bucket"),
  ({"config.data.batch_size": 12}, "data.batch_size=12 does not divide by the 8 replicas on the 8 chips of v5e-8; nearest that "
                                   "do: 8 or 16"),
  ({"topology": "v4-16", "runtime_version": "x", "config.train.accumulate": 4, "config.data.batch_size": 16},
   "8 replicas on the 8 chips of v4-16 x train.accumulate=4; nearest that do: 32"),
  ({"topology": "v5e-16"}, "--runtime_version is missing: v5e-16 is a pod of 4 machines"),
  ({"config": "experiments/vision/lenet6.py"}, "lenet6"),
  ({"config.data.bach_size": 8}, "did you mean 'batch_size'?"),
  ({"topolgy": "v5e-8"}, "--topolgy=v5e-8 is not a flag (did you mean '--topology'?)"),
  ({"workdir": "../up"}, "--workdir='../up' must be a folder below --bucket"),
  ({"data_dir": "/tmp/data"}, "--data_dir='/tmp/data' is not the name of a bucket"),
  ({"data_dir": "gs://BAD bucket!/x"}, "--data_dir='gs://BAD bucket!/x' is not the name of a bucket"),
  ({"workdir": "."}, "--workdir='.' must be a folder below --bucket"),
  ({"config.strategy.kind": "cpu"}, "strategy.kind='cpu' is not for a TPU; allowed here: auto, tpu"),
  ({"config.strategy.devices": "4"}, "strategy.devices=4: a TPU is used whole"),
  ({"config.train.jit": "on"}, "train.jit='on' is not for TPUs"),
  ({"init_from": "/home/me/run"}, "init_from='/home/me/run' does not lie on the TPU's machine"),
  ({"config.data.name": "folder", "config.data.folder": "/me/cats"}, "data.folder='/me/cats' does not lie on"),
  ({"prepare": "neven"}, "--prepare='neven' is unknown (did you mean 'never'?)"),
  ({"name": "Big_One"}, "--name='Big_One' must be lower-case"),
  ({"poll_seconds": "soon"}, "argument --poll_seconds: invalid float value: 'soon'"),
  ({"poll_seconds": "0"}, "--poll_seconds=0 must be more than 0"),
  ({"poll_seconds": "inf"}, "--poll_seconds=inf must be more than 0 and less than 1000000"),
  ({"retry_seconds": "1e10"}, "--retry_seconds=1e+10 must be more than 0 and less than 1000000"),
])
def test_a_wrong_flag_is_named_with_what_is_allowed_before_gcloud_is_called(cloud, capsys, flags, expected):
  assert expected in refusal(capsys, *job(**flags))
  assert cloud.calls == []


def test_without_gcloud_the_line_says_where_to_get_it(cloud, capsys, monkeypatch):
  (cloud.folder / "bin/gcloud").unlink()
  monkeypatch.setenv("PATH", str(cloud.folder / "bin"))
  assert "gcloud is not on PATH: install the Google Cloud CLI" in refusal(capsys, *JOB)


def test_without_an_account_the_line_says_how_to_log_in(cloud, capsys):
  cloud.play(account="")
  assert "run: gcloud auth login" in refusal(capsys, *JOB)
  assert cloud.resources == {}


def test_a_missing_bucket_is_said_with_the_command_that_makes_it(cloud, capsys):
  cloud.play(no_bucket=True)
  assert "there is no bucket gs://mine; make it with: gcloud storage buckets create gs://mine" in refusal(capsys, *JOB)
  assert cloud.count("create dlsuite") == 0


def test_a_missing_bucket_of_the_data_is_said_before_a_tpu_is_asked_for(cloud, capsys):
  assert "--data_dir=gs://other/data: there is no bucket gs://other; make it" in refusal(capsys, *JOB, "--data_dir=gs://other/data")
  assert cloud.count("create dlsuite") == 0


def test_a_bucket_that_cannot_be_written_is_said_with_the_role_that_is_missing(cloud, capsys):
  cloud.play(denied=["cp"])
  line = refusal(capsys, *JOB)
  assert "--bucket=gs://mine cannot be written" in line
  assert "Storage Object User" in line
  assert cloud.count("create dlsuite") == 0


def test_a_bucket_out_of_reach_is_worth_another_try_which_its_code_says(cloud, capsys):
  cloud.play(away=["cp"])
  assert tpu_vm.main(JOB) == 74
  assert "--bucket=gs://mine cannot be written: HTTPError 503" in capsys.readouterr().err


@pytest.mark.parametrize(("blind", "code"), [(2, 0), (3, 74)])
def test_a_lock_whose_generation_is_not_shown_for_a_while_does_not_stay(cloud, monkeypatch, blind, code):
  monkeypatch.setattr(bucket, "_LOOK_SECONDS", 0.01)
  cloud.play(trainer=(1, 0), blind=blind)
  assert tpu_vm.main(JOB) == code
  assert not (cloud.bucket / "runs/lenet5.lock").exists()
  assert cloud.count("create dlsuite") == (code == 0)


def test_data_that_are_not_there_and_shall_not_be_prepared_are_named(cloud, capsys):
  cloud.prepared.unlink()
  line = refusal(capsys, *JOB, "--prepare=never")
  assert "data.name='optical_digits' is not prepared in gs://mine/data" in line
  assert cloud.count("create dlsuite") == 0
  assert not (cloud.bucket / "runs/lenet5.lock").exists()


def lock(cloud, **holder):
  path = cloud.bucket / "runs/lenet5.lock"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps({"owner": "ann", "host": "far", "process": "12", "since": "2026-01-02T03:04:05+00:00"} | holder))
  return path


def test_a_workdir_that_another_job_uses_is_refused_with_owner_and_time(cloud, capsys):
  path = lock(cloud)
  line = refusal(capsys, *JOB)
  assert "in use by ann@far (process 12, since 2026-01-02T03:04:05+00:00)" in line
  assert "--break_lock" in line
  assert path.exists()
  assert cloud.count("create dlsuite") == 0


def process_here(pid):
  """Returns what a lock says of a process of this machine."""
  return launch_lock._owner() | {"process": str(pid), "process_start": start_of(pid) or "1"}


def test_a_lock_of_a_living_process_of_this_machine_is_respected(cloud, capsys):
  lock(cloud, **process_here(os.getppid()))
  assert f"process {os.getppid()}" in refusal(capsys, *JOB)


def test_a_lock_of_a_dead_process_of_this_machine_is_taken_over(cloud):
  dead = subprocess.Popen([sys.executable, "-c", ""])
  dead.wait()
  path = lock(cloud, **process_here(dead.pid))
  cloud.play(trainer=(1, 0))
  assert tpu_vm.main(JOB) == 0
  assert not path.exists()


def test_a_lock_whose_making_got_no_answer_and_was_tried_again_by_gcloud_is_the_jobs_own(cloud):
  cloud.play(trainer=(1, 0), unheard=1)
  assert tpu_vm.main(JOB) == 0
  assert not (cloud.bucket / "runs/lenet5.lock").exists()


@pytest.mark.parametrize("changes", [{"machine": "another boot/1"}, {"machine": ""}, {"owner": "ann"}, {"process": "9" * 99},
                                     {"process": "-1"}, {"process": ""}])
def test_a_lock_of_which_it_cannot_be_seen_that_its_process_is_no_more_stays(monkeypatch, changes):
  monkeypatch.setattr("getpass.getuser", lambda: {}["a number without a name"])
  ended = launch_lock._owner() | {"process_start": "1"}
  assert launch_lock._is_dead(ended)
  assert not launch_lock._is_dead(ended | changes)


def test_break_lock_takes_the_workdir(cloud):
  path = lock(cloud)
  cloud.play(trainer=(1, 0))
  assert tpu_vm.main([*JOB, "--break_lock"]) == 0
  assert not path.exists()


def test_a_workdir_of_another_config_is_refused_with_the_keys(cloud, capsys):
  from dlsuite import config as config_lib
  from dlsuite import flags

  theirs = config_lib.to_json(flags.parse(["--config=experiments/vision/lenet5.py:smoke", "--mode=describe"]).stages[""])
  cloud.run.mkdir(parents=True)
  (cloud.run / "config.json").write_text(json.dumps(theirs | {"seed": 7}))
  line = refusal(capsys, *JOB)
  assert "holds a run of another config: seed (7 there, 0 here)" in line
  assert cloud.count("create dlsuite") == 0


def test_a_damaged_config_in_the_workdir_is_one_line(cloud, capsys):
  cloud.run.mkdir(parents=True)
  (cloud.run / "config.json").write_text('{"seed": 7, ')
  assert "gs://mine/runs/lenet5/config.json is damaged: it holds no config" in refusal(capsys, *JOB)
  assert cloud.count("create dlsuite") == 0


def test_an_experiment_that_is_in_no_commit_is_refused(cloud, capsys):
  path = cloud.folder / "new.py"
  path.write_text((ROOT / "experiments/vision/lenet5.py").read_text())
  line = refusal(capsys, *job(config=f"{path}:smoke"))
  assert "is not in commit" in line
  assert cloud.calls == []


def test_an_experiment_that_was_changed_since_the_commit_that_the_machines_run_is_refused(tmp_path, monkeypatch):
  file = repository(tmp_path)
  monkeypatch.setattr(tpu_vm, "ROOT", tmp_path)
  with pytest.raises(LaunchError, match=f"^--config={file} differs from commit [0-9a-f]+, which the machines run: commit"):
    tpu_vm._commit(f"{file}:smoke", Shell())


def test_a_request_that_the_service_refuses_is_shown_and_nothing_stays(cloud, capsys):
  cloud.play(refuse="INVALID_ARGUMENT: accelerator type v5litepod-8 is not available in zone us-west4-a")
  assert "accelerator type v5litepod-8 is not available in zone us-west4-a" in refusal(capsys, *JOB)
  assert cloud.resources == {}
  assert not (cloud.bucket / "runs/lenet5.lock").exists()


def test_a_tpu_that_trains_another_run_is_left_alone(cloud, capsys):
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    "taken": {"state": "ACTIVE", "looks": 9, "type": "v5litepod-8"}}}))
  with busy(cloud, "taken"):
    line = refusal(capsys, *JOB, "--name=taken")
  assert line == "launch: this TPU trains gs://mine/other, not gs://mine/runs/lenet5: give another --name"
  assert list(cloud.resources) == ["taken"]


def test_a_tpu_of_that_name_but_another_kind_is_left_alone(cloud, capsys):
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    "taken": {"state": "ACTIVE", "looks": 9, "type": "v4-8"}}}))
  assert "the queued resource taken exists and is a v4-8" in refusal(capsys, *JOB, "--name=taken")
  assert list(cloud.resources) == ["taken"]
