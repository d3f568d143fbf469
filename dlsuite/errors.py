"""Errors that a user can act on: `main` prints each as one line and exits with its code."""

import difflib
import re
from collections.abc import Iterable

_PASSES = 74  # EX_IOERR of sysexits.h
_STACK = ("Graph execution error:", "Detected at node ", 'File "')  # how the parts of TensorFlow's messages on them begin


class DlsuiteError(Exception):
  """An error whose message is one complete line for the user."""

  @property
  def exit_code(self) -> int:
    """The process's exit code: 2, or 74 where the fault behind it is marked as `passing`, such as a bucket out of reach."""
    return _PASSES if getattr(self.__cause__ or self.__context__, "passing", False) else 2


class ConfigError(DlsuiteError):
  """A flag, override, argument or config value is wrong; nothing has been written."""


class DataError(DlsuiteError):
  """A data set is missing, cannot be fetched, or is not what the config says."""


class WorkdirError(DlsuiteError):
  """The run folder cannot be used: not writable, full, or it holds another run."""


class InUseError(WorkdirError):
  """Another machine's run holds the folder, or has held it until minutes ago: if that is no more, its lock lapses."""

  exit_code = _PASSES


class DivergedError(DlsuiteError):
  """The loss or a weight became NaN or infinite."""

  exit_code = 3


class Stopped(DlsuiteError):  # noqa: N818 - a run that was asked to stop made no error
  """SIGTERM or SIGINT arrived; the state is saved and the same command goes on."""

  exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class WorkerLostError(DlsuiteError):
  """Another worker died, hangs or did not come; the run goes on from its newest checkpoint once all are started again."""

  exit_code = 76  # not 75: nobody asked for it, and whoever started the workers must start all of them again


def nearest(word: str, known: Iterable[str]) -> str:
  """Returns ` (did you mean 'x'?)` for the closest known spelling, upper or lower case, or an empty string."""
  spelling = {name.lower(): name for name in known}
  matches = difflib.get_close_matches(word.lower(), list(spelling), n=1, cutoff=0.5)
  return f" (did you mean '{spelling[matches[0]]}'?)" if matches else ""


def first_line(error: Exception, limit: int = 200) -> str:
  """Returns what another library says, in one line of at most `limit` characters."""
  text = str(error).strip() or type(error).__name__
  if text.startswith(_STACK[0]):  # what happened comes behind the lines of code that led there
    text = " ".join(part for part in text.split("\n\n") if not part.lstrip().startswith(_STACK))
  text = " ".join(re.sub(r"\{\{function_node .*?\}\}", "", text).split())
  return text if len(text) <= limit else text[:limit - 3] + "..."


def one_of(key: str, value: object, known: Iterable[str]) -> str:
  """Returns the standard line for a value outside a closed set, e.g. an optimizer's name."""
  names = sorted(known)
  hint = nearest(str(value), names)
  return f"{key}={value!r} is unknown{hint}; allowed: {', '.join(names)}"
