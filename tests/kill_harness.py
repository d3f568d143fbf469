"""Kills a training run at random instants and starts it again: run by test_kill in a process of its own.

    python -m tests.kill_harness --folder=/tmp/kill --kills=20 [--signal=TERM]

TensorFlow is imported once, before anything of it runs; each start of the run is a fork of that process.
"""

import argparse
import os
import pathlib
import random
import signal
import sys
import time

from dlsuite.quiet import import_tensorflow

import_tensorflow()

from dlsuite import main as dlsuite_main  # noqa: E402
from dlsuite import modes  # noqa: E402, F401


def command(workdir, steps):
  """LeNet-5 with augmentation, dropout, Adam, a cosine schedule, averaged weights and early stopping's bookkeeping."""
  return [
    "--config=experiments/vision/lenet5.py", f"--workdir={workdir}", "--config.strategy.kind=cpu",
    f"--config.train.steps={steps}",
    "--config.evaluate.every_steps=50", "--config.checkpoint.every_steps=7", "--config.train.log_every_steps=25",
    "--config.optimizer.ema=0.9", "--config.early_stopping.patience=100", "--config.callbacks.csv", "--config.analyses=()",
    "--noconfig.callbacks.tensorboard",
  ]


def start(workdir, log, steps):
  """Forks a run; returns its process id."""
  pid = os.fork()
  if pid:
    return pid
  descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
  os.dup2(descriptor, 1)
  os.dup2(descriptor, 2)
  code = 1
  try:
    code = dlsuite_main.main(command(workdir, steps))
    sys.stdout.flush()
  finally:
    os._exit(code)


def exit_code(pid):
  return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def steps_saved(workdir):
  return max((int(p.stem.partition("_")[2]) for p in workdir.glob("checkpoints/state_*.npz")), default=0)


def interrupted(workdir, log, kills, number, rng, steps):
  """Starts and kills until the kills are used up, then lets the run end; returns how many kills hit a living run."""
  hits = 0
  while True:
    pid = start(workdir, log, steps)
    if hits == kills:
      code = exit_code(pid)
      assert code == 0, f"the last start ended with {code}"
      return hits
    # Some of the instants fall between start and first step, the others while it trains. Progress bounds them all, so that
    # a fast machine does not end the run before the last kill.
    target = steps_saved(workdir) + rng.randint(1, max(1, steps // (2 * kills + 2)))
    deadline = time.monotonic() + (60 if rng.random() < 0.7 else rng.uniform(0, 6))
    while steps_saved(workdir) < target and time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG)[0] == 0:
      time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.05))
    try:
      os.kill(pid, number)
      code = exit_code(pid)
    except (ProcessLookupError, ChildProcessError):
      print("the run ended before a kill: use more steps", file=sys.stderr)
      sys.exit(1)
    if code == 0:
      print("the run ended before a kill: use more steps", file=sys.stderr)
      sys.exit(1)
    expected = {-signal.SIGKILL} if number == signal.SIGKILL else {75, -signal.SIGTERM}
    assert code in expected, f"the run ended with {code}"
    hits += 1
    print(f"kill {hits}: code {code}, after step {steps_saved(workdir)}", flush=True)


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--folder", type=pathlib.Path, required=True)
  parser.add_argument("--kills", type=int, default=20)
  parser.add_argument("--signal", default="KILL")
  parser.add_argument("--seed", type=int, default=0)
  arguments = parser.parse_args()
  arguments.folder.mkdir(parents=True, exist_ok=True)
  steps = max(300, 50 * arguments.kills)
  unbroken = arguments.folder / "unbroken"
  if not unbroken.exists():
    code = exit_code(start(unbroken, arguments.folder / "unbroken.log", steps))
    assert code == 0, f"the unbroken run ended with {code}"
  number = getattr(signal, f"SIG{arguments.signal}")
  rng = random.Random(arguments.seed)
  log = arguments.folder / f"{arguments.signal}.log"
  interrupted(arguments.folder / arguments.signal, log, arguments.kills, number, rng, steps)


if __name__ == "__main__":
  main()
