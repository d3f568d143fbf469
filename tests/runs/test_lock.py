"""One run a folder, on an object store too."""

import contextlib
import datetime
import getpass
import json
import logging
import os
import platform
import subprocess
import sys
import uuid

import pytest

from dlsuite.errors import WorkdirError
from dlsuite.runs import files, lock, process


@pytest.fixture
def path(monkeypatch):
  monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.0)
  return files.path(f"ram://{uuid.uuid4().hex}/run/.lock")


@pytest.fixture
def warnings():
  """The warnings that a person sees."""
  found = []

  class Keep(logging.Handler):
    def emit(self, record):
      found.append(record.getMessage())

  handler = Keep()
  logging.getLogger("dlsuite").addHandler(handler)
  yield found
  logging.getLogger("dlsuite").removeHandler(handler)


def taken(path):
  found = lock.Lock(path)
  found.take()
  return found


def write(path, seconds_ago, **more):
  now = datetime.datetime.now(datetime.timezone.utc)
  fields = {"token": "another's", "owner": "process 7 on eve@there since 2026-01-02 03:04:05", "pid": 7, "machine": "another",
            "process_start": "1", "refreshed": (now - datetime.timedelta(seconds=seconds_ago)).isoformat()}
  path.write_bytes(json.dumps(fields | more).encode())


@pytest.mark.parametrize("where", ["remote", "local"])
def test_a_second_run_is_refused_with_process_user_machine_and_time_of_the_first(path, tmp_path, where):
  path = path if where == "remote" else tmp_path / ".lock"
  before = datetime.datetime.now().replace(microsecond=0)
  first = taken(path)
  with pytest.raises(WorkdirError) as caught:
    taken(path)
  line, owner = str(caught.value), f"process {os.getpid()} on {getpass.getuser()}@{platform.node()} since "
  start = f"--workdir={path.parent} is in use by another process ({owner}"
  assert line.startswith(start)
  since = datetime.datetime.fromisoformat(line.removeprefix(start)[:19])
  assert before <= since <= datetime.datetime.now()
  first.release()
  taken(path).release()


def test_the_lock_is_gone_with_the_run(path):
  first = taken(path)
  assert path.exists()
  first.release()
  assert not path.exists()


def test_a_lock_that_was_refreshed_two_minutes_ago_holds_and_says_when_it_lapses(path):
  write(path, seconds_ago=120)
  with pytest.raises(WorkdirError, match=r"process 7 on eve@there .* last seen 12\d s ago; .* lapses in (60|5\d) s") as e:
    taken(path)
  assert e.value.exit_code == 74  # the owner may be gone: another start, later, may get it


def test_a_lock_that_nobody_refreshed_for_three_minutes_is_taken_over_with_a_note(path, warnings):
  write(path, seconds_ago=200)
  taken(path).release()
  (note,) = warnings
  owner = "process 7 on eve@there since 2026-01-02 03:04:05"
  assert note.startswith(f"{path.parent}: taking over the lock of {owner}, last seen 20")


@pytest.mark.parametrize("refreshed", ["soon", 7, None])
def test_a_damaged_lock_is_one_line_that_says_what_to_do(path, refreshed):
  write(path, seconds_ago=0, refreshed=refreshed)
  with pytest.raises(WorkdirError, match=r"/run/\.lock is damaged \(refreshed=.* is no time\).*process 7 .* remove it") as e:
    taken(path)
  assert "\n" not in str(e.value)


def test_a_damaged_process_number_leaves_the_lock_to_lapse(path):
  write(path, seconds_ago=120, pid="x", machine=process.machine())
  with pytest.raises(WorkdirError, match="its lock lapses in"):
    taken(path)


def test_the_lock_of_a_process_of_this_machine_that_has_ended_is_taken_over_at_once(path, warnings):
  ended = subprocess.Popen([sys.executable, "-c", ""])
  ended.wait()
  write(path, seconds_ago=1, pid=ended.pid, machine=process.machine())
  taken(path).release()
  assert "which has ended" in warnings[0]


def test_a_process_number_that_was_given_anew_does_not_keep_the_lock_of_the_one_before(path):
  write(path, seconds_ago=1, pid=os.getpid(), machine=process.machine(), process_start="1")
  taken(path).release()


def test_of_two_runs_that_write_the_lock_at_once_the_one_that_finds_the_others_gives_way(path, monkeypatch):
  monkeypatch.setattr(lock.time, "sleep", lambda seconds: write(path, seconds_ago=0))
  with pytest.raises(WorkdirError, match=r"in use by another process [(]process 7 on eve@there"):
    taken(path)
  assert json.loads(path.read_text())["token"] == "another's"


def test_the_lock_is_refreshed_while_the_run_goes_on(path, monkeypatch):
  monkeypatch.setattr(lock, "_HEARTBEAT_SECONDS", 0.01)
  before = lock._now()
  first = taken(path)
  times, deadline = set(), lock.time.monotonic() + 60
  while len(times) < 3 and lock.time.monotonic() < deadline:
    found = lock._read(path)  # nothing at the instant at which memory, other than a store, writes anew
    times |= {found["refreshed"]} if found else set()
    lock.time.sleep(0.01)
  first.release()
  assert len(times) == 3
  assert before.replace(microsecond=0) <= min(times)


def test_a_run_whose_lock_was_taken_over_stops_and_leaves_the_others_lock(path, monkeypatch):
  monkeypatch.setattr(lock, "_HEARTBEAT_SECONDS", 0.01)
  first = taken(path)
  first.check()
  while first._beat._thread.is_alive():  # a beat that has just looked writes once more
    with contextlib.suppress(OSError):  # memory has two writers at once: a store would take either
      write(path, seconds_ago=0)
    first._beat._thread.join(0.1)
  with pytest.raises(WorkdirError, match=r"was taken over by another process [(]process 7 on eve@there"):
    first.check()
  first.release()
  assert json.loads(path.read_text())["token"] == "another's"


def test_a_lock_that_is_no_json_is_taken_over(path):
  path.write_bytes(b"torn")
  taken(path).release()
