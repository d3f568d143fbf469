"""What a process of a Slurm job step makes of Slurm's variables, and the batch file with a played Slurm."""

import json
import os
import subprocess
import sys

import pytest

from dlsuite import flags
from launch import slurm
from launch.errors import LaunchError
from tests.conftest import ROOT


def step(nodelist, tasks, node, local, rank, count):
  return {"SLURM_STEP_NODELIST": nodelist, "SLURM_STEP_TASKS_PER_NODE": tasks, "SLURMD_NODENAME": node,
          "SLURM_LOCALID": str(local), "SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": str(count), "SLURM_JOB_ID": "7"}


# Hosts as Slurm lists them, and processes of each. The first and the third are not in the order of spelling.
STEPS = [("n[9-10]", "1(x2)", ["n9", "n10"], [1, 1]), ("gpu[01-02],big", "2(x2),1", ["gpu01", "gpu02", "big"], [2, 2, 1]),
         ("rack2-n1,rack10-n1", "2(x2)", ["rack2-n1", "rack10-n1"], [2, 2])]


@pytest.mark.parametrize(("nodelist", "tasks", "hosts", "counts"), STEPS)
def test_all_processes_agree_on_the_cluster_and_each_takes_the_place_of_its_own_address(nodelist, tasks, hosts, counts):
  places = [(host, i) for host, count in zip(hosts, counts, strict=True) for i in range(count)]
  configs = [json.loads(slurm.to_tf_config(step(nodelist, tasks, host, i, rank, len(places))))
             for rank, (host, i) in enumerate(places)]
  clusters = {json.dumps(config["cluster"]) for config in configs}
  assert len(clusters) == 1
  workers = configs[0]["cluster"]["worker"]
  port = slurm.first_port({"SLURM_JOB_ID": "7"})
  assert sorted(workers) == sorted(f"{host}:{port + i}" for host, i in places)
  for (host, i), config in zip(places, configs, strict=True):
    assert workers[config["task"]["index"]] == f"{host}:{port + i}"
  assert sorted(config["task"]["index"] for config in configs) == list(range(len(places)))


