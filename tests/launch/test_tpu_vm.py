"""A job on a TPU, from its command line to the end, against a cloud that is played."""

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from launch import plan, tpu_vm
from launch.shell import Shell
from launch.topology import environment
from launch.topology import parse as parse_topology
from tests.conftest import ROOT
from tests.launch.conftest import JOB, PLAIN, left_alone, packed, play_a_new_commit, there


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
  cloud.play(trainer=(24, 0), preempt=[8, 16])  # late enough for what was said before to have been shown
  assert tpu_vm.main([*JOB, "--spot"]) == 0
  assert cloud.count("queued-resources create") == 3
  assert cloud.count("queued-resources delete") == 3
  assert cloud.resources == {}
  rows = [json.loads(line)["step"] for line in (cloud.run / "metrics.jsonl").read_text().splitlines()]
  assert set(rows) == set(range(1, 25))
  starts = [int(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if line.startswith("starts after")]
  assert len(starts) == 3
  assert starts[0] == 0
  assert starts[1] >= 8
  assert starts[2] >= 16


def steps(said):
  return [line for line in said.splitlines() if line.startswith("step")]


def test_a_connection_that_breaks_stops_nothing_and_shows_each_line_once(cloud, capsys):
  cloud.play(trainer=(40, 0), breaks=[4, 20])
  assert tpu_vm.main(JOB) == 0
  said = capsys.readouterr().out
  assert steps(said) == [f"step {i}" for i in range(1, 41)]
  assert said.count("looks on again") == 2
  assert said.count("starts after") == 1
  assert cloud.count("queued-resources create") == 1


def test_without_quota_it_is_tried_again(cloud, capsys):
  cloud.play(trainer=(1, 0), quota=3)
  assert tpu_vm.main(JOB) == 0
  assert cloud.count("queued-resources create") == 4
  said = capsys.readouterr().out
  assert "try 3 of 20 failed, the next in 0.04 s: RESOURCE_EXHAUSTED: Quota limit" in said  # 0.01 s, doubled twice


def test_a_quota_that_never_comes_ends_the_job_with_one_line(cloud, capsys):
  cloud.play(quota=99)
  assert tpu_vm.main([*JOB, "--retries=3"]) == 75
  line = capsys.readouterr().err.splitlines()[-1]
  assert "no v5e-8 after 3 tries: RESOURCE_EXHAUSTED: Quota limit" in line
  assert cloud.resources == {}
  assert not (cloud.bucket / "runs/lenet5.lock").exists()


def test_a_request_that_fails_for_want_of_capacity_is_made_again(cloud, capsys):
  cloud.play(trainer=(1, 0), failed=2)
  assert tpu_vm.main(JOB) == 0
  assert cloud.count("queued-resources create") == 3
  assert "There is no more capacity in the zone" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "says"), [(2, "the trainer refused its input: dlsuite: this is why"),
                                            (3, "the training diverged: dlsuite: this is why")])
def test_bad_input_and_divergence_are_not_tried_again(cloud, capsys, code, says):
  cloud.play(trainer=(2, code))
  assert tpu_vm.main(JOB) == code
  assert says in capsys.readouterr().err
  assert cloud.count("launch.on_vm run") == 1
  assert cloud.resources == {}
  assert (cloud.run / "checkpoints/state_000000002.npz").exists()  # what was learnt is kept


def test_a_trainer_that_breaks_is_started_again_a_few_times_after_a_pause(cloud, capsys, monkeypatch):
  pauses = []
  monkeypatch.setattr(Shell, "sleep", lambda _, seconds: pauses.append(seconds))
  cloud.play(trainer=(2, 9))
  assert tpu_vm.main([*JOB, "--restarts=2"]) == 1
  assert cloud.count("launch.on_vm run") == 3
  assert "the trainer broke 3 times, the connection 0 times, last code 9: dlsuite: this is why" in capsys.readouterr().err
  assert pauses == [0.3, 0.3]
  assert cloud.resources == {}


def test_a_trainer_that_its_machine_has_stopped_is_not_broken(cloud):
  cloud.play(trainer=(2, 75, 3))
  assert tpu_vm.main([*JOB, "--restarts=1"]) == 0
  assert cloud.count("launch.on_vm run") == 4


