"""The files of one run: config.json, provenance.json, metrics.jsonl, result.json, log.txt, figures/, checkpoints/."""

import contextlib
import datetime
import fcntl
import json
import logging
import os
import pathlib
import platform
import tempfile
from collections.abc import Collection
from typing import IO, Any

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import WorkdirError


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a small file so that at any instant it is the old one or the new one.

  Raises:
    WorkdirError: if it cannot be written.
  """
  part = path.with_name(f".{path.name}.part")
  try:
    with open(part, "w", encoding="utf-8") as f:
      f.write(text)
      f.flush()
      os.fsync(f.fileno())
    os.replace(part, path)
  except OSError as e:
    with contextlib.suppress(OSError):
      part.unlink(missing_ok=True)
    raise WorkdirError(f"{path} cannot be written: {e.strerror}") from e


_LOCK = ".lock"


def check_chain_folder(workdir: str, stages: Collection[str]) -> None:
  """Looks whether a folder can hold the runs of a chain's stages.

  Raises:
    WorkdirError: if it holds anything else.
  """
  folder = pathlib.Path(workdir).expanduser()
  others = sorted(path.name for path in folder.iterdir() if path.name not in stages) if folder.is_dir() else []
  if others:
    raise WorkdirError(f"--workdir={folder} holds {others[0]}, which is no stage of this chain ({', '.join(stages)}): give a "
                       "new folder")


def _is_ours(path: pathlib.Path) -> bool:
  """Returns whether `Record.open` may have made this before a kill kept it from writing config.json."""
  return path.name in ("checkpoints", "figures", "frames", "log.txt", _LOCK) or path.name.endswith(".part")


class Record:
  """One run's folder.

  Args:
    workdir: the folder.
    config: the run's config.
    active: whether this process writes (the chief of several workers does).
  """

  def __init__(self, workdir: str, config: ConfigDict, active: bool = True) -> None:
    self.folder = pathlib.Path(workdir).expanduser()
    self.config = config_lib.to_json(config)
    self.fingerprint = config_lib.fingerprint(self.config)
    self.active = active
    self._log: logging.FileHandler | None = None
    self._lock: IO[str] | None = None

  @property
  def checkpoints(self) -> pathlib.Path:
    """The folder of the checkpoints."""
    return self.folder / "checkpoints"

  @property
  def frames(self) -> pathlib.Path:
    """The folder of the film's pictures, one an evaluation."""
    return self.folder / "frames"

  @property
  def figures(self) -> pathlib.Path:
    """The folder of the figures."""
    return self.folder / "figures"

  def check(self, must_exist: bool = False) -> None:
    """Looks whether the folder can be used, and writes nothing.

    Raises:
      WorkdirError: if the folder holds another run or another program's files, cannot be written, or (with
        `must_exist`) holds no run.
    """
    stored = self.folder / "config.json"
    try:
      if self.folder.exists() and not self.folder.is_dir():
        raise WorkdirError(f"--workdir={self.folder} is a file, not a folder")
      if stored.exists():
        self._compare(stored)
      elif must_exist:
        raise WorkdirError(f"--workdir={self.folder} holds no run (no config.json): train one with --mode=train first")
      elif self.folder.is_dir() and any(not _is_ours(path) for path in self.folder.iterdir()):
        raise WorkdirError(f"--workdir={self.folder} is not empty and holds no run: give a new folder")
      self._check_writable()
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} cannot be read: {e.strerror}") from None

  def _compare(self, stored: pathlib.Path) -> None:
    try:
      theirs = json.loads(stored.read_text())
    except ValueError:
      raise WorkdirError(f"{stored} is not JSON: the folder is damaged; give another --workdir") from None
    differing = config_lib.differing_keys(self.config, theirs)
    if differing:
      shown = ", ".join(differing[:6]) + (f" and {len(differing) - 6} more" if len(differing) > 6 else "")
      raise WorkdirError(f"--workdir={self.folder} holds a run of another config: {shown}; give another --workdir")

  def _check_writable(self) -> None:
    existing = self.folder
    while not existing.exists():
      existing = existing.parent
    try:
      with tempfile.TemporaryFile(dir=existing):
        pass
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} is not writable: {e.strerror}") from None

  def open(self, provenance: dict[str, Any]) -> None:
    """Makes the folder, writes config.json and adds this start to provenance.json.

    Raises:
      WorkdirError: if that fails.
    """
    if not self.active:
      return
    try:
      self.checkpoints.mkdir(parents=True, exist_ok=True)
      self.figures.mkdir(exist_ok=True)
      self._take_lock()
      for part in (*self.folder.glob(".*.part"), *self.checkpoints.glob(".*.part")):
        part.unlink()
      self._log = logging.FileHandler(self.folder / "log.txt")
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} is not writable: {e.strerror}") from None
    self._log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("dlsuite").addHandler(self._log)
    if not (self.folder / "config.json").exists():
      write_text(self.folder / "config.json", json.dumps(self.config, indent=2) + "\n")
    starts = self.provenance()
    write_text(self.folder / "provenance.json", json.dumps([*starts, provenance], indent=2) + "\n")

  def _take_lock(self) -> None:
    """Locks the folder until `close` or the end of the process, however it ends."""
    lock = open(self.folder / _LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - held open while the run goes on
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      lock.seek(0)
      owner = lock.read().strip()
      lock.close()
      raise WorkdirError(f"--workdir={self.folder} is in use by another process ({owner}); give another --workdir") from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {platform.node()} since {datetime.datetime.now():%Y-%m-%d %H:%M:%S}")
    lock.flush()
    self._lock = lock

  def close(self) -> None:
    """Lets go of the folder."""
    if self._log is not None:
      logging.getLogger("dlsuite").removeHandler(self._log)
      self._log.close()
      self._log = None
    if self._lock is not None:
      self._lock.close()
      self._lock = None

  def provenance(self) -> list[dict[str, Any]]:
    """Returns one entry for each start of the run."""
    path = self.folder / "provenance.json"
    try:
      return json.loads(path.read_text()) if path.exists() else []
    except ValueError:
      return []

  def rows(self) -> list[dict[str, Any]]:
    """Returns the rows of metrics.jsonl."""
    path = self.folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

  def append(self, row: dict[str, Any]) -> None:
    """Adds a row to metrics.jsonl.

    Raises:
      WorkdirError: if it cannot be written.
    """
    if self.active:
      try:
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as f:
          f.write(json.dumps(row) + "\n")
      except OSError as e:
        raise WorkdirError(f"{self.folder / 'metrics.jsonl'} cannot be written: {e.strerror}") from e

  def truncate(self, step: int) -> None:
    """Removes the rows after a step, which a resumed run will write again, and a half-written last line."""
    path = self.folder / "metrics.jsonl"
    if not self.active or not path.exists():
      return
    kept = []
    for line in path.read_text().splitlines():
      try:
        if json.loads(line)["step"] <= step:
          kept.append(line)
      except ValueError:
        continue
    write_text(path, "".join(line + "\n" for line in kept))

  def result(self) -> dict[str, Any] | None:
    """Returns result.json, or None if the run has not come to its end."""
    path = self.folder / "result.json"
    return json.loads(path.read_text()) if path.exists() else None

  def save_result(self, result: dict[str, Any]) -> None:
    """Writes result.json."""
    if self.active:
      write_text(self.folder / "result.json", json.dumps(result, indent=2) + "\n")
