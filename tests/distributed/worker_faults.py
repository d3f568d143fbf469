"""Runs on several worker processes to which something happens: a process of its own beside the tests that use it.

    python -m tests.distributed.worker_faults < orders

Every line of the input is an order, {"folder", "command", "workers", "faults", "seed"}; a fault is [what, rank], where `what`
is KILL, TERM or STOP (the signals; a stopped worker hangs), EARLY (KILL in the first seconds, while the workers look for each
other, build and trace), LATE (the worker starts two seconds after the others) or NONE. In turn each fault strikes a start of
the run, at a random instant. Every line of the output answers one: {"starts": [{"codes", "steps", "said", "wrote"}, ...]}, with
what each worker printed and the files each opened to write, or {"fault": text}.

TensorFlow is imported once; each worker is a fork of that process, made before its runtime starts.
"""

import json
import os
import pathlib
import random
import signal
import socket
import sys
import time

from tests.kill_harness import RunError, serve

_FAST = "--config.analyses=()", "--noconfig.callbacks.tensorboard"
_EARLY = 6.0  # seconds in which two workers make their first steps on a quiet machine
_OUTLIVES = 60.0  # seconds that a worker may outlive the one that was struck


def free_addresses(count):
  servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
  found = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
  for server in servers:
    server.close()
  return found


class Start:
  """One start of a run on all its workers."""

  def __init__(self, workdir, command, workers, late=()):
    self._workdir, self._command, self._logs = workdir, command, []
    addresses = free_addresses(workers)
    for rank in range(workers):
      self._logs.append(workdir.with_name(f"{workdir.name}-{rank}.log"))
      self._logs[rank].unlink(missing_ok=True)
    ranks = sorted(range(workers), key=lambda rank: rank in late)
    self.pids, self.codes = {}, {}
    for rank in ranks:
      if rank in late:
        time.sleep(2.0)
      self.pids[rank] = self._fork(rank, addresses)

  def _fork(self, rank, addresses):
    pid = os.fork()
    if pid:
      return pid
    descriptor = os.open(self._logs[rank], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
      os.dup2(descriptor, number)
    code = 1
    try:
      from dlsuite import main as dlsuite_main

      os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}})
      self._report_writes()
      code = dlsuite_main.main([*self._command, "--config.strategy.kind=workers", f"--workdir={self._workdir}"])
      sys.stdout.flush()
    finally:
      os._exit(code)

  def _report_writes(self):
    """Has the process print what it changes below the workdir."""
    folder = str(self._workdir)

    def hook(event, arguments):
      changes = event in ("os.mkdir", "os.rename", "os.remove", "os.truncate", "os.symlink", "os.link", "os.rmdir") or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        and not os.path.isdir(arguments[0]))  # a file without a name tries whether the folder can be written to
      if changes and str(arguments[0]).startswith(folder):
        print("WRITES", event, arguments[0], flush=True)

    sys.addaudithook(hook)

  def ended(self, rank):
    """Returns whether a worker has ended."""
    if rank not in self.codes:
      pid, status = os.waitpid(self.pids[rank], os.WNOHANG)
      if pid:
        self.codes[rank] = os.waitstatus_to_exitcode(status)
    return rank in self.codes

  def wait(self, ranks, seconds):
    """Waits until some workers have ended; kills all, and raises RunError, if they do not."""
    deadline = time.monotonic() + seconds
    while not all(self.ended(rank) for rank in ranks):
      if time.monotonic() > deadline:
        still = [rank for rank in ranks if not self.ended(rank)]
        self.kill()
        raise RunError(f"workers {still} had not ended after {seconds:.0f} s: {self.said()}")
      time.sleep(0.01)

  def kill(self):
    for rank, pid in self.pids.items():
      if not self.ended(rank):
        os.kill(pid, signal.SIGKILL)
        self.codes[rank] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

  def said(self):
    return [log.read_text()[-4000:] for log in self._logs]

  def answer(self):
    said = [log.read_text() for log in self._logs]
    return {"codes": [self.codes[rank] for rank in range(len(self._logs))], "steps": steps_saved(self._workdir),
            "said": [text[-4000:] for text in said],
            "wrote": [[line for line in text.splitlines() if line.startswith("WRITES")] for text in said]}


def steps_saved(workdir):
  return max((int(path.stem.partition("_")[2]) for path in workdir.glob("checkpoints/state_*.npz")), default=0)


def strike(start, workdir, what, rank, target, pause):
  """Does to a running start what the fault says, once `target` steps are saved; waits until all workers have ended."""
  everyone = list(start.pids)
  deadline = time.monotonic() + 120
  while steps_saved(workdir) < target and time.monotonic() < deadline:
    if any(start.ended(r) for r in everyone):
      start.kill()
      raise RunError(f"a worker ended before it was struck ({start.codes}): {start.said()}")
    time.sleep(0.003)
  time.sleep(pause)
  os.kill(start.pids[rank], getattr(signal, f"SIG{what}"))
  others = [r for r in everyone if r != rank]
  start.wait(others if what == "STOP" else everyone, _OUTLIVES)
  start.kill()


def carry_out(folder, command, workers, faults, seed):
  """Returns what each start did: those that were struck, and the last."""
  folder.mkdir(parents=True, exist_ok=True)
  command, rng = [*command, *_FAST], random.Random(seed)
  unbroken = folder / "unbroken"
  if not unbroken.exists():
    start = Start(unbroken, command, workers)
    start.wait(list(start.pids), 300)
    if set(start.codes.values()) != {0}:
      raise RunError(f"the unbroken run ended with {start.codes}: {start.said()}")
  total, broken, found = steps_saved(unbroken), folder / "broken", []
  for i, (what, rank) in enumerate(faults):
    start = Start(broken, [*command, "--config.checkpoint.every_steps=7"], workers, late=(rank,) if what == "LATE" else ())
    if what in ("LATE", "NONE"):
      start.wait(list(start.pids), 300)
    elif what == "EARLY":
      time.sleep(rng.uniform(0, _EARLY))
      os.kill(start.pids[rank], signal.SIGKILL)
      start.wait(list(start.pids), 55 + _OUTLIVES)
    else:
      # Each fault has its share of the steps, so that they reach from the first to the last.
      first = total * i // len(faults) + 1
      target = rng.randint(first, max(first, int(total * (i + 0.7)) // len(faults)))
      strike(start, broken, what, rank, target, rng.uniform(0, 0.05))
    found.append(start.answer())
  return found


def main():
  serve(lambda order: {"starts": carry_out(pathlib.Path(order["folder"]), order["command"], order["workers"], order["faults"],
                                           order["seed"])})


if __name__ == "__main__":
  main()