def test_an_installation_that_fails_gives_the_tpu_back(cloud, capsys):
  cloud.play(install=7)
  assert tpu_vm.main([*JOB, "--restarts=1"]) == 1
  assert "the code cannot be installed (code 7)" in capsys.readouterr().err
  assert cloud.resources == {}


def test_looks_that_fail_while_there_is_no_network_end_nothing(cloud, capsys):
  cloud.play(trainer=(40, 0), outage=[3, 9], breaks=[5])
  assert tpu_vm.main(JOB) == 0
  said = capsys.readouterr().out
  assert "network is unreachable" in said
  assert steps(said) == [f"step {i}" for i in range(1, 41)]
  assert cloud.count("queued-resources create") == 1


def test_a_run_that_is_complete_asks_for_no_tpu(cloud, capsys):
  cloud.run.mkdir(parents=True)
  (cloud.run / "result.json").write_text("{}")
  assert tpu_vm.main(JOB) == 0
  assert "the run is complete: gs://mine/runs/lenet5" in capsys.readouterr().out
  assert cloud.count("queued-resources create") == 0


def test_requests_that_do_not_get_through_are_made_again(cloud, capsys):
  cloud.play(trainer=(1, 0), unreachable=1)
  assert tpu_vm.main(JOB) == 0
  assert cloud.count("queued-resources create") == 2
  assert "try 1 of 20 failed, the next in 0.01 s: There was a problem: network is unreachable" in capsys.readouterr().out


def test_a_tpu_that_cannot_be_seen_before_it_is_asked_for_ends_the_job_at_once(cloud, capsys):
  there(cloud, plan.parse(JOB).name)
  cloud.play(outage=[1, 99])
  assert tpu_vm.main(JOB) == 74
  said = capsys.readouterr()
  assert "network is unreachable" in said.err
  assert "whether an earlier start has left" in said.out


def test_a_tpu_that_is_there_but_not_found_is_not_asked_for_for_ever(cloud, capsys):
  cloud.play(hidden=True)
  assert tpu_vm.main([*JOB, "--retries=3"]) == 75
  assert "no v5e-8 after 3 tries: ALREADY_EXISTS" in capsys.readouterr().err
  assert cloud.resources == {}


def test_a_tpu_that_was_taken_away_and_cannot_be_deleted_is_not_tried_for_ever(cloud, capsys):
  name = plan.parse(JOB).name
  there(cloud, name, state="SUSPENDED")
  cloud.play(stuck=99)
  assert tpu_vm.main([*JOB, "--retries=2", "--poll_seconds=0.01"]) == 75
  said = capsys.readouterr()
  assert f"no v5e-8 after 2 tries: {name} cannot be deleted" in said.err
  assert said.out.splitlines()[-1] == (f"launch: ATTENTION: {name} MAY STILL COST MONEY; delete it by hand: gcloud compute "
                                       f"tpus queued-resources delete {name} --zone=us-west4-a --force")


def test_the_code_is_that_of_the_commit_that_was_looked_at_though_there_is_a_new_one(cloud):
  commit = play_a_new_commit(cloud)
  cloud.play(quota=9)
  assert tpu_vm.main([*JOB, "--retries=1"]) == 75
  assert packed(cloud, commit) == f"{commit} HEAD\n"


@pytest.mark.parametrize("outage", [False, True])
def test_a_run_that_became_complete_while_no_launcher_lived_gives_its_tpu_back(cloud, capsys, outage):
  name = plan.parse(JOB).name
  there(cloud, name)
  cloud.run.mkdir(parents=True)
  (cloud.run / "result.json").write_text("{}")
  cloud.play(outage=[1, 9 * outage])
  assert tpu_vm.main(JOB) == 0
  assert list(cloud.resources) == [name] * outage
  assert (f"whether an earlier start has left {name} behind cannot be seen" in capsys.readouterr().out) == outage


@pytest.mark.parametrize("run", ["gs://mine/runs/lenet5", "gs://mine/other"])
def test_of_a_run_that_is_complete_a_tpu_of_a_given_name_is_given_back_if_it_was_that_runs_and_else_said(cloud, capsys, run):
  there(cloud, "shared", run)
  cloud.run.mkdir(parents=True)
  (cloud.run / "result.json").write_text("{}")
  assert tpu_vm.main([*JOB, "--name=shared"]) == 0
  ours = run == "gs://mine/runs/lenet5"
  assert list(cloud.resources) == ([] if ours else ["shared"])
  by_hand = "delete it by hand: gcloud compute tpus queued-resources delete shared --zone=us-west4-a --force"
  assert capsys.readouterr().out.splitlines()[-1].endswith(by_hand) == (not ours)


