"""Remote files: whole or absent, tried again where that helps and nowhere else, and every fault in one line."""

import errno
import io
import pathlib
import uuid

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.runs import figures, files, remote, retries
from dlsuite.runs.growing import growing
from dlsuite.runs.remote import RemoteError, RemotePath
from dlsuite.runs.retries import Patience
from dlsuite.training import checkpoints


@pytest.fixture
def folder():
  """A new folder in TensorFlow's memory."""
  return files.path(f"ram://{uuid.uuid4().hex}/run")


@pytest.fixture
def pauses(monkeypatch):
  """The pauses between tries, which take no time."""
  found, now = [], [0.0]

  def sleep(seconds):
    found.append(seconds)
    now[0] += seconds

  monkeypatch.setattr(retries.time, "sleep", sleep)
  monkeypatch.setattr(retries.time, "monotonic", lambda: now[0])
  return found


class Faulty:
  """TensorFlow's file layer, in which some calls fail.

  Args:
    faults: {name of a function, `read` or `write`: the errors that its first calls raise}.
  """

  def __init__(self, **faults):
    self._faults = faults
    self.tries = 0

  def __getattr__(self, name):
    return lambda *arguments: self._call(name, getattr(tf.io.gfile, name), *arguments)

  def _call(self, name, function, *arguments):
    if name == "GFile":
      name = "write" if "w" in arguments[1] else "read"
    if name in self._faults:
      self.tries += 1
      if self._faults[name]:
        raise self._faults[name].pop(0)
    return function(*arguments)


@pytest.fixture
def faulty(monkeypatch):
  def make(**faults):
    layer = Faulty(**faults)
    monkeypatch.setattr(remote, "_gfile", lambda: layer)
    return layer

  return make


def fault(kind, message="as the store says"):
  return kind(None, None, message)


@pytest.mark.parametrize("kind", [
  tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.ResourceExhaustedError,
])
def test_a_write_that_fails_twice_for_a_passing_reason_leaves_one_whole_object(folder, faulty, pauses, kind):
  layer = faulty(write=[fault(kind), fault(kind)])
  (folder / "a").write_bytes(b"data")
  assert layer.tries == 3
  assert len(pauses) == 2
  assert (folder / "a").read_bytes() == b"data"


def test_a_connection_that_is_reset_is_tried_again(folder, faulty, pauses):
  layer = faulty(write=[ConnectionResetError(errno.ECONNRESET, "reset")])
  (folder / "a").write_bytes(b"data")
  assert layer.tries == 2


@pytest.mark.parametrize(("kind", "line"), [
  (tf.errors.PermissionDeniedError, "not authorised for gs://bucket: run `gcloud auth application-default login`"),
  (tf.errors.UnauthenticatedError, "not authorised for gs://bucket: run `gcloud auth application-default login`"),
  (tf.errors.NotFoundError, "bucket gs://bucket does not exist"),
  (tf.errors.InvalidArgumentError, "gs://bucket cannot be reached: as the store says"),
])
def test_what_no_second_try_can_mend_is_tried_once_and_says_what_to_do(faulty, pauses, kind, line):
  layer = faulty(write=[fault(kind)] * 5)
  with pytest.raises(RemoteError) as caught:
    files.path("gs://bucket/run/a").write_bytes(b"data")
  assert caught.value.strerror.startswith(line)
  assert not caught.value.passing
  assert (layer.tries, pauses) == (1, [])


def test_a_store_that_stays_away_is_given_up_in_one_line_when_the_patience_ends(folder, faulty, pauses):
  layer = faulty(write=[fault(tf.errors.UnavailableError, "Error 503\n\twhen writing")] * 1000)
  with pytest.raises(WorkdirError) as caught:
    files.write_text(folder / "a", "text")
  assert str(caught.value) == f"{folder}/a cannot be written: {folder.bucket} cannot be reached: Error 503 when writing"
  assert caught.value.exit_code == 74
  assert 500 < sum(pauses) <= Patience().seconds
  assert layer.tries == len(pauses) + 1


def test_the_pauses_double_up_to_half_a_minute_each_by_half_at_random(pauses):
  def fail():
    raise TimeoutError

  with pytest.raises(TimeoutError):
    Patience(600)(fail, lambda e: True, "")
  expected = [min(0.5 * 2**i, 30) for i in range(len(pauses))]
  assert all(0.5 * e <= pause <= 1.5 * e for e, pause in zip(expected, pauses, strict=True))
  assert len({pause / e for e, pause in zip(expected, pauses, strict=True)}) == len(pauses)


