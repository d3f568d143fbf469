"""Trains on several worker processes of this machine, as on several machines.

    python -m launch.local --workers=2 -- --config=experiments/vision/lenet5.py --workdir=/tmp/lenet5

What stands behind `--` is the command line of `dlsuite.main`. The chief's output is shown; `--all_output` shows everybody's,
each line with its rank. If one process dies, the others are ended, and with `--restarts=N` all start again from the newest
checkpoint. Ctrl-C and SIGTERM reach all of them: the state is saved. The exit code is that of the process that failed first.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from dlsuite.errors import DlsuiteError
from launch.cluster import tf_config
from launch.errors import LaunchError
from launch.say import complain
from launch.supervise import Group, Ports

_NOT_AGAIN = (0, 2, 3, 75)  # done, bad input, diverged, asked to stop


class _Parser(argparse.ArgumentParser):
  """A parser whose errors are ours."""

  def error(self, message: str) -> NoReturn:
    """Raises LaunchError."""
    raise LaunchError(message)


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Returns the launcher's flags, and the trainer's.

  Raises:
    LaunchError: one line on what is wrong.
  """
  parser = _Parser(prog="python -m launch.local", allow_abbrev=False, epilog="-- and the command line of dlsuite.main",
                   description="Trains on several worker processes of this machine.")
  parser.add_argument("--workers", type=int, default=2, help="how many processes")
  parser.add_argument("--gpus", type=int, default=0, help="GPUs of each, of those in CUDA_VISIBLE_DEVICES or of all in turn; "
                      "else each sees what this process does")
  parser.add_argument("--restarts", type=int, default=0, help="how often all start again after one has died")
  parser.add_argument("--all_output", action="store_true", help="show every process's output, not the chief's alone")
  parser.add_argument("--grace_seconds", type=float, default=60.0, help="until a process that was asked to end is killed")
  cut = list(argv).index("--") if "--" in argv else len(argv)
  options, trainer = parser.parse_args(list(argv[:cut])), list(argv[cut + 1:])
  for name, least in (("workers", 1), ("gpus", 0), ("restarts", 0)):
    if getattr(options, name) < least:
      raise LaunchError(f"--{name}={getattr(options, name)} must be at least {least}")
  if not 0 <= options.grace_seconds < math.inf:
    raise LaunchError(f"--grace_seconds={options.grace_seconds:g} must be a finite number of at least 0")
  if not trainer:
    raise LaunchError("the trainer's flags are missing: give them behind --, e.g. launch.local --workers=2 -- --config=... "
                      "--workdir=...")
  if given := [item for item in trainer if item.startswith(("--config.strategy.kind", "--config.strategy.devices"))]:
    raise LaunchError(f"{given[0]} is the launcher's to say: it starts --workers processes of --gpus GPUs each")
  _check(trainer, options)
  trainer.append("--config.strategy.kind=workers")
  return options, trainer


def _check(trainer: Sequence[str], options: argparse.Namespace) -> None:
  """Refuses here, in one line, what every process would refuse for itself."""
  from dlsuite import flags
  from dlsuite.checks import check_batch

  devices = max(1, options.gpus)
  for name, config in flags.parse(list(trainer)).stages.items():
    check_batch(config, options.workers * devices, f"{options.workers} workers x {devices} devices",
                f"stage {name}: " if name else "")


def _gpus(each: int, rank: int) -> dict[str, str]:
  """Returns what shows a worker so many GPUs of its own; nothing where each shall see all.

  Raises:
    LaunchError: if CUDA_VISIBLE_DEVICES names too few.
  """
  if not each:
    return {}
  text, end = os.environ.get("CUDA_VISIBLE_DEVICES"), (rank + 1) * each
  visible = [str(i) for i in range(end)] if text is None else list(filter(None, text.split(",")))
  if len(visible) < end:  # an empty text hides them all
    raise LaunchError(f"--gpus={each}: worker {rank} would be without, CUDA_VISIBLE_DEVICES={text} names {len(visible)}")
  return {"CUDA_VISIBLE_DEVICES": ",".join(visible[end - each:end])}


def run(options: argparse.Namespace, command: Sequence[str]) -> int:
  """Starts the processes until they end well, or have failed too often; returns the exit code."""
  for attempt in range(options.restarts + 1):
    with Ports(options.workers) as ports:
      addresses = [f"127.0.0.1:{port}" for port in ports.numbers]
      environments = [os.environ | {"TF_CONFIG": tf_config(addresses, rank)} | _gpus(options.gpus, rank)
                      for rank in range(options.workers)]
      ports.release()
      group = Group(command, environments, options.all_output, options.grace_seconds)
      code = group.run()
    if code in _NOT_AGAIN or group.signalled or attempt == options.restarts:
      return _ended(group, code, options)
    complain(f"launch: worker {group.failed} ended with code {code}; all start again ({attempt + 1} of {options.restarts})")
  return 0


def _ended(group: Group, code: int, options: argparse.Namespace) -> int:
  if code and group.failed is not None and not group.signalled:
    complain(f"launch: worker {group.failed} ended with code {code}")
    if options.workers > 1 and not options.all_output and group.failed:
      complain(group.tail(group.failed))
  return code


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command and returns its exit code."""
  try:
    options, trainer = parse(sys.argv[1:] if argv is None else argv)
    return run(options, [sys.executable, "-m", "dlsuite.main", *trainer])
  except DlsuiteError as e:
    complain(f"launch: {e}")
    return e.exit_code


if __name__ == "__main__":
  sys.exit(main())