def test_two_steps_on_one_host_use_different_ports():
  ports = {slurm.first_port({"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(i)}) for job in (7, 8) for i in (0, 1)}
  assert len(ports) == 4
  assert len({slurm.first_port({"SLURM_JOB_ID": str(job)}) for job in range(700, 1325)}) == 625
  assert all(20000 <= port < 32768 - 100 for port in ports)


def test_outside_of_a_step_the_line_says_how_to_start_it():
  with pytest.raises(LaunchError, match="SLURM_PROCID is not in the environment: start it in a Slurm job step: srun"):
    slurm.to_tf_config({})


def test_variables_that_contradict_each_other_are_shown():
  with pytest.raises(LaunchError, match=r"do not fit together.*SLURM_STEP_NUM_TASKS=3"):
    slurm.to_tf_config(step("n[1-2]", "1(x2)", "n1", 0, 0, 3))


def test_the_environment_is_left_as_it_was():
  before = dict(os.environ)
  slurm.to_tf_config(step("n[1-2]", "1(x2)", "n1", 0, 0, 2))
  assert dict(os.environ) == before


# At SIGTERM srun has every process of the step killed at once. The step's processes are one here.
SRUN = """shift
"$@" & child=$!
echo $child > {folder}/child
trap 'kill -9 $child' TERM
wait $child
code=$?
[ "$code" -le 128 ] || wait $child
exit $code"""
SCANCEL = '[ "$*" = "--signal=TERM 7" ] && kill -TERM "$(cat {folder}/child)"'


@pytest.fixture
def played(tmp_path):
  """A Slurm whose srun runs the command here, and whose scontrol writes down what it is told."""
  programs = {"srun": SRUN, "scancel": SCANCEL, "scontrol": 'echo "$@" >> {folder}/scontrol.txt',
              "squeue": '[ -z "${PLAYED_AGAIN:-}" ] || kill -TERM "$(cat {folder}/batch)"; echo "${PLAYED_STATE:-RUNNING}"'}
  for name, text in programs.items():
    program = tmp_path / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/bash\n{text.replace('{folder}', str(tmp_path))}\n")
    program.chmod(0o755)

  def submit(trainer, *arguments):
    (tmp_path / "launch").mkdir(exist_ok=True)
    (tmp_path / "launch/slurm.py").write_text(trainer)
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(tmp_path),
                                "SLURM_JOB_ID": "7", "PYTHON": sys.executable}
    return subprocess.Popen(["bash", str(ROOT / "launch/slurm.sbatch"), *arguments], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

  return submit


def test_the_batch_file_hands_the_flags_on_and_the_exit_code_back(played, tmp_path):
  job = played("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n", "--config=a b", "--workdir=c")
  out, _ = job.communicate(timeout=30)
  assert out == "['--config=a b', '--workdir=c']\n"
  assert job.returncode == 3
  assert not (tmp_path / "scontrol.txt").exists()


def test_a_job_whose_time_is_up_saves_its_state_and_queues_itself_again(played, tmp_path):
  job = played("import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
               "print('ready', flush=True)\ntime.sleep(30)\n", "--config=a")
  assert job.stdout.readline() == "ready\n"
  job.terminate()
  job.communicate(timeout=30)
  assert job.returncode == 75
  assert (tmp_path / "scontrol.txt").read_text() == "requeue 7\n"


def test_a_job_that_is_told_a_second_time_that_its_time_is_up_queues_itself_again_all_the_same(played, tmp_path, monkeypatch):
  monkeypatch.setenv("PLAYED_AGAIN", "yes")
  job = played("import sys, time\ntime.sleep(0.5)\nsys.exit(75)\n", "--config=a")
  (tmp_path / "batch").write_text(str(job.pid))
  job.communicate(timeout=30)
  assert job.returncode == 75
  assert (tmp_path / "scontrol.txt").read_text() == "requeue 7\n"


def test_a_job_that_its_user_cancels_saves_its_state_and_stays_cancelled(played, tmp_path, monkeypatch):
  monkeypatch.setenv("PLAYED_STATE", "COMPLETING")
  job = played("import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
               "print('ready', flush=True)\ntime.sleep(30)\n", "--config=a")
  assert job.stdout.readline() == "ready\n"
  job.terminate()
  job.communicate(timeout=30)
  assert job.returncode == 75
  assert not (tmp_path / "scontrol.txt").exists()


def test_a_job_whose_time_is_up_queues_itself_again_though_another_process_was_killed_while_it_stopped(
    played, tmp_path, monkeypatch):
  monkeypatch.setenv("SLURM_RESTART_COUNT", "20")  # a long training is not limited in how often its time is up
  job = played("import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
               "print('ready', flush=True)\ntime.sleep(30)\n", "--config=a")
  assert job.stdout.readline() == "ready\n"
  job.terminate()
  job.communicate(timeout=30)
  assert job.returncode == 143
  assert (tmp_path / "scontrol.txt").read_text() == "requeue 7\n"


@pytest.mark.parametrize(("code", "restarts", "again"), [(74, 0, True), (76, 19, True), (76, 20, False), (137, 0, True),
                                                         (143, 19, True), (143, 20, False), (1, 0, False)])
def test_a_lost_bucket_or_process_queues_the_job_again_but_not_for_ever(played, tmp_path, monkeypatch, code, restarts, again):
  monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
  job = played(f"import sys\nsys.exit({code})\n", "--config=a")
  job.communicate(timeout=30)
  assert job.returncode == code
  assert (tmp_path / "scontrol.txt").exists() == again


def test_the_batch_file_without_flags_says_how_it_is_used(played):
  job = played("")
  _, said = job.communicate(timeout=30)
  assert job.returncode == 2
  assert said.startswith("usage: sbatch")


def test_processes_wait_ten_minutes_for_each_other_unless_told_otherwise(monkeypatch):
  given = []
  monkeypatch.setattr("dlsuite.main.main", lambda argv: given.append(flags.parse(argv).stages[""].strategy))
  for name, value in step("n[1-2]", "1(x2)", "n1", 0, 0, 2).items():
    monkeypatch.setenv(name, value)
  monkeypatch.setenv("TF_CONFIG", "")
  for more in ([], ["--config.strategy.connect_seconds=30"]):
    slurm.main(["--config=experiments/vision/lenet5.py:smoke", "--mode=describe", *more])
  assert [(strategy.kind, strategy.connect_seconds) for strategy in given] == [("workers", 600), ("workers", 30)]


@pytest.mark.workers
def test_two_real_processes_of_a_step_train_together(tmp_path):
  command = [sys.executable, "-m", "launch.slurm", "--config=experiments/vision/lenet5.py:smoke", f"--workdir={tmp_path}/run",
             "--config.analyses=()", "--noconfig.callbacks.tensorboard"]
  processes = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=os.environ | {"PYTHONPATH": str(ROOT)} | step("localhost", "2", "localhost", i, i, 2))
               for i in range(2)]
  said = [process.communicate(timeout=500)[0] for process in processes]
  assert [process.returncode for process in processes] == [0, 0], said
  assert "2 workers x 1 cpu" in said[0]
  assert json.loads((tmp_path / "run/result.json").read_text())["starts"] == 1
