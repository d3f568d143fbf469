"""Several worker processes of one machine: how they are started, watched and ended."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from launch import local
from launch.cluster import tf_config
from launch.errors import LaunchError
from launch.supervise import Group, Ports
from tests.conftest import ROOT
from tests.launch.conftest import PLAIN

CHILD = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
rank, folder = config["task"]["index"], pathlib.Path(sys.argv[1])
starts = len(list(folder.glob(f"{rank}.*")))
(folder / f"{rank}.{starts}").write_text(json.dumps(config))
print("hello from", rank, flush=True)
"""
BOTH = """
while len(list(folder.glob(f"{1 - rank}.*"))) <= starts:  # the other of two has come as far
  time.sleep(0.01)
"""
DIES = CHILD + BOTH + """
if starts < int(sys.argv[2]):
  sys.exit(7) if rank == 1 else time.sleep(200)
"""
SAVES = CHILD + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\nprint('ready', flush=True)\ntime.sleep(200)\n"
TRAINER = ("--config=experiments/vision/lenet5.py:smoke", "--workdir=/tmp/never")


def options(*flags):
  return local.parse([*flags, "--", *TRAINER])[0]


def run(text, folder, *arguments, flags=("--workers=2",)):
  begin = time.monotonic()
  code = local.run(options(*flags), [sys.executable, "-c", text, str(folder), *map(str, arguments)])
  return code, time.monotonic() - begin


def test_each_process_finds_all_addresses_and_its_own_place(tmp_path):
  assert run(CHILD, tmp_path, flags=("--workers=4",))[0] == 0
  configs = [json.loads((tmp_path / f"{rank}.0").read_text()) for rank in range(4)]
  assert [config["task"] for config in configs] == [{"type": "worker", "index": rank} for rank in range(4)]
  assert len({json.dumps(config["cluster"]) for config in configs}) == 1
  assert len(set(configs[0]["cluster"]["worker"])) == 4


@pytest.mark.parametrize(("visible", "seen"), [(None, ["0,1", "2,3"]), ("4,5,6,7", ["4,5", "6,7"]), ("4,5,6", None),
                                               ("", None)])
