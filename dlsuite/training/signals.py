"""SIGTERM and SIGINT ask a run to save and stop; a second SIGINT stops at once."""

import signal
import threading
from types import FrameType, TracebackType


class StopSignal:
  """While entered, remembers that the process was asked to stop.

  Attributes:
    name: the signal that came, or empty.
  """

  def __init__(self) -> None:
    self.name = ""
    self._before: dict[int, object] = {}

  def __enter__(self) -> "StopSignal":
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGTERM, signal.SIGINT):
        self._before[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)  # type: ignore[arg-type]

  def _note(self, number: int, frame: FrameType | None) -> None:
    if self.name and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.name = signal.Signals(number).name
