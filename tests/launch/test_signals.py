"""What a launcher makes of signals."""

import os
import signal

import pytest

from launch import signals


@pytest.fixture
def hangup():
  """Ignores SIGHUP, as nohup has a program start."""
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  yield signal.SIGHUP
  signal.signal(signal.SIGHUP, before)


def test_what_was_ignored_from_the_start_stays_ignored(hangup):
  with signals.raising():
    os.kill(os.getpid(), hangup)
    with pytest.raises(signals.Interrupted, match="SIGTERM"):
      os.kill(os.getpid(), signal.SIGTERM)
  assert signal.getsignal(hangup) is signal.SIG_IGN
