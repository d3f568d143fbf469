"""Kills training runs at random instants and starts them again: a process of its own beside the tests that use it.

    python -m tests.kill_harness < orders

Every line of the input is an order, {"folder", "command", "kills", "signal", "seed"}: what the run is told beside its workdir,
and how often it is killed. Every line of the output answers one: {"kills": [[exit code, {stage: steps saved}], ...]}, or
{"fault": text}. The runs lie in <folder>/unbroken and <folder>/<signal>; an unbroken run that is there is not made again.

TensorFlow is imported once, before anything of it runs; each start of a run is a fork of that process.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
_SAVING = "--config.checkpoint.every_steps=7"  # divides no period of any kind of learning
_FAST = "--config.strategy.kind=cpu", "--config.analyses=()", "--noconfig.callbacks.tensorboard"


class Harness:
  """The process, seen from a test."""

  def __init__(self):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    self._process = subprocess.Popen([sys.executable, "-m", "tests.kill_harness"], cwd=ROOT, env=environment, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

  def kill(self, folder, command, kills=2, signal="KILL", seed=0):
    """Makes the unbroken run and the one that is killed; returns [exit code, {stage: steps saved}] of each kill."""
    order = {"folder": str(folder), "command": [*command, *_FAST], "kills": kills, "signal": signal, "seed": seed}
    print(json.dumps(order), file=self._process.stdin, flush=True)
    answer = json.loads(self._process.stdout.readline() or '{"fault": "the harness is gone"}')
    assert "fault" not in answer, answer["fault"]
    return answer["kills"]

  def close(self):
    self._process.stdin.close()
    self._process.wait(60)
    self._process.stdout.close()


class RunError(Exception):
  """What a run did against expectation."""


class Runs:
  """One command in one folder, started as often as need be."""

  def __init__(self, workdir, command):
    self._workdir, self._command, self._log = workdir, command, workdir.with_name(f"{workdir.name}.log")

  def start(self):
    """Forks a run; returns its process id."""
    from dlsuite import main as dlsuite_main

    pid = os.fork()
    if pid:
      return pid
    descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
      os.dup2(descriptor, number)
    code = 1
    try:
      code = dlsuite_main.main([*self._command, f"--workdir={self._workdir}"])
      sys.stdout.flush()
    finally:
      os._exit(code)

  def steps_saved(self):
    """Returns {stage: steps of its newest checkpoint}; the stage of a run that is no chain has no name."""
    found = {}
    for path in self._workdir.glob("**/checkpoints/state_*.npz"):
      stage = path.parent.parent.relative_to(self._workdir).as_posix().strip(".")
      found[stage] = max(found.get(stage, 0), int(path.stem.partition("_")[2]))
    return found

  def to_the_end(self):
    """Starts the run and lets it end."""
    code = exit_code(self.start())
    if code:
      raise RunError(f"{self._workdir}: a start that was left alone ended with {code}: {self._log.read_text()[-3000:]}")

  def kill_once(self, number, target, seconds, pause):
    """Starts the run and kills it a pause after it has saved `target` steps in all its stages, or after some seconds."""
    pid = self.start()
    deadline, ended = time.monotonic() + seconds, False
    while not ended and sum(self.steps_saved().values()) < target and time.monotonic() < deadline:
      time.sleep(0.003)
      ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    time.sleep(pause)
    os.kill(pid, number)  # one that has ended is still a zombie
    code = exit_code(pid)
    expected = {-signal.SIGKILL} if number == signal.SIGKILL else {75, -signal.SIGTERM}
    if code not in expected:
      raise RunError(f"{self._workdir}: a run that was to be killed ended with {code} (0: use more steps): "
                  f"{self._log.read_text()[-3000:]}")
    return code, self.steps_saved()


def exit_code(pid):
  return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def carry_out(folder, command, kills, signal_name, seed):
  """Returns the exit code and the steps saved of each kill."""
  folder.mkdir(parents=True, exist_ok=True)
  unbroken = Runs(folder / "unbroken", command)
  if not (folder / "unbroken").exists():
    unbroken.to_the_end()
  total = sum(unbroken.steps_saved().values())
  runs, rng, found = Runs(folder / signal_name, [*command, _SAVING]), random.Random(seed), []
  for i in range(kills):
    # Each kill has its share of the steps, so that they reach from the first to the last. Some instants fall between start
    # and first step, the others while it trains.
    target = rng.randint(total * i // kills + 1, max(total * i // kills + 1, int(total * (i + 0.8)) // kills))
    seconds = 120 if rng.random() < 0.7 else rng.uniform(0, 4)
    found.append(runs.kill_once(getattr(signal, f"SIG{signal_name}"), target, seconds, rng.uniform(0, 0.05)))
  runs.to_the_end()
  return found


def serve(answer):
  """Imports TensorFlow, then answers every line of the input, an order, with `answer(order)` or the fault of a run."""
  from dlsuite.quiet import import_tensorflow

  import_tensorflow()
  from dlsuite import modes  # noqa: F401 - imported before the first fork

  for line in sys.stdin:
    try:
      found = answer(json.loads(line))
    except RunError as e:
      found = {"fault": str(e)}
    print(json.dumps(found), flush=True)


def main():
  serve(lambda order: {"kills": carry_out(pathlib.Path(order["folder"]), order["command"], order["kills"], order["signal"],
                                          order["seed"])})


if __name__ == "__main__":
  main()
