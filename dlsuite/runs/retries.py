"""Repeats what a network let down, and nothing else."""

import dataclasses
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 30.0
_SILENT_SECONDS = 5.0  # a hiccup that is over by then is not worth a line


@dataclasses.dataclass(frozen=True)
class Patience:
  """How long a call that fails for a passing reason is repeated.

  The pauses double from half a second to half a minute, each stretched or shortened at random by up to a half, so that many
  workers that failed together do not come back together.

  Attributes:
    seconds: from the beginning of the first try; none begins after them.
  """

  seconds: float = 600.0

  def __call__(self, call: Callable[[], T], is_passing: Callable[[Exception], bool], what: str) -> T:
    """Returns what `call` returns.

    Args:
      call: made again from its beginning; it must not matter that a try which failed had an effect.
      is_passing: tells whether an error is worth another try; any other is raised at once.
      what: e.g. `writing gs://bucket/file`, for the warning that says why the run stands still.

    Raises:
      Exception: the last one of `call`.
    """
    began, pause, told = time.monotonic(), _FIRST_SECONDS, False
    while True:
      try:
        return call()
      except Exception as e:
        wait = pause * random.uniform(0.5, 1.5)
        passed = time.monotonic() - began
        if not is_passing(e) or passed + wait > self.seconds:
          raise
        if passed + wait > _SILENT_SECONDS and not told:
          told = True
          logging.getLogger("dlsuite").warning("%s: %s; trying again for up to %.0f s", what, _short(e), self.seconds - passed)
      time.sleep(wait)
      pause = min(2 * pause, _LONGEST_SECONDS)


def _short(error: Exception) -> str:
  text = " ".join(str(error).split())
  return text[:157] + "..." if len(text) > 160 else text or type(error).__name__
