"""Files of a run, wherever they lie: a path is local (`pathlib`) or remote (`RemotePath`), and is read and written alike.

A file is written whole: local through a neighbour that is renamed, remote under its final name, as an object store shows
nothing of an object that is not closed.
"""

import contextlib
import io
import os
import pathlib
import re
import tempfile
import uuid
from collections.abc import Iterator
from typing import IO, TypeAlias

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.runs.remote import RemotePath

Path: TypeAlias = pathlib.Path | RemotePath

_REMOTE = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"(gs|s3|ram):/?(?!/)(.*)", re.DOTALL)


def is_remote(text: str) -> bool:
  """Returns whether a text names a path that is no folder of this machine."""
  match = _REMOTE.fullmatch(text)
  return match is not None and match[1].lower() != "file"


def path(text: str) -> Path:
  """Returns the path that a text names: `~/run`, `/tmp/run`, `file:///tmp/run`, `gs://bucket/run`.

  Raises:
    ConfigError: if it begins with the home folder of a user who is not known here.
  """
  match = _REMOTE.fullmatch(text)
  if match is None:
    try:
      return pathlib.Path(text).expanduser()
    except RuntimeError:
      raise ConfigError(f"{text!r} is no path: {text.partition('/')[0]} is no user's home folder here") from None
  scheme = match[1].lower()
  return pathlib.Path(match[2]) if scheme == "file" else RemotePath(f"{scheme}://{re.sub('/+', '/', match[2]).strip('/')}")


def join(folder: str, name: str) -> str:
  """Returns the text of a path below a folder."""
  if is_remote(folder):
    return f"{folder.rstrip('/')}/{name}"
  return str((path(folder) if "://" in folder else pathlib.Path(folder)) / name)


def check_text(key: str, text: str) -> None:
  """Looks at the spelling of a path, and at nothing else.

  Raises:
    ConfigError: if it names no bucket or no user's home, or has one slash too few.
  """
  match = _REMOTE.fullmatch(text)
  if match is None and (slip := _ONE_SLASH.fullmatch(text)):
    raise ConfigError(f"{key}={text!r} is no path (did you mean '{slip[1]}://{slip[2]}'?)")
  if match is not None and not match[2].strip("/"):
    raise ConfigError(f"{key}={text!r} names no folder; allowed: a local folder, or e.g. gs://bucket/folder")
  if match is not None and match[2].startswith("/") and match[1].lower() != "file":
    raise ConfigError(f"{key}={text!r} names no bucket (did you mean '{match[1]}://{match[2].lstrip('/')}'?)")
  try:
    path(text)
  except ConfigError as e:
    raise ConfigError(f"{key}={e}") from None


def hurried(where: Path) -> Path:
  """Returns a path whose errors are told within seconds, for checks that a person waits for."""
  return where.hurried() if isinstance(where, RemotePath) else where


@contextlib.contextmanager
def opened(where: Path) -> Iterator[IO[bytes]]:
  """Yields a file to read from, a remote one from memory.

  Raises:
    OSError: if it cannot be read.
  """
  with io.BytesIO(where.read_bytes()) if isinstance(where, RemotePath) else open(where, "rb") as f:
    yield f


@contextlib.contextmanager
def whole(where: Path, sync_folder: bool = False) -> Iterator[IO[bytes]]:
  """Yields a file to write to, which takes its place if the block ends well; else nothing has changed.

  Args:
    where: the path.
    sync_folder: also wait until the disk holds the file's name.

  Raises:
    OSError: if it cannot be written.
  """
  if isinstance(where, RemotePath):
    buffer = io.BytesIO()
    yield buffer
    where.write_bytes(buffer.getvalue())
    return
  part = where.with_name(f".{where.name}.part")
  try:
    with open(part, "wb") as f:
      yield f
      f.flush()
      os.fsync(f.fileno())
    os.replace(part, where)
    if sync_folder:
      folder = os.open(where.parent, os.O_RDONLY)
      os.fsync(folder)
      os.close(folder)
  except OSError:
    with contextlib.suppress(OSError):
      part.unlink(missing_ok=True)
    raise


def write_text(where: Path, text: str) -> None:
  """Writes a small file so that at any instant it is the old one or the new one.

  Raises:
    WorkdirError: if it cannot be written.
  """
  try:
    with whole(where) as f:
      f.write(text.encode("utf-8"))
  except OSError as e:
    raise WorkdirError(f"{where} cannot be written: {e.strerror}") from e


@contextlib.contextmanager
def drawn(where: Path) -> Iterator[pathlib.Path | IO[bytes]]:
  """Yields what a library that draws may save to: the path, or a buffer that is written at the end.

  Raises:
    WorkdirError: if it cannot be written.
  """
  try:
    if isinstance(where, RemotePath):
      with whole(where) as f:
        yield f
    else:
      yield where
  except OSError as e:
    raise WorkdirError(f"{where} cannot be written: {e.strerror}") from e


def check_writable(folder: Path) -> None:
  """Looks whether a folder, or the one that it would be made in, can be written; leaves nothing there.

  Raises:
    OSError: if not.
  """
  if isinstance(folder, RemotePath):
    probe = folder / f".{uuid.uuid4().hex}.part"
    probe.write_bytes(b"")
    probe.unlink(missing_ok=True)
    return
  existing = folder
  while not existing.exists():
    existing = existing.parent
  with tempfile.TemporaryFile(dir=existing):
    pass
