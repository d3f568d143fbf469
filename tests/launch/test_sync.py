"""What lies in the bucket is, whenever the machine vanishes, a run that can go on."""

import os
import pathlib
import re
import shutil

import pytest

from launch import sync
from launch.errors import FailedError
from launch.shell import Answer, Shell


def put(folder, *names, text="x"):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(folder):
  return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


RUN = ("config.json", "metrics.jsonl", "figures/a.png", "checkpoints/state_000000004.npz", "checkpoints/selected_000000002.npz")


def test_a_copy_holds_the_run_without_what_only_its_process_needs(tmp_path):
  put(tmp_path / "run", *RUN, ".lock", ".config.json.part", "checkpoints/.state_000000009.npz.part")
  sync.snapshot(tmp_path / "run", tmp_path / "copy")
  assert names(tmp_path / "copy") == sorted(RUN)


def test_a_checkpoint_that_comes_while_the_rest_is_copied_waits_for_the_next_copy(tmp_path, monkeypatch):
  """Else the bucket might hold a state with older metrics."""
  put(tmp_path / "run", *RUN)
  real = shutil.copy2

  def slow_copy(source, target):
    if pathlib.Path(source).name == "config.json":
      put(tmp_path / "run", "checkpoints/state_000000008.npz", "metrics.jsonl", "result.json", text="newer")
    return real(source, target)

  monkeypatch.setattr(shutil, "copy2", slow_copy)
  sync.snapshot(tmp_path / "run", tmp_path / "copy")
  assert names(tmp_path / "copy") == sorted(RUN)
  assert (tmp_path / "copy/metrics.jsonl").read_text() == "newer"  # never older than the states


def test_a_checkpoint_that_is_removed_meanwhile_makes_it_look_again(tmp_path, monkeypatch):
  put(tmp_path / "run", *RUN)
  real, state = os.link, tmp_path / "run/checkpoints/state_000000004.npz"

  def link(source, target):
    if state.exists():
      put(tmp_path / "run", "checkpoints/state_000000008.npz")
      state.unlink()
    return real(source, target)

  monkeypatch.setattr(os, "link", link)
  sync.snapshot(tmp_path / "run", tmp_path / "copy")
  assert [name for name in names(tmp_path / "copy") if "state" in name] == ["checkpoints/state_000000008.npz"]


def test_checkpoints_that_never_stand_still_are_said(tmp_path, monkeypatch):
  put(tmp_path / "run", *RUN)
  real, checkpoints = os.link, tmp_path / "run/checkpoints"

  def link(source, target):
    newest = sorted(checkpoints.glob("state_*"))[-1]
    newest.rename(newest.with_name(f"state_{int(newest.stem[6:]) + 1:09d}.npz"))
    return real(source, target)

  monkeypatch.setattr(os, "link", link)
  with pytest.raises(FailedError, match="change faster than they can be copied"):
    sync.snapshot(tmp_path / "run", tmp_path / "copy")


class Stopping(Shell):
  """Copies to a folder in the place of the bucket, and is killed in the middle of the copies."""

  def __init__(self, bucket, last):
    self._bucket, self._left = bucket, last

  def run(self, command, text=None, dry=None):
    excluded = [item.partition("=")[2] for item in command if item.startswith("--exclude=")]
    source = pathlib.Path(command[-2])
    for name in names(source):
      if not any(re.match(pattern, name) for pattern in excluded) and (
        not (self._bucket / name).exists() or (self._bucket / name).read_bytes() != (source / name).read_bytes()):
        if not self._left:
          return Answer(1, "", "ERROR: gone")
        self._left -= 1
        put(self._bucket, name, text=(source / name).read_text())
    if "--delete-unmatched-destination-objects" in command:
      for name in set(names(self._bucket)) - set(names(source)):
        (self._bucket / name).unlink()
    return Answer()


@pytest.mark.parametrize("last", range(9))
def test_killed_between_any_two_files_the_bucket_holds_no_state_without_its_metrics_and_weights(tmp_path, last):
  bucket, run = tmp_path / "bucket", tmp_path / "run"
  put(run, *RUN)
  assert sync.push(Stopping(bucket, 99), run, tmp_path / "copy", "gs://b/run") == ""
  assert names(bucket) == sorted(RUN)
  (run / "checkpoints/state_000000004.npz").unlink()
  put(run, "metrics.jsonl", "checkpoints/state_000000008.npz", "checkpoints/selected_000000008.npz", "result.json",
      text="newer")
  fault = sync.push(Stopping(bucket, last), run, tmp_path / "copy", "gs://b/run")
  assert (fault == "") == (last >= 4)
  found = names(bucket)
  if "checkpoints/state_000000008.npz" in found:
    assert "checkpoints/selected_000000008.npz" in found
    assert (bucket / "metrics.jsonl").read_text() == "newer"
  else:
    assert "checkpoints/state_000000004.npz" in found
    assert "result.json" not in found


class Answering(Shell):
  """Gives the same answer to each verb of `gcloud storage`, and writes a file of a run that it shall copy."""

  def __init__(self, **answers):
    self._answers = answers

  def run(self, command, text=None, dry=None):
    if command[2] == "rsync":
      put(pathlib.Path(command[-1]), "config.json")
    return self._answers[command[2]]


def test_a_run_that_is_not_in_the_bucket_is_none(tmp_path):
  assert not sync.pull(Answering(ls=Answer(1, "", "matched no objects")), "gs://b/run", tmp_path / "run")
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("answers", [{"ls": Answer(1, "", "ERROR: 503 Backend Error")},
                                     {"ls": Answer(), "rsync": Answer(1, "", "ERROR: 503 Backend Error")}])
def test_a_run_that_cannot_be_fetched_whole_is_not_taken_for_none_or_for_what_came_of_it(tmp_path, answers):
  """Else the bucket's run would be replaced by the new one."""
  with pytest.raises(FailedError, match="503 Backend Error"):
    sync.pull(Answering(**answers), "gs://b/run", tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_a_run_in_the_bucket_is_fetched(tmp_path):
  assert sync.pull(Answering(ls=Answer(), rsync=Answer()), "gs://b/run", tmp_path / "run")
  assert names(tmp_path / "run") == ["config.json"]