def test_a_start_that_ends_before_it_trains_leaves_the_tpu_of_another_job_alone(cloud, capsys):
  there(cloud, "shared", "gs://mine/other")
  cloud.play(install=7)
  assert tpu_vm.main([*JOB, "--name=shared", "--restarts=0"]) == 1
  assert list(cloud.resources) == ["shared"]
  assert "launch: ATTENTION: shared is there and costs money; it is left as it is" in capsys.readouterr().out


def trainers_environment(cloud):
  """Returns what the trainer saw, which its machine keeps until it is deleted."""
  return ast.literal_eval(next(cloud.folder.glob("kept/**/environment.txt")).read_text())


@pytest.mark.parametrize(("topology", "options"), [("v5e-8", []), ("v5e-16", ["--runtime_version=tpu-vm-tf-2.20.0-pod-pjrt"])])
def test_one_machine_trains_with_the_environment_of_its_topology(cloud, topology, options):
  cloud.play(trainer=(1, 0), keep=True)
  others = [item for item in JOB if not item.startswith("--topology")]
  assert tpu_vm.main([*others, f"--topology={topology}", *options]) == 0
  found = trainers_environment(cloud)
  parsed = parse_topology(topology)
  name = found["TPU_NAME"] if parsed.is_pod else "-"
  for key, value in environment(parsed, name, "").items():
    assert found[key].endswith("libtpu/libtpu.so") if "LIBRARY_PATH" in key else found[key] == value
  assert ("TPU_LOAD_LIBRARY" in found) == parsed.is_pod
  assert ("PJRT_DEVICE" in found) == (not parsed.is_pod)
  sent = [call for call in cloud.calls if "tpu-vm ssh" in call]
  assert [("--worker=all" in call, "--worker=0" in call) for call in sent] == [(True, False), (False, True)]
  assert "install.sh" in sent[0]
  assert all("--ssh-flag=-o ConnectTimeout=15" in call for call in sent)


@pytest.fixture
def start(cloud):
  """Starts a job as a process of its own, with its output in a file; ends it if the test has not."""
  started = []

  def of(*options):
    with open(cloud.folder / "said.txt", "ab") as said:
      started.append(subprocess.Popen([*PLAIN, sys.executable, "-m", "launch.tpu_vm", *JOB, *options], cwd=ROOT, stdout=said,
                                      stderr=said, env=os.environ | {"PYTHONPATH": str(ROOT)}))
    return started[-1]

  yield of
  for process in started:
    process.kill()
    process.wait()


def steps_saved(cloud):
  return max((int(path.stem.partition("_")[2]) for path in cloud.run.glob("checkpoints/state_*.npz")), default=0)


def wait_for_step(cloud, step):
  deadline = time.monotonic() + 30
  while steps_saved(cloud) < step:
    assert time.monotonic() < deadline, (cloud.folder / "said.txt").read_text()
    time.sleep(0.02)


def test_ctrl_c_saves_the_state_and_gives_the_tpu_back_and_the_same_command_goes_on(cloud, start):
  cloud.play(trainer=(600, 0))
  process = start()
  wait_for_step(cloud, 3)
  process.send_signal(signal.SIGINT)
  assert process.wait(60) == 75
  said = (cloud.folder / "said.txt").read_text()
  assert "dlsuite: stopped by SIGTERM" in said or "the trainer ended with code 75" in said
  assert said.splitlines()[-1].startswith("launch: stopped by SIGINT; the run's state lies in the bucket")
  assert cloud.resources == {}
  assert not (cloud.bucket / "runs/lenet5.lock").exists()
  saved = steps_saved(cloud)
  cloud.play(trainer=(saved + 2, 0))
  assert tpu_vm.main(JOB) == 0
  assert json.loads((cloud.run / "metrics.jsonl").read_text().splitlines()[-1]) == {"step": saved + 2}


