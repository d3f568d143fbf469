"""The files of one run: config.json, provenance.json, metrics.jsonl, result.json, log.txt, figures/, checkpoints/.

The folder may be remote (`gs://bucket/run`); `dlsuite.runs.files` knows the difference.
"""

import json
import logging
import pathlib
from collections.abc import Collection
from typing import Any

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite import identity
from dlsuite.errors import WorkdirError
from dlsuite.runs import files
from dlsuite.runs.files import Path, write_text
from dlsuite.runs.growing import Growing, growing
from dlsuite.runs.lock import Lock

_LOCK = ".lock"


def check_chain_folder(workdir: str, stages: Collection[str]) -> None:
  """Looks whether a folder can hold the runs of a chain's stages.

  Raises:
    WorkdirError: if it holds anything else.
  """
  folder = files.hurried(files.path(workdir))
  try:
    others = sorted(path.name for path in folder.iterdir() if path.name not in stages) if folder.is_dir() else []
  except OSError as e:
    raise WorkdirError(f"--workdir={folder} cannot be read: {e.strerror}") from None
  if others:
    raise WorkdirError(f"--workdir={folder} holds {others[0]}, which is no stage of this chain ({', '.join(stages)}): give a "
                       "new folder")


def _is_ours(path: Path) -> bool:
  """Returns whether `Record.open` may have made this before a kill kept it from writing config.json."""
  return path.name in ("checkpoints", "figures", "frames", "log.txt", _LOCK) or path.name.endswith(".part")


class _RemoteLog(logging.Handler):
  """Sends the log's lines to a file that an object store holds."""

  def __init__(self, lines: Growing) -> None:
    super().__init__()
    self._lines = lines

  def emit(self, record: logging.LogRecord) -> None:
    self._lines.add(self.format(record) + "\n")

  def flush(self) -> None:
    self._lines.flush()


class Record:
  """One run's folder.

  Args:
    workdir: the folder.
    config: the run's config.
    active: whether this process writes (the chief of several workers does).
  """

  def __init__(self, workdir: str, config: ConfigDict, active: bool = True) -> None:
    self.folder = files.path(workdir)
    self.config = config_lib.to_json(config)
    self.fingerprint = identity.fingerprint(self.config)
    self.active = active
    self._log: logging.Handler | None = None
    self._metrics = growing(self.folder / "metrics.jsonl")
    self._lock = Lock(self.folder / _LOCK)

  @property
  def checkpoints(self) -> Path:
    """The folder of the checkpoints."""
    return self.folder / "checkpoints"

  @property
  def frames(self) -> Path:
    """The folder of the film's pictures, one an evaluation."""
    return self.folder / "frames"

  @property
  def figures(self) -> Path:
    """The folder of the figures."""
    return self.folder / "figures"

  def check(self, mode: str = "train") -> None:
    """Looks whether the folder can be used for a `--mode`, and writes nothing.

    Raises:
      WorkdirError: if the folder holds another run or another program's files, cannot be written, or holds no run that could
        be looked at.
    """
    must_exist = mode != "train"
    folder = files.hurried(self.folder)
    stored = folder / "config.json"
    try:
      if folder.exists() and not folder.is_dir():
        raise WorkdirError(f"--workdir={self.folder} is a file, not a folder")
      if stored.exists():
        self._compare(stored, mode)
      elif must_exist:
        raise WorkdirError(f"--workdir={self.folder} holds no run (no config.json): train one with --mode=train first")
      elif folder.is_dir() and any(not _is_ours(path) for path in folder.iterdir()):
        raise WorkdirError(f"--workdir={self.folder} is not empty and holds no run: give a new folder")
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} cannot be read: {e.strerror}") from None
    try:
      files.check_writable(folder)
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} is not writable: {e.strerror}") from None

  def _compare(self, stored: Path, mode: str) -> None:
    try:
      theirs = json.loads(stored.read_text())
    except ValueError:
      raise WorkdirError(f"{stored} is not JSON: the folder is damaged; give another --workdir") from None
    differing = identity.differing_keys(self.config, theirs, identity.looking_keys(self.config, mode))
    if differing:
      shown = ", ".join(differing[:6]) + (f" and {len(differing) - 6} more" if len(differing) > 6 else "")
      raise WorkdirError(f"--workdir={self.folder} holds a run of another config: {shown}; give another --workdir")
    if mode != "train":
      self.fingerprint = identity.fingerprint(theirs)  # that of the checkpoints

  def open(self, provenance: dict[str, Any]) -> None:
    """Makes the folder, writes config.json and adds this start to provenance.json.

    Raises:
      WorkdirError: if that fails.
    """
    if not self.active:
      return
    try:
      self._open(provenance)
    except WorkdirError:
      self._lock.release()
      raise

  def _open(self, provenance: dict[str, Any]) -> None:
    try:
      self.checkpoints.mkdir(parents=True, exist_ok=True)
      self.figures.mkdir(exist_ok=True)
      self._lock.take()
      for part in (*self.folder.glob(".*.part"), *self.checkpoints.glob(".*.part")):
        part.unlink()
      log = self.folder / "log.txt"
      self._log = logging.FileHandler(log) if isinstance(log, pathlib.Path) else _RemoteLog(growing(log))
    except OSError as e:
      raise WorkdirError(f"--workdir={self.folder} is not writable: {e.strerror}") from None
    self._log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger("dlsuite").addHandler(self._log)
    if not (self.folder / "config.json").exists():
      write_text(self.folder / "config.json", json.dumps(self.config, indent=2) + "\n")
    starts = self.provenance()
    write_text(self.folder / "provenance.json", json.dumps([*starts, provenance], indent=2) + "\n")

  def flush(self) -> None:
    """Comes back when all rows and log lines so far are in their files: called before each checkpoint, which stands for them.

    Raises:
      WorkdirError: if they cannot be written, or another process has taken the folder over.
    """
    self._lock.check()
    self._metrics.flush()
    if self._log is not None:
      self._log.flush()

  def close(self) -> None:
    """Lets go of the folder."""
    try:
      if self._log is not None:
        logging.getLogger("dlsuite").removeHandler(self._log)
        self.flush()
        self._log.close()
        self._log = None
    finally:
      self._lock.release()

  def provenance(self) -> list[dict[str, Any]]:
    """Returns one entry for each start of the run."""
    path = self.folder / "provenance.json"
    try:
      return json.loads(path.read_text()) if path.exists() else []
    except ValueError:
      return []

  def rows(self) -> list[dict[str, Any]]:
    """Returns the rows of metrics.jsonl."""
    self._metrics.flush()
    path = self.folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

  def append(self, row: dict[str, Any]) -> None:
    """Adds a row to metrics.jsonl.

    Raises:
      WorkdirError: if it cannot be written.
    """
    if self.active:
      self._metrics.add(json.dumps(row) + "\n")

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
    self._metrics = growing(path)

  def result(self) -> dict[str, Any] | None:
    """Returns result.json, or None if the run has not come to its end."""
    path = self.folder / "result.json"
    return json.loads(path.read_text()) if path.exists() else None

  def save_result(self, result: dict[str, Any]) -> None:
    """Writes result.json."""
    if self.active:
      write_text(self.folder / "result.json", json.dumps(result, indent=2) + "\n")
