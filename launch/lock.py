"""One job a workdir: an object in the bucket that says who works on it.

A lock belongs to the process that made it. It is taken over without a question where that process ran on this machine, in this
container, for this user, and is no more; any other one stays until its owner is done or somebody says `--break_lock`: from here
nobody can see whether a process of another machine lives. `launch/tpu_vm.sh` writes and reads the same.
"""

import datetime
import json
import os
import platform
import re

from dlsuite.runs import process
from launch.bucket import Bucket, as_object
from launch.errors import LaunchError


class Lock:
  """The lock of one workdir; a context manager.

  Args:
    bucket: where the workdir lies.
    path: of the lock in it.
    breaking: whether a lock of somebody else is taken away.
  """

  def __init__(self, bucket: Bucket, path: str, breaking: bool = False) -> None:
    self._bucket, self._path, self._breaking, self._generation = bucket, path, breaking, ""

  def __enter__(self) -> "Lock":
    """Takes the lock.

    Raises:
      LaunchError: if another job has it, or the bucket cannot be written.
    """
    owner = _owner()
    for _ in range(3):  # another job may take it between our look and our try
      generation = self._bucket.create(self._path, json.dumps(owner))
      if generation is not None:
        self._generation = generation
        return self
      there = self._bucket.generation(self._path)
      holder = as_object(self._bucket.read(self._path))
      if holder == owner and there:  # gcloud got no answer and asked again: it was refused for what it had written itself
        self._generation = there
        return self
      if not self._breaking and holder and not _is_dead(holder):
        raise self._held(holder)
      if there:
        self._bucket.remove(self._path, there)
    raise self._held(as_object(self._bucket.read(self._path)))

  def _held(self, holder: dict[str, str]) -> LaunchError:
    return LaunchError(f"{self._bucket.at(self._path)}: the workdir is in use by {holder.get('owner')}@{holder.get('host')} "
                       f"(process {holder.get('process')}, since {holder.get('since')}); give another --workdir, or "
                       "--break_lock if that job is no more")

  def __exit__(self, *_: object) -> None:
    """Gives the lock back, unless somebody broke it."""
    if self._generation:
      self._bucket.remove(self._path, self._generation)


def _owner() -> dict[str, str]:
  now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
  return {"owner": process.user(), "host": platform.node(), "process": str(os.getpid()), "since": now,
          "machine": process.machine(), "process_start": process.start_of(os.getpid())}


def _is_dead(holder: dict[str, str]) -> bool:
  """Whether a lock's holder was a process of this machine and user that is no more; False where that cannot be seen."""
  number = holder.get("process", "")
  return (holder.get("owner") == process.user() and re.fullmatch("[0-9]{1,9}", number) is not None
          and process.is_gone(number, holder.get("process_start"), holder.get("machine")))
