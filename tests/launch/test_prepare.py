"""Data sets that several jobs need at once are prepared once, and again in a new version."""

import importlib
import json
import os
import sys
import threading
import time

import pytest

from dlsuite.data import sources
from launch import data, prepare
from launch.bucket import Bucket
from launch.shell import Shell

MARKER = data.marker("mnist")


@pytest.fixture
def folder(cloud, monkeypatch):
  monkeypatch.setattr(prepare, "_BEAT", 0.1)
  monkeypatch.setattr(prepare, "_LOOK", 0.1)
  return Bucket(Shell(), "gs://mine/data")


def once(cloud, folder, run, program="pass"):
  """Prepares mnist for a run."""
  made = f"import pathlib, sys, time\nopen({str(cloud.folder / 'made')!r}, 'a').write('.')\n{program}"
  return prepare.once(Shell(), folder, "mnist", run, [sys.executable, "-c", made], os.environ)


def lock(cloud):
  return cloud.bucket / "data" / f"{MARKER}.lock"


def wait_for(what):
  deadline = time.monotonic() + 60
  while not what():
    assert time.monotonic() < deadline
    time.sleep(0.02)


def test_of_two_jobs_one_prepares_showing_that_it_lives_and_the_other_waits_for_it(cloud, folder, capsys):
  go = cloud.folder / "go"
  program = f"while not pathlib.Path({str(go)!r}).exists():\n  time.sleep(0.02)"
  first = threading.Thread(target=once, args=(cloud, folder, "gs://mine/a", program))
  first.start()
  wait_for((cloud.folder / "made").exists)
  before = lock(cloud).stat().st_mtime_ns
  wait_for(lambda: lock(cloud).stat().st_mtime_ns > before)
  threading.Timer(0.5, go.touch).start()
  assert once(cloud, folder, "gs://mine/b") == 0
  assert (cloud.bucket / "data" / MARKER).exists()
  first.join()
  assert (cloud.folder / "made").read_text() == "."
  assert "waits for mnist, which gs://mine/a prepares since " in capsys.readouterr().out
  assert not lock(cloud).exists()


@pytest.mark.parametrize(("run", "lease"), [("gs://mine/a", 300), ("gs://mine/b", 0.5)])
def test_the_lock_of_a_machine_that_is_no_more_is_taken_over_of_ones_own_run_at_once(cloud, folder, monkeypatch, run, lease):
  monkeypatch.setattr(prepare, "_LEASE", lease)
  lock(cloud).write_text(json.dumps({"run": "gs://mine/a", "since": "2026-01-02"}))
  begin = time.monotonic()
  assert once(cloud, folder, run) == 0
  assert time.monotonic() - begin >= (run == "gs://mine/b") * lease
  assert (cloud.folder / "made").read_text() == "."
  assert not lock(cloud).exists()


def test_of_a_lock_that_says_nothing_another_machine_is_named_as_its_holder(cloud, folder, monkeypatch, capsys):
  monkeypatch.setattr(prepare, "_LEASE", 0.5)
  lock(cloud).write_text("")
  assert once(cloud, folder, "gs://mine/a") == 0
  assert "waits for mnist, which another machine prepares\n" in capsys.readouterr().out


def test_a_preparation_that_fails_gives_its_code_and_the_lock_back_and_leaves_no_marker(cloud, folder):
  assert once(cloud, folder, "gs://mine/a", "sys.exit(2)") == 2
  assert [path.name for path in (cloud.bucket / "data/prepared").iterdir()] == [cloud.prepared.name]


@pytest.mark.parametrize(("name", "expected"), [
  ("mnist:3.0.1", "prepared/mnist-3.0.1"), ("optical_digits", "prepared/optical_digits-1.0.0"),
  ("imagenet_v2/topimages:3.0.0", "prepared/imagenet_v2-topimages-3.0.0"),
])
def test_the_marker_names_the_version(name, expected):
  assert data.marker(name) == expected


def test_the_version_of_a_set_of_tfds_follows_its_release_and_is_no_pattern():
  assert data.marker("mnist") == f"prepared/mnist-tfds-{data.version('cifar10').removeprefix('tfds-')}"
  assert data.marker("mnist:3.*.*").startswith("prepared/mnist-3.-.--tfds-")


def test_the_versions_of_our_own_sets_are_those_of_their_builders():
  for name in sources.own_builders():
    module = importlib.import_module(f"dlsuite.data.builders.{name}.{name}_dataset_builder")
    assert data.version(name) == str(module.Builder.VERSION)
