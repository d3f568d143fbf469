"""The part of a TPU job that runs on the machine with the TPU; `launch.tpu_vm` and `launch/tpu_vm.sh` call it over ssh.

    python -m launch.on_vm run --name=N --topology=v5e-8 --run=gs://.../lenet5 --data_dir=gs://.../data -- --config=...
    python -m launch.on_vm stop --name=N --run=gs://.../lenet5

`run` starts the training unless it goes on already, or has ended while nobody looked on, then prints its log until it ends: a
broken connection stops nothing, the same command looks on again. The training belongs to a process of its own that prepares the
data and leaves the trainer's exit code; the run itself lies in the bucket.
"""

import argparse
import fcntl
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import IO

from ml_collections import ConfigDict

from dlsuite import flags
from dlsuite.errors import DlsuiteError
from launch import data, prepare, topology
from launch.bucket import Bucket
from launch.errors import LaunchError
from launch.shell import Shell

ENDED = "launch: the trainer ended with code "
BUSY = "launch: this TPU trains "
LOST = 70  # EX_SOFTWARE of sysexits.h: whoever looked after the training is gone
_GRACE = 10.0  # seconds until a supervisor that was started must be seen


class Job:
  """The folder of a job on this machine."""

  def __init__(self, name: str) -> None:
    self.folder = pathlib.Path.home() / "dlsuite-job" / name
    self.reported = self.folder / "reported"  # that somebody has been told the exit code
    self.log, self._code, self._pid = self.folder / "log.txt", self.folder / "exit_code", self.folder / "pid"
    self._run = self.folder / "run"

  @property
  def run(self) -> str:
    """The address of the run that the job was last started for; empty if never."""
    return self._run.read_text() if self._run.exists() else ""

  def renew(self, run: str) -> None:
    """Makes the folder ready for a start; the log of another run is not gone on with."""
    self.folder.mkdir(parents=True, exist_ok=True)
    self.leave(None)
    if self.run != run:
      self.log.unlink(missing_ok=True)
      self._run.write_text(run)

  def hold(self) -> IO[str]:
    """Marks this process as the one that looks after the job, until it ends.

    Raises:
      BlockingIOError: if another one does.
    """
    self.folder.mkdir(parents=True, exist_ok=True)
    held = open(self._pid, "a+", encoding="utf-8")  # noqa: SIM115 - held open while the process lives
    for attempt in range(20):  # `is_alive` of another process holds the lock for an instant
      try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
      except BlockingIOError:
        if attempt == 19:
          held.close()
          raise
        time.sleep(0.1)
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held

  def is_alive(self) -> bool:
    """Whether a process looks after the job."""
    try:
      with open(self._pid, encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
      return False
    except BlockingIOError:
      return True
    return False

  def terminate(self) -> None:
    """Asks the process that looks after the job to end."""
    text = self._pid.read_text() if self.is_alive() else ""
    if text.isdigit():
      os.kill(int(text), signal.SIGTERM)

  @property
  def code(self) -> int | None:
    """The exit code that the training left."""
    try:
      return int(self._code.read_text())
    except (OSError, ValueError):
      return None

  def leave(self, code: int | None) -> None:
    """Leaves the exit code, or takes away that of an earlier start."""
    if code is None:
      self._code.unlink(missing_ok=True)
      self.reported.unlink(missing_ok=True)
      return
    part = self._code.with_name("exit_code.part")
    part.write_text(str(code))
    os.replace(part, self._code)


def run(options: argparse.Namespace) -> int:
  """Starts the job unless it goes on, shows its log, and returns its exit code; 2 if another run goes on here."""
  job = Job(options.name)
  alive = job.is_alive()
  if alive and job.run != options.run:
    print(f"{BUSY}{job.run}, not {options.run}: give another --name", flush=True)
    return 2
  if not alive and (job.code is None or job.reported.exists() or job.run != options.run):
    job.renew(options.run)
    with open(job.log, "a", encoding="utf-8") as log:
      subprocess.Popen([sys.executable, "-m", "launch.on_vm", "supervise", *options.given], stdin=subprocess.DEVNULL,
                       stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + _GRACE
    while not job.is_alive() and job.code is None and time.monotonic() < deadline:
      time.sleep(0.05)
  code = _follow(job, options.after, options.numbered)
  print(f"{ENDED}{code}", flush=True)
  job.reported.touch()  # only now: a broken connection makes the line before fail
  return code


def _follow(job: Job, after: int, numbered: bool) -> int:
  """Prints the job's log from a line on, until the job has ended; returns its exit code."""
  number = 0
  with open(job.log, encoding="utf-8", errors="replace") as log:
    rest = ""
    while True:
      over = job.code is not None or not job.is_alive()
      while piece := log.readline():
        rest += piece
        if not rest.endswith("\n"):
          break
        number += 1
        if number > after:
          print(f"{number}\t{rest}" if numbered else rest, end="", flush=True)
        rest = ""
      if over:
        return LOST if job.code is None else job.code
      time.sleep(0.2)


def supervise(options: argparse.Namespace) -> int:
  """Trains to the end and leaves the exit code."""
  job, shell = Job(options.name), Shell()
  try:
    held = job.hold()
  except BlockingIOError:
    return 0  # another start was faster
  with held:
    try:
      code = _train(job, shell, options)
    except DlsuiteError as e:
      shell.note(str(e))
      code = e.exit_code
    job.leave(code)
  return code


def _train(job: Job, shell: Shell, options: argparse.Namespace) -> int:
  environment = os.environ | {"TFDS_DATA_DIR": options.data_dir, "PYTHONUNBUFFERED": "1"}
  parsed = topology.parse(options.topology)
  stages = flags.parse([*options.trainer, "--mode=describe"]).stages
  topology.check_stages(parsed, stages)  # tpu_vm.sh has not looked; what is wrong is said before data are prepared
  if code := _prepare(shell, options, environment, stages):
    return code
  _remove_locks(shell, options.run)
  environment |= topology.environment(parsed, options.name, _libtpu_path(parsed))
  trainer = subprocess.Popen([sys.executable, "-m", "dlsuite.main", *options.trainer, f"--workdir={options.run}"],
                             env=environment, stdin=subprocess.DEVNULL)
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: trainer.send_signal(signal.SIGTERM))
  code = trainer.wait()
  return code if code >= 0 else 128 - code


def _remove_locks(shell: Shell, run: str) -> None:
  """Removes what a trainer left in the run whose machine was taken away; minutes later its lock would lapse by itself.

  No other trainer can be at work: the launcher holds the workdir, and of one machine this process is the only one.
  """
  for lock in (f"{run}/.lock", f"{run}/*/.lock"):  # of a run, and of the stages of a chain
    shell.run(["gcloud", "storage", "rm", lock, "--quiet"])


def _prepare(shell: Shell, options: argparse.Namespace, environment: dict[str, str], stages: Mapping[str, ConfigDict]) -> int:
  """Prepares the data sets that nobody has prepared before; returns an exit code other than 0 if that fails."""
  folder = Bucket(shell, options.data_dir)
  for name in data.names(stages) if options.prepare == "once" else ():
    if code := prepare.once(shell, folder, name, options.run, [sys.executable, "-m", "launch.data", name], environment):
      return code
  return 0


def _libtpu_path(parsed: topology.Topology) -> str:
  if parsed.is_pod:
    return ""
  spec = importlib.util.find_spec("libtpu")
  if spec is None or not spec.submodule_search_locations:
    raise LaunchError("libtpu is not installed here: run launch/install.sh")
  return str(pathlib.Path(next(iter(spec.submodule_search_locations))) / "libtpu.so")


def stop(options: argparse.Namespace) -> int:
  """Asks the training to save its state and end, and waits for that; one of another run is left alone."""
  job = Job(options.name)
  if job.run != options.run:
    print(f"launch: this TPU does not train {options.run}", flush=True)
    return 0
  deadline = time.monotonic() + options.seconds
  job.terminate()
  while job.is_alive() and time.monotonic() < deadline:
    time.sleep(0.2)
  print(f"{ENDED}{LOST if job.code is None else job.code}", flush=True)
  return 0


def parse(argv: list[str]) -> argparse.Namespace:
  """Parses the command line; what stands behind `--` is the trainer's."""
  parser = argparse.ArgumentParser(prog="python -m launch.on_vm", allow_abbrev=False)
  parser.add_argument("do", choices=("run", "supervise", "stop"))
  parser.add_argument("--name", required=True, help="the TPU node's name")
  parser.add_argument("--topology", default="")
  parser.add_argument("--run", default="", help="the run's folder in the bucket")
  parser.add_argument("--data_dir", default="", help="the folder of the data sets in the bucket")
  parser.add_argument("--prepare", choices=("once", "never"), default="once", help="what of data sets that are not there")
  parser.add_argument("--after", type=int, default=0, help="how many lines of the log are known already")
  parser.add_argument("--numbered", action="store_true", help="put its number and a tab before each line of the log")
  parser.add_argument("--seconds", type=float, default=300.0, help="how long stop waits")
  ours, _, trainer = (argv[:argv.index("--")], "--", argv[argv.index("--") + 1:]) if "--" in argv else (argv, "", [])
  options = parser.parse_args(ours)
  options.trainer = trainer
  options.given = argv[1:]
  return options


def main(argv: list[str] | None = None) -> int:
  """Does one of run, supervise and stop, and returns the exit code."""
  options = parse(sys.argv[1:] if argv is None else argv)
  return {"run": run, "supervise": supervise, "stop": stop}[options.do](options)


if __name__ == "__main__":
  sys.exit(main())
