"""Checkpoints: one file each, written whole or not at all, checked by its checksums when read.

A file is a NumPy archive (a zip, with a CRC-32 of each member) of every variable by group and index, and one JSON
member `meta`. Names that Keras generates change between processes, so arrays are keyed by index, and the paths stand in
`meta` for people and for `--init_from`.
"""

import dataclasses
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from dlsuite.errors import WorkdirError
from dlsuite.runs import files
from dlsuite.runs.files import Path
from dlsuite.runs.remote import RemoteError

Arrays = dict[str, np.ndarray]

_STATE = "state"  # everything a run needs to go on
_SELECTED = "selected"  # the weights that are evaluated
_TORN = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
  """What one file holds.

  Attributes:
    path: the file.
    step: the step after which it was written.
    arrays: {group/index: array}.
    meta: the JSON part.
  """

  path: Path
  step: int
  arrays: Arrays
  meta: dict[str, Any]


def collect(groups: Mapping[str, Sequence[Any]]) -> tuple[Arrays, dict[str, list[str]]]:
  """Returns the values of variables by `group/index`, and their paths by group."""
  arrays = {f"{group}/{i:04d}": np.asarray(v.numpy()) for group, variables in groups.items() for i, v in enumerate(variables)}
  return arrays, {group: [_path(v) for v in variables] for group, variables in groups.items()}


def _path(variable: Any) -> str:
  return getattr(variable, "path", None) or variable.name


def assign(groups: Mapping[str, Sequence[Any]], checkpoint: Checkpoint) -> None:
  """Puts a checkpoint's values into variables, on every replica.

  Raises:
    WorkdirError: if their number or a shape differs; the line names the first such variable.
  """
  for group, variables in groups.items():
    count = sum(name.startswith(group + "/") for name in checkpoint.arrays)
    if count != len(variables):
      raise WorkdirError(f"{checkpoint.path}: holds {count} variables of {group}, the config needs {len(variables)}")
    for i, variable in enumerate(variables):
      value = checkpoint.arrays[f"{group}/{i:04d}"]
      if tuple(value.shape) != tuple(variable.shape):
        raise WorkdirError(f"{checkpoint.path}: {_path(variable)} has shape {tuple(value.shape)}, the config needs "
                           f"{tuple(variable.shape)}")
      variable.assign(value)


def write(path: Path, arrays: Arrays, meta: Mapping[str, Any]) -> None:
  """Writes a checkpoint so that at any instant the file is absent or whole.

  Raises:
    WorkdirError: if the disk is full or the folder cannot be written; earlier checkpoints are untouched.
  """
  text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path, sync_folder=True) as f:
      _write_archive(f, {"meta": text, **arrays})
  except OSError as e:
    raise WorkdirError(f"{path}: the checkpoint cannot be written: {e.strerror}; any before are whole, "
                       "the same command goes on from there") from e


def _write_archive(f: IO[bytes], arrays: Arrays) -> None:
  """Writes what `np.savez` writes; up to NumPy 2.1 that leaves its zip open where the disk is full, to fail again, unseen."""
  with zipfile.ZipFile(f, "w") as archive:
    for name, value in arrays.items():
      with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, value, allow_pickle=False)


def read(path: Path) -> Checkpoint:
  """Reads a checkpoint whole.

  Raises:
    ValueError, OSError, ...: one of `_TORN` if it is not whole.
  """
  with files.opened(path) as f, np.load(f) as archive:
    arrays = {name: archive[name] for name in archive.files}
  meta = json.loads(arrays.pop("meta").tobytes())
  return Checkpoint(path, int(meta["step"]), arrays, meta)


