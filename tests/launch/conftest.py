"""A cloud in a folder, and a way to launch jobs on it."""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys

import pytest

from launch import data
from tests.conftest import ROOT

# A launcher leaves ignored what was ignored when it started, as Ctrl-C is by all that runs in the background.
PLAIN = ("env", "--default-signal=INT,HUP")
FAST = ("--poll_seconds=0.3", "--retry_seconds=0.01")
JOB = ("--config=experiments/vision/lenet5.py:smoke", "--topology=v5e-8", "--zone=us-west4-a", "--bucket=gs://mine",
       "--workdir=runs/lenet5", *FAST)


@dataclasses.dataclass
class Cloud:
  """What the fake gcloud plays, and what it was asked."""

  folder: pathlib.Path

  def play(self, trainer=(8, 0), **scenario):
    """Says what shall happen; the trainer is given by its steps and exit code, or is the real one if None."""
    if trainer:
      scenario["trainer"] = [sys.executable, str(ROOT / "tests/launch/fake_trainer.py"), *map(str, trainer)]
    (self.folder / "scenario.json").write_text(json.dumps(scenario))

  def play_git(self, answers):
    """Says what git itself is not asked: commands, by words that stand in them, and what the shell does instead."""
    program = self.folder / "bin" / "git"
    cases = "".join(f'  *" {words} "*) {does} ;;\n' for words, does in answers.items())
    program.write_text(f'#!/bin/sh\ncase " $* " in\n{cases}esac\nPATH=/usr/bin:/bin exec git "$@"\n')
    program.chmod(0o755)

  @property
  def calls(self):
    path = self.folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []

  def count(self, what):
    return sum(what in call for call in self.calls)

  @property
  def resources(self):
    path = self.folder / "state.json"
    return json.loads(path.read_text())["resources"] if path.exists() else {}

  @property
  def bucket(self):
    return self.folder / "bucket" / "mine"

  @property
  def prepared(self):
    """What says that the data lie there already."""
    return self.bucket / "data" / data.marker("optical_digits")

  @property
  def run(self):
    return self.bucket / "runs/lenet5"


def there(cloud, name, run="", state="ACTIVE", kind="v5litepod-8"):
  """A TPU is there before the job, last used for a run."""
  (cloud.folder / "state.json").write_text(json.dumps({"counts": {}, "resources": {
    name: {"state": state, "looks": 0, "type": kind}}}))
  if run:
    folder = cloud.folder / "vm" / name / "0/dlsuite-job" / name
    folder.mkdir(parents=True)
    (folder / "run").write_text(run)


@contextlib.contextmanager
def busy(cloud, name):
  """A TPU's first machine works for another run meanwhile."""
  folder = cloud.folder / "vm" / name / "0/dlsuite-job" / name
  folder.mkdir(parents=True)
  (folder / "run").write_text("gs://mine/other")
  (folder / "log.txt").touch()
  with open(folder / "pid", "w") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    yield


def repository(folder):
  """Makes a repository whose one experiment has been changed since it was committed; returns its path there."""
  file = folder / "experiments/mine.py"
  file.parent.mkdir(parents=True)
  file.write_text("")
  for words in ("init -q", "add .", "-c user.name=me -c user.email=me@example.com commit -q -m one"):
    subprocess.run(["/usr/bin/git", "-C", folder, *words.split()], check=True)
  file.write_text("changed")
  return "experiments/mine.py"


def play_a_new_commit(cloud):
  """The repository has one more commit than a launcher has looked at; returns that one."""
  listed = subprocess.run(["git", "-C", ROOT, "rev-list", "--max-count=2", "HEAD"], check=True, capture_output=True, text=True)
  commit = listed.stdout.split()[-1]
  cloud.play_git({"diff --quiet": "exit 0", "rev-parse HEAD": f"echo {commit}; exit 0"})
  return commit


def packed(cloud, commit):
  """Returns the heads of a commit's code in the bucket."""
  return subprocess.run(["git", "-C", ROOT, "bundle", "list-heads", cloud.bucket / f"code/{commit}.bundle"], check=True,
                        capture_output=True, text=True).stdout


def left_alone(command, terminal):
  """Starts a launcher whose pipe or terminal is closed once a step is shown; returns its exit code."""
  reader, writer = pty.openpty() if terminal else os.pipe()
  process = subprocess.Popen([*PLAIN, *command], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
                             stdout=writer, stderr=writer, start_new_session=True)
  os.close(writer)
  try:
    with open(reader, encoding="utf-8") as said:
      assert next(line for line in said if line.startswith("step "))
    if terminal:
      process.send_signal(signal.SIGHUP)
    return process.wait(60)
  finally:
    process.kill()
    process.wait()


@pytest.fixture
def cloud(tmp_path, monkeypatch):
  program = tmp_path / "bin" / "gcloud"
  program.parent.mkdir()
  # It needs the standard library alone, and starts sooner without the search for other packages.
  program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT / "tests/launch/fake_gcloud.py"} "$@"\n')
  program.chmod(0o755)
  monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
  monkeypatch.setenv("FAKE_CLOUD", str(tmp_path))
  monkeypatch.chdir(ROOT)
  found = Cloud(tmp_path)
  found.play()
  found.play_git({"diff --quiet": "exit 0"})  # whoever changes an experiment may run the tests before it is committed
  found.prepared.parent.mkdir(parents=True)
  found.prepared.touch()
  yield found
  for pid in tmp_path.glob("vm/*/*/dlsuite-job/*/pid"):  # of a test that failed
    with contextlib.suppress(ProcessLookupError, ValueError):
      os.killpg(int(pid.read_text()), signal.SIGKILL)
