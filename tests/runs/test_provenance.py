"""Where a run came from."""

import datetime
import json
import pathlib
import subprocess

import keras
import pytest
import tensorflow as tf

from dlsuite.runs.provenance import provenance

ROOT = pathlib.Path(__file__).resolve().parents[2]


def git(*arguments):
  return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the sources are no git checkout")
def test_the_commit_and_whether_the_tree_is_dirty_are_gits(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)  # a run is started from anywhere
  found = provenance("1 x cpu", "float32")
  assert found["commit"] == git("rev-parse", "HEAD")
  assert found["dirty"] == bool(git("status", "--porcelain"))


def test_versions_command_device_and_time_are_noted_as_json(monkeypatch):
  monkeypatch.setattr("sys.argv", ["/somewhere/main.py", "--workdir=run"])
  before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
  found = json.loads(json.dumps(provenance("2 x cpu", "bfloat16")))
  assert found["versions"]["tensorflow"] == tf.__version__
  assert found["versions"]["keras"] == keras.__version__
  assert found["command"] == ["main.py", "--workdir=run"]
  assert (found["device"], found["precision"]) == ("2 x cpu", "bfloat16")
  assert found["hardware"].startswith("2 x cpu (")
  assert before <= datetime.datetime.fromisoformat(found["started"]) <= datetime.datetime.now(datetime.timezone.utc)


def test_without_git_the_commit_is_empty_and_the_rest_is_noted(monkeypatch, tmp_path):
  monkeypatch.setenv("PATH", str(tmp_path))
  found = provenance("1 x cpu", "float32")
  assert (found["commit"], found["dirty"]) == ("", False)
  assert found["versions"]["tensorflow"] == tf.__version__