class Folder:
  """The checkpoints of one run.

  Args:
    path: the folder.
    keep: how many state checkpoints stay.
    fingerprint: of the run's config; a checkpoint of another config is refused.
    active: whether this process writes (the chief does).
  """

  def __init__(self, path: Path, keep: int, fingerprint: str, active: bool = True) -> None:
    self.path, self._keep, self._fingerprint, self._active = path, keep, fingerprint, active
    self._refers: dict[str, int | None] = {}  # {a state's name: the step of the weights that it refers to}, as far as known

  def _files(self, kind: str) -> list[Path]:
    """Returns the files of a kind, the newest first."""
    try:
      found = [p for p in self.path.glob(f"{kind}_*.npz") if re.fullmatch(rf"{kind}_\d+\.npz", p.name)]
    except OSError as e:
      raise WorkdirError(f"{self.path} cannot be read: {e.strerror}") from None
    return sorted(found, key=lambda p: p.name, reverse=True)

  def save_state(self, step: int, arrays: Arrays, meta: Mapping[str, Any], selected: int | None) -> None:
    """Writes the state after a step, then removes what neither it nor a kept one refers to.

    Raises:
      WorkdirError: if it cannot be written.
    """
    if not self._active:
      return
    full = {**meta, "step": step, "fingerprint": self._fingerprint, "selected": selected}
    path = self.path / f"{_STATE}_{step:09d}.npz"
    write(path, arrays, full)
    self._refers[path.name] = selected
    try:
      self._forget_states(step)
      self._forget_selected(selected)
    except OSError as e:
      raise WorkdirError(f"{self.path}: a checkpoint that is not needed cannot be removed: {e.strerror}") from e

  def _forget_states(self, newest: int) -> None:
    # A file of a later step is a torn one that this run came back from: it must not crowd out the whole ones.
    for later in self._files(_STATE):
      if int(later.stem.rpartition("_")[2]) > newest:
        later.unlink(missing_ok=True)
    for old in self._files(_STATE)[self._keep:]:
      old.unlink(missing_ok=True)

  def _forget_selected(self, selected: int | None) -> None:
    wanted = {selected}
    for state in self._files(_STATE):
      if state.name not in self._refers and (checkpoint := self._try(state, warns=False)) is not None:
        self._refers[state.name] = checkpoint.meta["selected"]
      wanted.add(self._refers.get(state.name))
    for path in self._files(_SELECTED):
      if int(path.stem.rpartition("_")[2]) not in wanted:
        path.unlink(missing_ok=True)

  def save_selected(self, step: int, arrays: Arrays, meta: Mapping[str, Any]) -> None:
    """Writes the weights chosen so far under their step's name; older ones stay until no state refers to them."""
    if self._active:
      write(self.path / f"{_SELECTED}_{step:09d}.npz", arrays, {**meta, "step": step, "fingerprint": self._fingerprint})

  def latest_state(self) -> Checkpoint | None:
    """Returns the newest whole state, or None; a torn one is skipped with a warning.

    Raises:
      WorkdirError: if the newest whole one was written by another config.
    """
    for path in self._files(_STATE):
      checkpoint = self._try(path)
      if checkpoint is None:
        continue
      if checkpoint.meta.get("fingerprint") != self._fingerprint:
        raise WorkdirError(f"{path}: was written by another config (fingerprint {checkpoint.meta.get('fingerprint')}, "
                           f"this one has {self._fingerprint}); give another --workdir")
      selected = checkpoint.meta.get("selected")
      if selected is not None and self._try(self.path / f"{_SELECTED}_{selected:09d}.npz") is None:
        continue
      return checkpoint
    return None

  def newest_of_any_config(self) -> Checkpoint | None:
    """Returns the newest whole state, whichever config wrote it, or None."""
    return next(filter(None, map(self._try, self._files(_STATE))), None)

  def selected(self) -> Checkpoint | None:
    """Returns the chosen weights that the newest state with whole ones refers to, or None."""
    for path in self._files(_STATE):
      state = self._try(path)
      step = state.meta.get("selected") if state is not None else None
      found = self._try(self.path / f"{_SELECTED}_{step:09d}.npz") if step is not None else None
      if found is not None:
        return found
    return None

  def _try(self, path: Path, warns: bool = True) -> Checkpoint | None:
    try:
      return read(path)
    except RemoteError as e:  # what cannot be reached may well be whole
      raise WorkdirError(f"{path} cannot be read: {e.strerror}") from None
    except _TORN as e:
      if warns:
        logging.getLogger("dlsuite").warning("checkpoint %s is torn (%s): using the one before", path.name, type(e).__name__)
      return None