def test_a_person_who_waits_for_a_check_is_answered_within_seconds(folder, faulty, pauses):
  faulty(exists=[fault(tf.errors.FailedPreconditionError, "libcurl code 6: Could not resolve host: www.googleapis.com")] * 100)
  with pytest.raises(RemoteError, match="cannot be reached: libcurl code 6"):
    files.hurried(folder).exists()
  assert 0 < sum(pauses) <= 5


def test_a_run_that_stands_still_says_why_once(folder, faulty, pauses, caplog):
  faulty(write=[fault(tf.errors.UnavailableError)] * 8)
  with caplog.at_level("WARNING", "dlsuite"):
    retries.logging.getLogger("dlsuite").addHandler(caplog.handler)
    (folder / "a").write_bytes(b"data")
    retries.logging.getLogger("dlsuite").removeHandler(caplog.handler)
  (message,) = {record.getMessage() for record in caplog.records}
  assert message.startswith(f"writing {folder}/a: as the store says; trying again for up to ")


def test_a_file_system_that_is_not_built_in_is_refused_with_those_that_are_and_the_nearest(pauses):
  with pytest.raises(RemoteError) as caught:
    files.path("rem://bucket/run").exists()
  line = "no file system for rem:// is built into this TensorFlow (did you mean 'ram'?); allowed: a local folder, gs://, ram://"
  assert caught.value.strerror == line
  assert pauses == []


def test_an_object_that_is_written_again_is_the_new_one_alone(folder):
  for data in (b"the first, which is longer", b"second", b""):
    (folder / "a").write_bytes(data)
    assert (folder / "a").read_bytes() == data


def test_a_block_that_fails_leaves_the_object_as_it_was(folder):
  (folder / "a").write_bytes(b"old")
  with pytest.raises(ZeroDivisionError), files.whole(folder / "a") as f:
    f.write(b"half of the new")
    raise ZeroDivisionError
  assert (folder / "a").read_bytes() == b"old"


def test_an_object_that_is_not_there_is_no_fault_of_the_network(folder):
  with pytest.raises(FileNotFoundError):
    (folder / "a").read_bytes()
  with pytest.raises(FileNotFoundError):
    (folder / "a").unlink()
  (folder / "a").unlink(missing_ok=True)
  assert not (folder / "a").exists()
  assert list(folder.iterdir()) == []


def test_paths_are_taken_apart_and_put_together_as_pathlib_does(folder):
  local, there = pathlib.PurePosixPath("/bucket/run/figures/a.b.png"), files.path("gs://bucket/run/figures/a.b.png")
  assert isinstance(there, RemotePath)
  assert (there.name, there.stem, there.suffix, there.parent.name) == (local.name, local.stem, local.suffix, local.parent.name)
  assert str(there.with_suffix(".gif")) == f"gs:/{local.with_suffix('.gif')}"
  assert str(there.with_name("c")) == f"gs:/{local.with_name('c')}"
  assert str(files.path("gs://bucket//run/") / "x") == "gs://bucket/run/x"
  assert str(files.path("gs://bucket").parent) == "gs://bucket"
  assert files.join("gs://bucket/run/", "stage") == "gs://bucket/run/stage"
  assert files.join("/tmp/run/", "stage") == files.join("file:///tmp/run", "stage") == "/tmp/run/stage"


def test_a_glob_finds_what_lies_below(folder):
  folder.mkdir(parents=True)
  for name in ("a/result.json", "b/result.json", "b/other", "state_1.npz"):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(b"")
  assert sorted(map(str, folder.glob("*/result.json"))) == [f"{folder}/a/result.json", f"{folder}/b/result.json"]
  assert [path.name for path in folder.glob("state_*.npz")] == ["state_1.npz"]


@pytest.mark.parametrize(("text", "says"), [
  ("gs:/bucket/run", "did you mean 'gs://bucket/run'?"), ("gs:///run", "did you mean 'gs://run'?"),
  ("gs://", "names no folder"),
])
def test_a_misspelt_path_is_refused_with_the_nearest(text, says):
  with pytest.raises(ConfigError) as caught:
    files.check_text("--workdir", text)
  assert f"--workdir={text!r}" in str(caught.value)
  assert says in str(caught.value)


@pytest.mark.parametrize("text", ["/tmp/run", "run", "~/run", "a:b/run", "file:///tmp/run", "gs://bucket", "gs://bucket/run"])
def test_a_path_of_either_kind_is_taken(text):
  files.check_text("--workdir", text)


