"""Runs commands, or only prints them: everything that leaves this process goes through here."""

import dataclasses
import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO

from launch.say import say


@dataclasses.dataclass(frozen=True)
class Answer:
  """What a command left.

  Attributes:
    code: its exit status.
    out: its standard output, stripped.
    error: its standard error, stripped.
  """

  code: int = 0
  out: str = ""
  error: str = ""


class Shell:
  """Runs commands, each in a session of its own: a Ctrl-C at the terminal reaches this process alone, which then ends them."""

  dry = False

  def run(self, command: Sequence[str], text: str | None = None, dry: Answer = Answer()) -> Answer:
    """Runs a command to its end.

    Args:
      command: the program and its arguments.
      text: what it reads, if anything.
      dry: what `DryShell` takes for the answer.
    """
    del dry
    try:
      done = subprocess.run(list(command), input=text or "", capture_output=True, text=True, errors="replace", check=False,
                            start_new_session=True)
    except OSError as e:
      return _not_started(command, e)
    return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())

  def stream(self, command: Sequence[str], on_line: Callable[[str], None], still_wanted: Callable[[], bool],
             every: float, dry: Sequence[str] = ()) -> int:
    """Runs a command and hands on each line that it prints, standard error included.

    Args:
      command: the program and its arguments.
      on_line: takes a line.
      still_wanted: asked every so often; False ends the command.
      every: seconds between the questions.
      dry: the lines that `DryShell` takes for the command's.

    Returns:
      Its exit status.
    """
    del dry
    try:
      process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, errors="replace", start_new_session=True)
    except OSError as e:
      answer = _not_started(command, e)
      on_line(answer.error)
      return answer.code
    assert process.stdout is not None
    try:
      _follow(process.stdout, on_line, still_wanted, every)
    finally:
      if process.poll() is None:
        _end(process)
      process.stdout.close()
    return process.returncode

  def note(self, text: str) -> None:
    """Prints a line about what the commands are for."""
    say(f"launch: {text}")

  def explain(self, text: str) -> None:
    """Says in a dry run, and there alone, what is not among its commands."""

  def sleep(self, seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def _not_started(command: Sequence[str], error: OSError) -> Answer:
  """Returns what a shell would say of a program that is not there, or for which there is no memory."""
  if isinstance(error, FileNotFoundError):
    return Answer(127, "", f"{command[0]}: not found")
  return Answer(126, "", f"{command[0]}: {error.strerror}")


def _follow(stream: IO[str], on_line: Callable[[str], None], still_wanted: Callable[[], bool], every: float) -> None:
  """Reads lines until the stream ends or nobody wants them; a reader of its own, as `readline` could block for ever."""
  stream_fd, rest = stream.fileno(), b""
  with selectors.DefaultSelector() as selector:
    selector.register(stream_fd, selectors.EVENT_READ)
    asked = time.monotonic()
    while True:
      if selector.select(max(0.0, asked + every - time.monotonic())):
        piece = os.read(stream_fd, 65536)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
          on_line(line.decode(errors="replace").rstrip("\r"))
        if not piece:
          if rest:
            on_line(rest.decode(errors="replace"))
          return
      if time.monotonic() - asked >= every:
        if not still_wanted():
          return
        asked = time.monotonic()


def _end(process: subprocess.Popen[str]) -> None:
  process.terminate()
  try:
    process.wait(10)
  except subprocess.TimeoutExpired:
    process.kill()
    process.wait()


class DryShell(Shell):
  """Prints each command as a line that can be pasted into a shell, and takes for its answer what success would be."""

  dry = True

  def run(self, command: Sequence[str], text: str | None = None, dry: Answer = Answer()) -> Answer:
    """Prints a command."""
    feed = f"printf '%s' {shlex.quote(text)} | " if text is not None else ""
    say(feed + shlex.join(command))
    return dry

  def stream(self, command: Sequence[str], on_line: Callable[[str], None], still_wanted: Callable[[], bool],
             every: float, dry: Sequence[str] = ()) -> int:
    """Prints a command."""
    say(shlex.join(command))
    for line in dry:
      on_line(line)
    return 0

  def note(self, text: str) -> None:
    """Prints a comment."""
    say(f"# {text}")

  def explain(self, text: str) -> None:
    """Prints a comment."""
    self.note(text)

  def sleep(self, seconds: float) -> None:
    """Does not wait."""
