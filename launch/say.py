"""Lines for whoever looks on, who may be gone: a terminal or a pipe that was closed ends no job."""

import contextlib
import os
import sys
from typing import IO


def say(text: str, stream: IO[str] | None = None) -> None:
  """Prints a line and never fails; once it cannot be written, nothing more goes to that stream.

  Args:
    text: the line.
    stream: where it goes, else standard output.
  """
  stream = stream or sys.stdout
  try:
    print(text, file=stream, flush=True)
  except UnicodeEncodeError:
    say(text.encode("ascii", "backslashreplace").decode(), stream)
  except (OSError, ValueError):
    # What the stream still holds would be written once more when the interpreter ends, and change its exit code.
    with contextlib.suppress(OSError, ValueError):
      nowhere = os.open(os.devnull, os.O_WRONLY)
      os.dup2(nowhere, stream.fileno())
      os.close(nowhere)


def complain(text: str) -> None:
  """Prints a line to standard error and never fails."""
  say(text, sys.stderr)