def test_each_process_sees_gpus_of_its_own(tmp_path, monkeypatch, visible, seen):
  if visible is None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
  else:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
  text = "import os, pathlib, sys; pathlib.Path(sys.argv[1], os.environ['CUDA_VISIBLE_DEVICES']).touch()"
  if seen is None:
    with pytest.raises(LaunchError, match=f"would be without, CUDA_VISIBLE_DEVICES={visible} names {3 if visible else 0}"):
      run(text, tmp_path, flags=("--workers=2", "--gpus=2"))
  else:
    assert run(text, tmp_path, flags=("--workers=2", "--gpus=2"))[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == seen


def test_only_the_chief_is_shown_unless_all_are_asked_for(tmp_path, capfd):
  run(CHILD, tmp_path)
  assert capfd.readouterr().out == "hello from 0\n"
  run(CHILD, tmp_path, flags=("--workers=2", "--all_output"))
  assert sorted(capfd.readouterr().out.splitlines()) == ["[0] hello from 0", "[1] hello from 1"]


def test_lines_of_processes_that_speak_at_once_stay_whole(tmp_path, capfd):
  run("for i in range(2000): print('word', i, flush=True)", tmp_path, flags=("--workers=2", "--all_output"))
  said = capfd.readouterr().out.splitlines()
  assert sorted(said) == sorted(f"[{rank}] word {i}" for rank in range(2) for i in range(2000))


def test_processes_go_on_when_nobody_reads_their_lines(tmp_path, monkeypatch):
  reader, writer = os.pipe()
  os.close(reader)
  with open(writer, "w", encoding="utf-8") as screen:
    monkeypatch.setattr("sys.stdout", screen)
    assert run("for i in range(20000): print('word', i)", tmp_path, flags=("--workers=1",))[0] == 0


def test_when_one_dies_the_others_are_ended_and_its_code_and_last_words_are_said(tmp_path, capfd):
  code, seconds = run(DIES, tmp_path, 1)
  assert code == 7
  assert seconds < 100  # and not the 200 that the other one would take
  said = capfd.readouterr().err
  assert "worker 1 ended with code 7" in said
  assert "[1] hello from 1" in said


def test_with_restarts_all_start_again_on_new_ports(tmp_path, capfd):
  code, _ = run(DIES, tmp_path, 2, flags=("--workers=2", "--restarts=2"))
  assert code == 0
  assert sorted(path.name for path in tmp_path.glob("0.*")) == ["0.0", "0.1", "0.2"]
  assert "all start again (2 of 2)" in capfd.readouterr().err


@pytest.mark.parametrize("code", [2, 3, 75])
def test_bad_input_divergence_and_a_worker_that_was_asked_to_stop_are_not_tried_again(tmp_path, code):
  assert run(CHILD + f"sys.exit({code})", tmp_path, flags=("--workers=2", "--restarts=5"))[0] == code
  assert list(tmp_path.glob("*.1")) == []


def test_a_worker_that_only_lost_another_is_not_the_one_that_failed(tmp_path, capfd):
  text = CHILD + BOTH + "if starts == 0:\n  sys.exit(76 if rank == 0 else 9)"
  assert run(text, tmp_path, flags=("--workers=2", "--restarts=1"))[0] == 0
  assert "all start again (1 of 1)" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_all_and_the_exit_code_says_that_the_state_is_saved(tmp_path, number):
  flags = ["--workers=2", "--restarts=3", "--all_output", "--", *TRAINER]
  program = f"import sys\nfrom launch import local\no, _ = local.parse({flags!r})\n" \
            f"sys.exit(local.run(o, [sys.executable, '-c', {SAVES!r}, {str(tmp_path)!r}]))"
  process = subprocess.Popen([*PLAIN, sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
  said = [process.stdout.readline() for _ in range(4)]
  assert {"[0] ready\n", "[1] ready\n"} < set(said)
  process.send_signal(number)
  _, said = process.communicate(timeout=100)
  assert process.returncode == 75
  assert said.strip() == f"launch: {number.name}: the processes save their state"
  assert len(list(tmp_path.glob("*.*"))) == 2


def test_a_worker_that_cannot_be_started_ends_the_others_which_no_signal_can_orphan_meanwhile(monkeypatch):
  started, handlers, popen = [], [], subprocess.Popen

  def start(*arguments, **options):
    handlers.append(signal.getsignal(signal.SIGTERM))
    if started:
      raise OSError(12, "Cannot allocate memory")
    started.append(popen(*arguments, **options))
    return started[-1]

  monkeypatch.setattr(subprocess, "Popen", start)
  group = Group(["sleep", "100"], [os.environ] * 2, False, 10.0)
  with pytest.raises(LaunchError, match="worker 1 cannot be started: sleep: Cannot allocate memory"):
    group.run()
  assert started[0].poll() == -signal.SIGTERM
  assert handlers == [group._forward] * 2


@pytest.mark.parametrize(("flags", "expected"), [
  (["--workers=0", "--", *TRAINER], "--workers=0 must be at least 1"),
  (["--workers=two", "--", *TRAINER], "argument --workers: invalid int value: 'two'"),
  (["--grace_seconds=-5", "--", *TRAINER], "--grace_seconds=-5 must be a finite number of at least 0"),
  (["--grace_seconds=nan", "--", *TRAINER], "--grace_seconds=nan must be"),
  (["--workers=2"], "the trainer's flags are missing"),
  (["--workers=3", "--", *TRAINER], "data.batch_size=16 does not divide by 3 workers x 1 devices; nearest that do: 15 or 18"),
  (["--workers=2", "--gpus=3", "--", *TRAINER], "does not divide by 2 workers x 3 devices"),
  (["--workers=2", "--", *TRAINER, "--config.strategy.kind=cpu"], "--config.strategy.kind=cpu is the launcher's to say"),
  (["--workers=2", "--", "--config=experiments/vision/lenet6.py", "--workdir=/tmp/never"], "lenet6"),
  (["--worker=2", "--", *TRAINER], "unrecognized arguments: --worker=2"),
])
def test_a_wrong_flag_is_refused_in_one_line(capsys, flags, expected):
  assert local.main(flags) == 2
  said = capsys.readouterr().err
  assert expected in said
  assert len(said.splitlines()) == 1
  assert not pathlib.Path("/tmp/never").exists()


def test_ports_are_free_and_differ():
  with Ports(8) as ports:
    assert len(set(ports.numbers)) == 8


@pytest.mark.parametrize(("workers", "index"), [(["a:1", "b:1"], 2), (["a:1", "b:1"], -1), (["a:1", "a:1"], 0)])
def test_an_impossible_cluster_is_refused(workers, index):
  with pytest.raises(ValueError, match="process"):
    tf_config(workers, index)


def start(workdir, *flags):
  command = [sys.executable, "-m", "launch.local", "--workers=2", *flags, "--", "--config=experiments/vision/lenet5.py",
             f"--workdir={workdir}", "--config.train.steps=60", "--config.evaluate.every_steps=20",
             "--config.checkpoint.every_steps=5", "--config.analyses=()", "--noconfig.callbacks.tensorboard"]
  return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def processes_of(workdir):
  """Returns the trainers' process ids by rank."""
  found = {}
  for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
      command = (folder / "cmdline").read_text()
      if "dlsuite.main" in command and f"--workdir={workdir}\0" in command and "launch.local" not in command:
        text = next(item for item in (folder / "environ").read_text().split("\0") if item.startswith("TF_CONFIG="))
        found[json.loads(text.partition("=")[2])["task"]["index"]] = int(folder.name)
    except (OSError, StopIteration):
      continue
  return found


@pytest.mark.workers
def test_two_real_workers_of_which_one_is_killed_end_with_the_result_of_two_that_lived(tmp_path):
  unbroken = start(tmp_path / "unbroken")
  said, _ = unbroken.communicate(timeout=300)
  assert unbroken.returncode == 0, said[-2000:]
  broken = start(tmp_path / "broken", "--restarts=1")
  deadline = time.monotonic() + 200
  while not list((tmp_path / "broken").glob("checkpoints/state_*.npz")):
    assert time.monotonic() < deadline
    time.sleep(0.01)
  os.kill(processes_of(tmp_path / "broken")[1], signal.SIGKILL)
  said, _ = broken.communicate(timeout=300)
  assert broken.returncode == 0, said[-2000:]
  assert "all start again (1 of 1)" in said
  results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("unbroken", "broken")]
  assert results[1]["test"] == results[0]["test"]
  assert results[1]["starts"] == 2
