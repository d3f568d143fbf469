"""The same job in plain shell, against the same cloud."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from dlsuite.runs.process import start_of
from launch import lock, plan, topology
from tests.conftest import ROOT
from tests.launch.conftest import JOB as PYTHON_JOB
from tests.launch.conftest import PLAIN, busy, left_alone, packed, play_a_new_commit, repository, there

JOB = ("--type=v5litepod-8", "--topology=v5e-8", "--runtime_version=v2-alpha-tpuv5-lite", "--zone=us-west4-a",
       "--bucket=gs://mine",
       "--workdir=runs/lenet5", "--poll_seconds=0.3", "--retry_seconds=0.01", "--spot")
TRAINER = ("--", "--config=experiments/vision/lenet5.py:smoke")


SCRIPT = ("bash", str(ROOT / "launch/tpu_vm.sh"))


def start(*arguments, folder=ROOT):
  return subprocess.Popen([*PLAIN, *SCRIPT, *arguments], cwd=folder, env=dict(os.environ), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True)


def run(*arguments, folder=ROOT):
  process = start(*arguments, folder=folder)
  said, _ = process.communicate(timeout=60)
  return process.returncode, said


@pytest.mark.parametrize("workdir", ["runs/lenet5", "b/Lenet_5.v2", "a/" + 60 * "x"])
def test_the_tpu_has_the_name_that_the_other_launcher_gives_it(cloud, workdir):
  cloud.play(trainer=(1, 0))
  assert run(*JOB, f"--workdir={workdir}", *TRAINER)[0] == 0
  name = plan.parse([*PYTHON_JOB, f"--workdir={workdir}"]).name
  assert cloud.count(f"queued-resources create {name} --node-id={name} ") == 1


def test_a_tpu_that_trains_another_run_is_left_alone(cloud):
  name = plan.parse(PYTHON_JOB).name
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    name: {"state": "ACTIVE", "looks": 9, "type": "v5litepod-8"}}}))
  with busy(cloud, name):
    code, said = run(*JOB, *TRAINER)
  assert code == 2
  assert said.splitlines()[-1] == "launch: this TPU trains gs://mine/other, not gs://mine/runs/lenet5: give another --name"
  assert list(cloud.resources) == [name]
  assert not (cloud.bucket / "runs/lenet5.lock").exists()


def test_a_tpu_of_that_name_but_another_kind_is_left_alone(cloud):
  name = plan.parse(PYTHON_JOB).name
  there(cloud, name, kind="v4-8")
  code, said = run(*JOB, *TRAINER)
  assert code == 2
  assert said.splitlines()[-1] == (f"launch: --topology=v5e-8: the queued resource {name} exists and is a v4-8; "
                                   "delete it first")
  assert list(cloud.resources) == [name]


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


def test_a_connection_that_breaks_stops_nothing_and_shows_each_line_once(cloud):
  """After the first break gcloud itself runs the same command again, after the second the script does."""
  cloud.play(trainer=(30, 0), breaks=[4, 15], again=1)
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert said.count("starts after") == 1
  assert [line for line in said.splitlines() if line.startswith("step")] == [f"step {i}" for i in range(1, 31)]


def test_a_trainer_that_ends_with_its_tpu_is_not_broken(cloud):
  cloud.play(trainer=(1, 9, 2), preempt=[1], late=True)
  code, said = run(*JOB, "--restarts=1", *TRAINER)
  assert code == 0, said
  assert cloud.count("launch.on_vm run") == 3
  assert said.count("was taken away; it is asked for again") == 1


def test_an_outage_here_is_no_loss_of_the_tpu_which_is_given_back_at_the_third_try(cloud):
  """After the first break the resource cannot be seen, after the second its node, and at the end it cannot be deleted twice."""
  cloud.play(trainer=(24, 0), breaks=[3, 14], outage=[2, 3], outage_node=[1, 2], stuck=2)
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert said.count("network is unreachable") == 1
  assert [line for line in said.splitlines() if line.startswith("step")] == [f"step {i}" for i in range(1, 25)]
  assert cloud.count("queued-resources create") == 1
  assert cloud.count("queued-resources delete") == 3
  assert "MAY STILL COST MONEY" not in said
  assert is_released(cloud)


def test_requests_and_looks_that_do_not_get_through_are_made_again(cloud):
  cloud.play(trainer=(1, 0), blind=1, unreachable=1, outage=[1, 3])
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert cloud.count("queued-resources create") == 2
  assert said.count("network is unreachable; tried again") == 2
  assert is_released(cloud)


def test_a_tpu_that_can_be_neither_seen_nor_deleted_is_said_with_the_command_that_deletes_it(cloud):
  cloud.play(trainer=(1, 0), outage=[2, 99], stuck=99)
  code, said = run(*JOB, *TRAINER)
  assert code == 0
  assert cloud.count("queued-resources delete") == 3
  name = plan.parse(PYTHON_JOB).name
  assert said.splitlines()[-1] == (f"launch: ATTENTION: {name} MAY STILL COST MONEY; delete it by hand: gcloud compute tpus "
                                   f"queued-resources delete {name} --zone=us-west4-a --force")


def test_a_tpu_that_cannot_be_seen_before_it_is_asked_for_ends_the_job_at_once(cloud):
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    plan.parse(PYTHON_JOB).name: {"state": "ACTIVE", "looks": 0, "type": "v5litepod-8"}}}))
  cloud.play(outage=[1, 99])
  code, said = run(*JOB, *TRAINER)
  assert code == 74
  assert "network is unreachable" in said
  assert "whether an earlier start has left" in said.splitlines()[-1]
  assert cloud.count("queued-resources describe") == 2


def test_a_run_that_became_complete_while_no_launcher_lived_gives_its_tpu_back(cloud):
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    plan.parse(PYTHON_JOB).name: {"state": "ACTIVE", "looks": 0, "type": "v5litepod-8"}}}))
  cloud.run.mkdir(parents=True)
  (cloud.run / "result.json").write_text("{}")
  assert run(*JOB, *TRAINER)[0] == 0
  assert cloud.count("queued-resources create") == 0
  assert is_released(cloud)


def test_a_connection_that_only_ends_is_not_tried_for_ever(cloud):
  cloud.play(deaf=99)
  code, said = run(*JOB, "--retries=3", *TRAINER)
  assert code == 1
  assert "the trainer broke 0 times, the connection 3 times in a row, last code unknown" in said
  assert cloud.count("launch.on_vm run") == 3
  assert is_released(cloud)


@pytest.mark.parametrize("code", [2, 3])
def test_bad_input_and_divergence_are_not_tried_again(cloud, code):
  cloud.play(trainer=(1, code))
  assert run(*JOB, *TRAINER)[0] == code
  assert cloud.count("launch.on_vm run") == 1
  assert is_released(cloud)


def test_a_trainer_that_its_machine_has_stopped_is_not_broken(cloud):
  cloud.play(trainer=(2, 75, 3))
  code, said = run(*JOB, "--restarts=1", *TRAINER)
  assert code == 0, said
  assert cloud.count("launch.on_vm run") == 4


def test_the_waits_without_quota_double_and_are_counted_anew_once_there_was_a_tpu(cloud):
  cloud.play(trainer=(16, 0), quota=3, preempt=[3], quota_again=1)
  code, said = run(*JOB, "--retry_seconds=0.02", "--retries=5", *TRAINER)
  assert code == 0, said
  waits = [line.partition(": ")[2].partition(":")[0] for line in said.splitlines() if " failed, the next in " in line]
  assert waits == [*(f"try {i + 1} of 5 failed, the next in {s} s" for i, s in enumerate((0.02, 0.04, 0.08))),
                   "try 1 of 5 failed, the next in 0.02 s"]


@pytest.mark.parametrize(("scenario", "call"), [({"waits": 999}, "describe dlsuite"), ({"slow": 200}, "install.sh")])
def test_a_signal_while_the_job_waits_for_its_tpu_or_installs_is_a_stop_at_once(cloud, scenario, call):
  cloud.play(**scenario)
  process = start(*JOB, "--poll_seconds=200", *TRAINER)
  deadline = time.monotonic() + 30
  while not (cloud.resources and cloud.calls[-1:] and call in cloud.calls[-1]):
    assert time.monotonic() < deadline
    time.sleep(0.02)
  theirs, ours = json.loads((cloud.bucket / "runs/lenet5.lock").read_text()), lock._owner()
  assert theirs.keys() == ours.keys()  # the other launcher knows the same of it
  assert [theirs[key] for key in ("owner", "host", "machine")] == [ours[key] for key in ("owner", "host", "machine")]
  assert not lock._is_dead(theirs)
  process.send_signal(signal.SIGTERM)
  said, _ = process.communicate(timeout=60)
  assert process.returncode == 75, said
  assert is_released(cloud)
  assert lock._is_dead(theirs)


def test_a_child_that_ends_with_the_traps_it_was_born_with_gives_nothing_back():
  """bash may run them in a child that is ended between its birth and its first step; here it runs them for certain."""
  clear_up = re.search(r"^clear_up\(\) \{.*?^\}$", (ROOT / "launch/tpu_vm.sh").read_text(), re.DOTALL | re.MULTILINE)[0]
  script = f"""set -u
    locked=yes lock=there theirs='' mine='' log=/nonexistent/log error=/nonexistent/error
    give_back() {{ echo gives back; }}
    gcloud() {{ echo removes the lock; }}
    {clear_up}
    trap clear_up EXIT
    (trap clear_up EXIT; exit 0)
    echo "the child's code is $?"
    """
  done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
  assert done.stdout.splitlines() == ["the child's code is 143", "gives back", "removes the lock"], done.stderr


def test_ctrl_c_saves_the_state_and_gives_the_tpu_back(cloud):
  cloud.play(trainer=(600, 0))
  process = start(*JOB, *TRAINER)
  deadline = time.monotonic() + 30
  while not list(cloud.run.glob("checkpoints/state_*.npz")):
    assert time.monotonic() < deadline
    time.sleep(0.02)
  process.send_signal(signal.SIGINT)
  try:
    said, _ = process.communicate(timeout=60)
  finally:
    process.kill()
    process.communicate()
  assert process.returncode == 75, said
  assert is_released(cloud)
  assert cloud.count("launch.on_vm stop") == 1
  assert "launch: the trainer ended with code 75" in said.splitlines()


@pytest.mark.parametrize(("terminal", "steps", "code"), [(False, 4, 0), (True, 600, 75)])
def test_a_job_whose_output_is_closed_gives_the_tpu_back_all_the_same(cloud, terminal, steps, code):
  cloud.play(trainer=(steps, 0))
  assert left_alone([*SCRIPT, *JOB, *TRAINER], terminal) == code
  assert is_released(cloud)
  assert cloud.count("launch.on_vm stop") == terminal


@pytest.mark.parametrize(("scenario", "arguments", "expected"), [
  ({}, ("--zone=z", *TRAINER), "--type is missing"),
  ({}, (*JOB, "--spott", *TRAINER), "--spott is not understood"),
  ({}, (*JOB, "--bucket=mine", *TRAINER), "--bucket=mine must be gs://NAME or gs://NAME/FOLDER"),
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
  assert expected in [line for line in said.splitlines() if not line.endswith(" back")][-1]
  assert is_released(cloud)


@pytest.mark.parametrize(("flag", "value"), [
  ("poll_seconds", "soon"), ("poll_seconds", "-1"), ("poll_seconds", "9999999"), ("retry_seconds", "0.0"), ("retries", "x"),
  ("retries", "0"),
  ("restarts", "x"), ("workdir", "a b"), ("workdir", "../up"), ("workdir", "."), ("workdir", "x;rm"),
  ("topology", "v5e-9"), ("topology", "v5-8"),
  ("type", "v5litepod-16"),
])
def test_a_wrong_flag_is_named_before_gcloud_is_called(cloud, flag, value):
  code, said = run(*JOB, f"--{flag}={value}", *TRAINER)
  assert code == 2
  assert said.startswith(f"launch: --{flag}={value}")
  assert len(said.splitlines()) == 1
  assert cloud.calls == []


def test_the_script_knows_the_topologies_of_the_other_launcher():
  text = (ROOT / "launch/tpu_vm.sh").read_text()
  table = re.findall(r"^ +(\w+)(?: \| \w+)?\) echo (\w+) ([\d ]+) ;;$", text, re.MULTILINE)
  found = {f"{kind}-{size}": f"{prefix}-{size}" for kind, prefix, sizes in table for size in sizes.split()}
  assert found == {name: topology.parse(name).accelerator_type for name in topology.known()}


def test_a_folder_of_odd_characters_reaches_the_machine_as_it_is(cloud):
  cloud.play(trainer=(1, 0), clone=True)
  (cloud.bucket / "it's (mine)/data").mkdir(parents=True)
  cloud.prepared.parent.rename(cloud.bucket / "it's (mine)/data/prepared")
  code, said = run(*JOB, "--bucket=gs://mine/it's (mine)", "--", f"--config={ROOT}/experiments/vision/lenet5.py:smoke")
  assert code == 0, said
  assert (cloud.bucket / "it's (mine)/runs/lenet5/result.json").exists()
  assert cloud.count("-- --config=experiments/vision/lenet5.py:smoke") == 1  # where the machine finds it


def test_an_experiment_that_was_changed_since_the_commit_that_the_machines_run_is_refused(cloud, tmp_path):
  file = repository(tmp_path / "work")
  (cloud.folder / "bin/git").unlink()
  code, said = run(*JOB, "--", f"--config={file}:smoke", folder=tmp_path / "work")
  assert code == 2
  assert re.fullmatch(rf"launch: --config={file} differs from commit [0-9a-f]{{12}}, which the machines run: commit .*\n", said)
  assert cloud.calls == []


def test_an_experiment_that_is_in_no_commit_is_refused(cloud):
  (cloud.folder / "new.py").touch()
  code, said = run(*JOB, "--", f"--config={cloud.folder}/new.py:smoke")
  assert code == 2
  assert "is not in commit" in said
  assert cloud.calls == []


@pytest.mark.parametrize("words", [("--config", "experiments/vision/lenet5.py"), ("-config=experiments/vision/lenet5.py",)])
def test_an_experiment_that_would_not_be_looked_at_is_refused(cloud, words):
  assert run(*JOB, "--", *words) == (2, f"launch: {words[0]} is not looked at here: write --config=FILE\n")
  assert cloud.calls == []


def test_the_code_is_that_of_the_commit_that_was_looked_at_though_there_is_a_new_one(cloud):
  commit = play_a_new_commit(cloud)
  cloud.play(quota=9)
  assert run(*JOB, "--retries=1", *TRAINER)[0] == 75
  assert packed(cloud, commit) == f"{commit} HEAD\n"


def test_a_lock_whose_generation_is_not_shown_does_not_stay(cloud):
  cloud.play(blind=3)
  code, said = run(*JOB, *TRAINER)
  assert code == 74
  assert "--bucket=gs://mine does not show gs://mine/runs/lenet5.lock, which has just been written" in said
  assert is_released(cloud)
  assert cloud.count("create dlsuite") == 0


@pytest.mark.parametrize(("arguments", "expected", "data"), [
  (("--config.data.batch_size=20",), "batch_size=20 does not divide by the 8 replicas on the 8 chips of v5e-8", "prepared"),
  (("--config.model.nme=x",), "did you mean", "not prepared"),
  (("--config.strategy.kind=cpu",), "strategy.kind='cpu' is not for a TPU", "not prepared"),
])
def test_what_needs_the_config_is_refused_on_the_machine_before_data_are_prepared(cloud, arguments, expected, data):
  if data == "not prepared":
    cloud.prepared.unlink()
  code, said = run(*JOB, *TRAINER, *arguments)
  assert code == 2
  assert expected in said
  assert "starts after step" not in said
  assert "prepares" not in said
  assert is_released(cloud)


def test_a_bucket_out_of_reach_has_a_code_of_its_own(cloud):
  cloud.play(away=["cp"])
  code, said = run(*JOB, *TRAINER)
  assert code == 74
  assert "--bucket=gs://mine cannot be written: ERROR: (gcloud.storage.cp) HTTPError 503" in said


@pytest.fixture
def hold(cloud):
  """Writes the lock of another job of the other launcher: `hold(process, machine="elsewhere")`."""
  path = cloud.bucket / "runs/lenet5.lock"
  path.parent.mkdir(parents=True)

  def hold(process, **others):
    started = {"process": str(process), "process_start": start_of(process) or "1"}
    path.write_text(json.dumps(lock._owner() | started | others))
    return path

  return hold


@pytest.fixture
def ended():
  """The number of a process that is no more."""
  process = subprocess.Popen(["true"])
  process.wait()
  return process.pid


def test_a_workdir_in_use_is_refused_with_its_owner(hold):
  path = hold(os.getpid())
  code, said = run(*JOB, *TRAINER)
  assert code == 2
  assert f"the workdir is in use: {path.read_text()}; if that job is no more: --break_lock" in said


def test_the_lock_of_somebody_else_is_taken_only_with_break_lock(cloud, hold, ended):
  for other in ({"owner": "ann"}, {"machine": "elsewhere"}, {"machine": ""}):
    path = hold(ended, **other)
    assert run(*JOB, *TRAINER)[0] == 2, other
    assert path.exists()
  assert run(*JOB, "--break_lock", *TRAINER)[0] == 0
  assert is_released(cloud)


def test_a_lock_whose_making_got_no_answer_and_was_tried_again_by_gcloud_is_the_jobs_own(cloud):
  cloud.play(trainer=(1, 0), unheard=1)
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert is_released(cloud)


def test_the_lock_of_a_process_of_this_machine_that_is_no_more_is_taken_over(cloud, hold, ended):
  hold(ended)
  code, said = run(*JOB, *TRAINER)
  assert code == 0, said
  assert is_released(cloud)