def test_lines_reach_the_object_with_the_flush_and_not_before(folder):
  lines = growing(folder / "metrics.jsonl")
  lines.add("1\n")
  lines.add("2\n")
  assert not (folder / "metrics.jsonl").exists()
  lines.flush()
  assert (folder / "metrics.jsonl").read_text() == "1\n2\n"
  again = growing(folder / "metrics.jsonl")
  again.add("3\n")
  again.flush()
  assert (folder / "metrics.jsonl").read_text() == "1\n2\n3\n"


def test_lines_that_could_not_be_written_are_written_with_the_next_flush(folder, faulty, pauses):
  lines = growing(folder / "log.txt")
  lines.add("1\n")
  faulty(write=[fault(tf.errors.PermissionDeniedError)])
  with pytest.raises(WorkdirError, match="not authorised"):
    lines.flush()
  lines.flush()
  assert (folder / "log.txt").read_text() == "1\n"


def test_figures_frames_and_films_are_those_of_a_disk(folder, tmp_path):
  pixels = [np.full((20, 30, 3), shade, np.uint8) for shade in (0, 200)]
  for where in (tmp_path, folder):
    with figures.figure(where / "plot.png") as (_, axis):
      axis.plot([1, 2], [3, 4])
    for step, picture in enumerate(pixels):
      figures.save_frame(where / "frames", step, picture)
    figures.film(sorted((where / "frames").glob("step_*.png"), key=str), where / "film.gif")
  for name in ("plot.png", "frames/step_000000001.png", "film.gif"):
    assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
  assert Image.open(io.BytesIO((folder / "film.gif").read_bytes())).n_frames == 2


def state(folder, step, selected=None):
  folder.save_state(step, {"network.a/0000": np.full(3, step, np.float32)}, {}, selected)


def test_of_a_torn_checkpoint_and_the_one_before_the_whole_one_is_taken(folder):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  state(found, 20)
  newest = folder / "checkpoints/state_000000020.npz"
  newest.write_bytes(newest.read_bytes()[:-50])
  latest = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f").latest_state()
  assert latest.step == 10
  assert latest.arrays["network.a/0000"].tolist() == [10, 10, 10]


def test_a_checkpoint_that_cannot_be_written_leaves_those_before(folder, faulty, pauses):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  faulty(write=[fault(tf.errors.PermissionDeniedError)])
  with pytest.raises(WorkdirError, match=r"_000000020.npz: the checkpoint cannot be written: not authorised .* go") as caught:
    state(found, 20)
  assert caught.value.exit_code == 2
  assert found.latest_state().step == 10


def test_a_checkpoint_that_cannot_be_reached_is_not_taken_for_a_torn_one(folder, faulty, pauses):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  state(found, 20)
  faulty(read=[fault(tf.errors.UnavailableError)] * 1000)
  with pytest.raises(WorkdirError, match=r"state_000000020.npz cannot be read: .* cannot be reached") as caught:
    found.latest_state()
  assert caught.value.exit_code == 74


def test_checkpoints_that_cannot_be_listed_are_not_taken_for_none(folder, faulty, pauses):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  # What tf.io.gfile.listdir makes of a network that is away: it asks isdir, which takes any error for a no.
  faulty(listdir=[fault(tf.errors.NotFoundError)] * 1000, exists=[fault(tf.errors.UnavailableError)] * 1000)
  with pytest.raises(WorkdirError, match=r"/checkpoints cannot be read: .* cannot be reached"):
    found.latest_state()


def test_checkpoints_are_listed_once_the_network_is_back(folder, faulty, pauses):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  faulty(listdir=[fault(tf.errors.NotFoundError)], exists=[fault(tf.errors.UnavailableError)])
  assert found.latest_state().step == 10


def test_checkpoints_are_not_taken_for_none_though_the_network_comes_and_goes(folder, faulty, pauses):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  state(found, 10)
  layer = faulty(listdir=[fault(tf.errors.NotFoundError)])
  layer.isdir = lambda path: False  # as of a folder, where the network is away again
  assert found.latest_state().step == 10


def test_nothing_lies_below_an_object(folder):
  (folder / "a").write_bytes(b"")
  assert not (folder / "a").is_dir()


def test_the_weights_that_a_kept_state_refers_to_stay_and_older_ones_go(folder):
  found = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")
  for step in (10, 20, 30):
    found.save_selected(step, {"network.a/0000": np.ones(2)}, {})
    state(found, step, selected=step)
  again = checkpoints.Folder(folder / "checkpoints", keep=2, fingerprint="f")  # knows nothing of what the first has written
  again.save_selected(40, {"network.a/0000": np.ones(2)}, {})
  state(again, 40, selected=40)
  assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
    "selected_000000030.npz", "selected_000000040.npz", "state_000000030.npz", "state_000000040.npz"]
