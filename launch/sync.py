"""Copies a run's folder between a machine that may vanish and a bucket, so that what the bucket holds is a run that can go on.

A run goes on from its newest state and the rows of metrics.jsonl up to that state's step; where there is a result, it is over.
So at every instant the bucket must hold no result newer than its states, and no state newer than its metrics. The folder is
copied beside itself in the order result, checkpoints, all else; the copies go to the bucket in the order all else, states,
result; only then what is no more is removed there.
"""

import os
import pathlib
import shutil
from collections.abc import Iterator

from launch.bucket import is_absent
from launch.errors import FailedError
from launch.gcloud import reason
from launch.shell import Shell

_RESULT = "result.json"
_LATE = (r"(.*/)?checkpoints/state_[^/]*$|(.*/)?result\.json$", r"(.*/)?result\.json$")
_TRIES = 20


def snapshot(workdir: pathlib.Path, copy: pathlib.Path) -> None:
  """Makes a copy of a run's folder that a run could go on from, while the run goes on.

  Raises:
    FailedError: if the checkpoints never stand still.
  """
  for _ in range(_TRIES):
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    try:
      for path in workdir.glob(f"**/{_RESULT}"):
        _place(path, workdir, copy)
      before = sorted(_checkpoints(workdir))
      for path in before:
        _place(path, workdir, copy, link=True)  # each is written once, whole: a second name for it is a copy
    except FileNotFoundError:  # an old checkpoint was removed meanwhile
      continue
    if before == sorted(_checkpoints(workdir)):
      break
  else:
    raise FailedError(f"{workdir}: the checkpoints change faster than they can be copied; set checkpoint.every_steps higher")
  for path in _others(workdir):
    try:
      _place(path, workdir, copy)
    except FileNotFoundError:
      continue


def _checkpoints(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
  return (path for path in workdir.glob("**/checkpoints/*.npz") if not path.name.startswith("."))


def _others(workdir: pathlib.Path) -> Iterator[pathlib.Path]:
  for path in sorted(workdir.rglob("*")):
    if path.is_file() and path.name != _RESULT and path.parent.name != "checkpoints" and not _passing(path):
      yield path


def _passing(path: pathlib.Path) -> bool:
  """Whether a file means something only to the process that made it."""
  return path.name == ".lock" or path.name.endswith(".part")


def _place(path: pathlib.Path, workdir: pathlib.Path, copy: pathlib.Path, link: bool = False) -> None:
  target = copy / path.relative_to(workdir)
  target.parent.mkdir(parents=True, exist_ok=True)
  if link:
    os.link(path, target)
  else:
    shutil.copy2(path, target)


def push(shell: Shell, workdir: pathlib.Path, copy: pathlib.Path, url: str) -> str:
  """Copies a run's folder to the bucket; returns why that failed, or an empty string."""
  if not workdir.is_dir():
    return ""
  snapshot(workdir, copy)
  steps = [[f"--exclude={late}"] for late in _LATE] + [["--delete-unmatched-destination-objects"]]
  for options in steps:
    answer = shell.run(["gcloud", "storage", "rsync", "--recursive", *options, "--quiet", str(copy), url])
    if answer.code:
      return reason(answer)
  return ""


def pull(shell: Shell, url: str, workdir: pathlib.Path) -> bool:
  """Copies a run's folder from the bucket, and returns whether there was one.

  The folder appears whole or not at all: of a run that seems to be absent, or of half a run, the next `push` would remove in the
  bucket what is not here.

  Raises:
    FailedError: if it cannot be copied, or cannot be seen to be absent.
  """
  there = shell.run(["gcloud", "storage", "ls", url + "/"])
  if there.code and is_absent(there):
    return False
  fetched = workdir.with_name(f"{workdir.name}.fetched")
  shutil.rmtree(fetched, ignore_errors=True)
  fetched.mkdir(parents=True)
  answer = there if there.code else shell.run(["gcloud", "storage", "rsync", "--recursive", "--quiet", url, str(fetched)])
  if answer.code:
    raise FailedError(f"{url} cannot be copied: {reason(answer)}")
  os.replace(fetched, workdir)
  return True