def test_a_launcher_that_is_killed_leaves_a_training_that_the_same_command_looks_on_at(cloud, capsys, start):
  cloud.play(trainer=(40, 0))
  process = start("--name=mine")
  wait_for_step(cloud, 3)
  process.kill()
  process.wait()
  assert list(cloud.resources) == ["mine"]
  assert tpu_vm.main([*JOB, "--name=mine"]) == 0
  said = capsys.readouterr().out
  assert cloud.count("queued-resources create") == 1
  assert said.count("starts after") == 1  # its log is shown from the start, and it is the first trainer's
  assert steps(said) == [f"step {i}" for i in range(1, 41)]
  assert cloud.resources == {}


@pytest.mark.parametrize(("terminal", "steps", "code"), [(False, 4, 0), (True, 600, 75)])
def test_a_job_whose_output_is_closed_gives_the_tpu_back_all_the_same(cloud, terminal, steps, code):
  cloud.play(trainer=(steps, 0))
  assert left_alone([sys.executable, "-m", "launch.tpu_vm", *JOB], terminal) == code
  assert cloud.resources == {}
  assert not (cloud.bucket / "runs/lenet5.lock").exists()
  assert cloud.count("launch.on_vm stop") == terminal


def test_a_folder_of_odd_characters_reaches_the_machine_as_it_is_with_the_projects_commit_from_any_folder(cloud, monkeypatch):
  cloud.play(trainer=(1, 0), clone=True)
  monkeypatch.chdir(cloud.folder)
  config = f"--config={ROOT}/experiments/vision/lenet5.py:smoke"
  assert tpu_vm.main([*JOB, config, "--bucket=gs://mine/it's (mine)", "--data_dir=gs://mine/data"]) == 0
  assert (cloud.bucket / "it's (mine)/runs/lenet5/result.json").exists()
  assert cloud.count("-- --config=experiments/vision/lenet5.py:smoke") == 1  # where the machine finds it


def test_two_jobs_with_one_workdir_cannot_run(cloud, capsys, start):
  cloud.play(trainer=(600, 0))
  process = start()
  wait_for_step(cloud, 2)
  assert tpu_vm.main(JOB) == 2
  assert f"(process {process.pid}, since " in capsys.readouterr().err
  process.terminate()
  assert process.wait(60) == 75
  assert cloud.count("queued-resources create") == 1


def test_a_dry_run_prints_shell_and_does_nothing(cloud, capsys):
  assert tpu_vm.main([*JOB, "--spot", "--dry_run"]) == 0
  said = capsys.readouterr().out
  assert cloud.calls == []
  assert subprocess.run(["bash", "-n"], input=said, text=True, check=False).returncode == 0
  assert f"# then there: python -m dlsuite.main {JOB[0]} --workdir=gs://mine/runs/lenet5" in said.splitlines()
  assert "python -m launch.data optical_digits" in said
  commands = [line for line in said.splitlines() if not line.startswith("#")]
  assert all(shlex.split(line)[0] in ("gcloud", "git", "printf") for line in commands)
  verbs = [" ".join(shlex.split(line)[2:4]) for line in commands if " tpus " in line]
  assert verbs == ["tpus queued-resources", "tpus queued-resources", "tpus queued-resources", "tpus tpu-vm", "tpus tpu-vm",
                   "tpus queued-resources"]


def test_a_job_without_hitches_runs_the_commands_of_its_dry_run(cloud, capsys):
  """But for looks at the TPU, which are as many as it takes."""
  cloud.play(trainer=(1, 0))
  options = [*JOB, "--spot", "--poll_seconds=30"]
  assert tpu_vm.main([*options, "--dry_run"]) == 0
  lines = [line.partition("| ")[2] if line.startswith("printf") else line for line in capsys.readouterr().out.splitlines()]
  printed = [" ".join(shlex.split(line)[1:]) for line in lines if line.startswith("gcloud")]
  assert tpu_vm.main(options) == 0

  def common(calls):
    on_the_machine = ("data/prepared", "/.lock")
    return [re.sub(r"cp \S*code\.bundle|if-generation-match=\S+", "", call) for call in calls
            if "resources describe" not in call and not any(part in call for part in on_the_machine)]

  looks = "tpu-vm describe"  # whether the TPU is lost
  assert [call for call in common(cloud.calls) if looks not in call] == common(printed)
