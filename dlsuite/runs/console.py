"""What a person sees: a header, one live line, a closing table."""

import logging
import sys
import time
from typing import Any

from rich.console import Console as RichConsole
from rich.table import Table

_PLAIN_SECONDS = 10.0  # between progress lines when the output is no terminal
_LIVE_SECONDS = 0.2


def size_text(count: float) -> str:
  """Returns bytes in binary units, e.g. `14.25 MiB`."""
  for unit in ("B", "KiB", "MiB"):
    if count < 1024:
      return f"{count:.4g} {unit}"
    count /= 1024
  return f"{count:.4g} GiB"


def duration_text(seconds: float) -> str:
  """Returns `45 s`, `3 min 20 s` or `2 h 05 min`."""
  seconds = round(seconds)
  if seconds < 60:
    return f"{seconds} s"
  if seconds < 3600:
    return f"{seconds // 60} min {seconds % 60:02d} s"
  return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class Console:
  """Prints to stdout, and to log.txt through the logger `dlsuite`. Workers that are not chief print nothing."""

  def __init__(self, active: bool = True) -> None:
    self._active = active
    self._rich = RichConsole(highlight=False, soft_wrap=True)
    self._live = self._rich.is_terminal
    self._log = logging.getLogger("dlsuite")
    self._log.setLevel(logging.INFO)
    self._log.propagate = False
    self._shown = 0.0
    if active and not any(isinstance(h, _ConsoleHandler) for h in self._log.handlers):
      self._log.addHandler(_ConsoleHandler(self))

  def line(self, text: str) -> None:
    """Prints a line, clearing the live one first, and keeps it in log.txt."""
    if self._active:
      self._log.info(text)

  def show(self, text: str) -> None:
    """Prints a line without keeping it."""
    if not self._active:
      return
    if self._live:
      sys.stdout.write("\r\x1b[K")
    print(text, flush=True)

  def progress(self, text: str, force: bool = False) -> None:
    """Redraws the live line; without a terminal prints a plain one now and then."""
    now = time.monotonic()
    wait = _LIVE_SECONDS if self._live else _PLAIN_SECONDS
    if not self._active or (now - self._shown < wait and not force):
      return
    self._shown = now
    if self._live:
      sys.stdout.write("\r\x1b[K" + text[: max(20, self._rich.width - 1)])
      sys.stdout.flush()
    else:
      self._log.info(text)

  def table(self, title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Prints a table, numbers to the right; only the last column is broken where the screen is narrow."""
    if not self._active:
      return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
      table.add_column(column, justify="left" if i == 0 else "right", no_wrap=i < len(columns) - 1, overflow="fold")
    for row in rows:
      table.add_row(*[str(cell) for cell in row])
    if self._live:
      sys.stdout.write("\r\x1b[K")
    self._rich.print(table)


class _ConsoleHandler(logging.Handler):
  """Sends the log's lines to the console: warnings to stderr, the rest to stdout."""

  def __init__(self, console: Console) -> None:
    super().__init__()
    self._console = console

  def emit(self, record: logging.LogRecord) -> None:
    if record.levelno >= logging.WARNING:
      print(f"dlsuite: {record.getMessage()}", file=sys.stderr, flush=True)
    else:
      self._console.show(record.getMessage())
