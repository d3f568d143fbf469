"""Lines that are said to whoever looks on."""

import io

from launch.say import say


def test_characters_that_a_terminal_cannot_show_do_not_keep_a_line_from_it():
  screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
  say("naïve", screen)
  assert screen.buffer.getvalue() == b"na\\xefve\n"


def test_a_stream_that_is_closed_keeps_nothing_from_going_on():
  screen = io.StringIO()
  screen.close()
  say("line", screen)
