"""What is printed where there is no terminal, and durations in words."""

import logging

import pytest

from dlsuite.runs import console as console_lib
from dlsuite.runs.console import Console, duration_text


@pytest.fixture
def clock(monkeypatch):
  """A clock that stands still until it is set."""
  for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
    monkeypatch.delenv(name, raising=False)
  now = [1000.0]
  monkeypatch.setattr(console_lib.time, "monotonic", lambda: now[0])
  return now


@pytest.mark.parametrize(("seconds", "text"), [
  (0.4, "0 s"), (45, "45 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3599, "59 min 59 s"),
  (3599.6, "1 h 00 min"), (7500, "2 h 05 min"), (100_000, "27 h 46 min"),
])
def test_a_duration_is_told_in_its_two_largest_units(seconds, text):
  assert duration_text(seconds) == text


def test_progress_without_a_terminal_is_a_plain_line_every_ten_seconds(clock, capsys):
  console = Console()
  for second in range(21):
    clock[0] = 1000.0 + second
    console.progress(f"second {second}")
  assert capsys.readouterr().out == "second 0\nsecond 10\nsecond 20\n"


def test_the_last_progress_line_is_printed_however_soon_it_comes(clock, capsys):
  console = Console()
  console.progress("step 1")
  console.progress("step 2")
  console.progress("step 3", force=True)
  assert capsys.readouterr().out == "step 1\nstep 3\n"


def test_a_console_that_is_not_the_chiefs_prints_nothing(clock, capsys):
  console = Console(active=False)
  console.line("a line")
  console.progress("progress", force=True)
  console.table("title", ["a"], [[1]])
  assert capsys.readouterr() == ("", "")


def test_warnings_go_to_stderr_with_the_programs_name(clock, capsys):
  Console()
  logging.getLogger("dlsuite").warning("a checkpoint is torn")
  assert capsys.readouterr() == ("", "dlsuite: a checkpoint is torn\n")


def test_a_table_shows_title_head_and_every_cell_with_numbers_to_the_right(clock, capsys):
  Console().table("lenet5, test split", ["metric", "value"], [["error", "0.95"], ["loss", "10.0312"]])
  lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
  assert lines == ["lenet5, test split", "metric    value", "error      0.95", "loss    10.0312"]
