"""Text files that grow by lines: metrics.jsonl and log.txt.

On this machine a line is appended at once. An object store cannot append, so there the lines are kept in memory and the whole
object is written anew: at `flush`, which a run calls before each checkpoint, and with a line that comes half a minute or more
after the last writing, for those who look on. So a kill only takes lines that are newer than the newest checkpoint, and the run
that goes on from there makes them again.
"""

import time
from typing import Protocol

from dlsuite.errors import WorkdirError
from dlsuite.runs.files import Path
from dlsuite.runs.remote import RemotePath

_SECONDS = 30.0  # between two writings of an object; Google's store takes one a second


class Growing(Protocol):
  """A text file that grows."""

  def add(self, line: str) -> None:
    """Adds a line, which ends in a newline.

    Raises:
      WorkdirError: if that fails.
    """

  def flush(self) -> None:
    """Comes back when all lines are in the file.

    Raises:
      WorkdirError: if that fails.
    """


def growing(path: Path) -> Growing:
  """Returns a file that goes on where it ended."""
  return _Remote(path) if isinstance(path, RemotePath) else _Local(path)


class _Local:
  def __init__(self, path: Path) -> None:
    self._path = path

  def add(self, line: str) -> None:
    try:
      with open(str(self._path), "a", encoding="utf-8") as f:
        f.write(line)
    except OSError as e:
      raise WorkdirError(f"{self._path} cannot be written: {e.strerror}") from e

  def flush(self) -> None:
    pass


class _Remote:
  def __init__(self, path: RemotePath) -> None:
    self._path = path
    self._text: str | None = None  # read with the first line: nobody else writes it
    self._is_new = False
    self._written = time.monotonic()

  def add(self, line: str) -> None:
    if self._text is None:
      try:
        self._text = self._path.read_text()
      except FileNotFoundError:
        self._text = ""
      except OSError as e:
        raise WorkdirError(f"{self._path} cannot be read: {e.strerror}") from e
    self._text += line
    self._is_new = True
    if time.monotonic() - self._written >= _SECONDS:
      self.flush()

  def flush(self) -> None:
    if not self._is_new or self._text is None:
      return
    self._is_new, self._written = False, time.monotonic()  # first: a warning about this writing may be a line of this file
    try:
      self._path.write_bytes(self._text.encode("utf-8"))
    except OSError as e:
      self._is_new = True
      raise WorkdirError(f"{self._path} cannot be written: {e.strerror}") from e
