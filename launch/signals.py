"""What a launcher does when it is asked to end: once it stops in order; while it clears up it only says so."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from launch.say import complain

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
  """A signal asked the launcher to end. No ordinary error: nothing but the clearing up may catch it.

  Args:
    name: the signal's.
  """

  def __init__(self, name: str) -> None:
    super().__init__(name)
    self.name = name


@contextlib.contextmanager
def raising() -> Iterator[None]:
  """Turns SIGINT, SIGTERM and SIGHUP into `Interrupted`; under nohup a terminal that is closed is none."""

  def interrupt(number: int, _: Any) -> None:
    raise Interrupted(signal.Signals(number).name)

  with handled(interrupt):
    yield


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
  """Answers the signals with a line while something goes on that must come to its end."""
  with handled(lambda *_: complain(f"launch: {what}; wait for it")):
    yield


@contextlib.contextmanager
def handled(handler: Any) -> Iterator[None]:
  """Has a function answer the signals, but for those that this process was started to ignore."""
  wanted = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
  before = {number: signal.signal(number, handler) for number in wanted}
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old)
