"""One run a folder: a second one is refused with the name of the first.

On this machine the operating system holds the lock and lets it go with the process, however that ends. An object store has no
locks: there the lock is an object that names its owner, and that the owner writes anew every half minute. One that has been
left alone for three minutes is taken over, and at once if its owner was a process of this machine that has ended.

TensorFlow's file layer knows no "write if nobody has written since". Two runs that start within the same second may therefore
both write the lock; each reads it back after a pause, and the one that finds the other's gives way. Should the network hold
one of them up for longer than that pause, both run until their next heartbeats, when the one that finds the other's lock stops
before its next checkpoint. Clocks are taken to agree to within a minute.
"""

import datetime
import fcntl
import json
import logging
import os
import platform
import threading
import time
import uuid
from typing import IO, Any

from dlsuite.errors import InUseError, WorkdirError
from dlsuite.runs import process
from dlsuite.runs.files import Path
from dlsuite.runs.remote import RemotePath

_HEARTBEAT_SECONDS = 30.0
_STALE_SECONDS = 180.0
_SETTLE_SECONDS = 1.0  # for another's write to become visible before ours is believed


def _now() -> datetime.datetime:
  return datetime.datetime.now(datetime.timezone.utc)


def _owner() -> str:
  return f"process {os.getpid()} on {process.user()}@{platform.node()} since {datetime.datetime.now():%Y-%m-%d %H:%M:%S}"


def _in_use(folder: Path, owner: str, lapses: str = "") -> WorkdirError:
  error = InUseError if lapses else WorkdirError
  return error(f"--workdir={folder} is in use by another process ({owner}{lapses}); give another --workdir")


class Lock:
  """The lock of a folder.

  Args:
    path: of the lock, in the folder.
  """

  def __init__(self, path: Path) -> None:
    self._path = path
    self._file: IO[str] | None = None
    self._beat: _Heartbeat | None = None

  def take(self) -> None:
    """Locks the folder until `release`.

    Raises:
      WorkdirError: if another process holds the lock.
      OSError: if the lock cannot be written.
    """
    if isinstance(self._path, RemotePath):
      self._beat = _Heartbeat.begun(self._path)
      return
    lock = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115 - held open while the run goes on
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      lock.seek(0)
      owner = lock.read().strip()
      lock.close()
      raise _in_use(self._path.parent, owner) from None
    lock.truncate(0)
    lock.write(_owner())
    lock.flush()
    self._file = lock

  def check(self) -> None:
    """Looks whether the lock is still ours.

    Raises:
      WorkdirError: if another process has taken it over.
    """
    if self._beat is not None and self._beat.lost:
      raise WorkdirError(f"--workdir={self._path.parent} was taken over by another process ({self._beat.lost}), as this one "
                         "had not been seen for some minutes: this one stops")

  def release(self) -> None:
    """Lets go of the folder."""
    if self._file is not None:
      self._file.close()
      self._file = None
    if self._beat is not None:
      self._beat.end()
      self._beat = None


def _read(path: RemotePath) -> dict[str, Any] | None:
  """Returns the lock that is there, `refreshed` as a time.

  Raises:
    WorkdirError: if it says that somebody holds it, but not since when.
  """
  try:
    found = json.loads(path.read_text())
    if not {"token", "owner", "refreshed"} <= found.keys():
      return None
  except FileNotFoundError:
    return None
  except (ValueError, AttributeError):
    return None  # not of our making, or of a version that is gone
  try:
    refreshed = datetime.datetime.fromisoformat(found["refreshed"])
    return found | {"refreshed": refreshed if refreshed.tzinfo else refreshed.replace(tzinfo=datetime.timezone.utc)}
  except (ValueError, TypeError):
    raise WorkdirError(f"{path} is damaged (refreshed={found['refreshed']!r} is no time), so whether {found['owner']} still "
                       "runs cannot be seen; if not, remove it") from None


class _Heartbeat:
  """Keeps a lock object fresh from a thread of its own.

  Attributes:
    lost: who has taken the lock over, or empty.
  """

  def __init__(self, path: RemotePath, mine: dict[str, Any]) -> None:
    self._path, self._mine = path.hurried(), mine  # a beat that is late is made up for by the next
    self.lost = ""
    self._over = threading.Event()
    self._thread = threading.Thread(target=self._run, name="dlsuite lock", daemon=True)

  @classmethod
  def begun(cls, path: RemotePath) -> "_Heartbeat":
    """Takes the lock and starts to keep it fresh.

    Raises:
      WorkdirError: if another process holds it.
      OSError: if it cannot be read or written.
    """
    found = _read(path.hurried())
    if found is not None:
      idle = (_now() - found["refreshed"]).total_seconds()
      gone = process.is_gone(str(found.get("pid")), found.get("process_start"), found.get("machine"))
      if idle < _STALE_SECONDS and not gone:
        raise _in_use(path.parent, found["owner"], f", last seen {max(0, idle):.0f} s ago; if it is gone, its lock lapses in "
                      f"{_STALE_SECONDS - idle:.0f} s")
      why = "which has ended" if gone else f"last seen {idle:.0f} s ago"
      logging.getLogger("dlsuite").warning("%s: taking over the lock of %s, %s", path.parent, found["owner"], why)
    beat = cls(path, {"token": uuid.uuid4().hex, "owner": _owner(), "pid": os.getpid(),
                      "process_start": process.start_of(os.getpid()), "machine": process.machine()})
    beat._write()
    time.sleep(_SETTLE_SECONDS)
    if not beat._is_mine():
      raise _in_use(path.parent, beat.lost)
    beat._thread.start()
    return beat

  def _write(self) -> None:
    self._path.write_bytes(json.dumps({**self._mine, "refreshed": _now().isoformat(timespec="seconds")}, indent=2).encode())

  def _is_mine(self) -> bool:
    try:
      found = _read(self._path)
    except WorkdirError as e:  # not as this process writes it
      self.lost = str(e)
      return False
    if found is not None and found["token"] != self._mine["token"]:
      self.lost = found["owner"]
    return not self.lost

  def _run(self) -> None:
    while not self._over.wait(_HEARTBEAT_SECONDS):
      try:
        if not self._is_mine():
          return
        self._write()
      except OSError:  # the run itself meets the same fault, and says so
        continue

  def end(self) -> None:
    """Stops, and removes the lock if it is ours."""
    self._over.set()
    self._thread.join()
    try:
      if self._is_mine():
        self._path.unlink(missing_ok=True)
    except OSError as e:
      logging.getLogger("dlsuite").warning("%s cannot be removed: %s; it lapses in %.0f s", self._path, e.strerror,
                                           _STALE_SECONDS)
