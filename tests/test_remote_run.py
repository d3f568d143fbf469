"""A run whose folder is remote: the whole of it in TensorFlow's memory, `ram://`, in this process."""

import json
import os
import signal
import uuid

import keras
import pytest
import tensorflow as tf

from dlsuite import modes
from dlsuite.errors import DataError, Stopped
from dlsuite.main import main
from dlsuite.runs import files, lock, remote
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record
from tests import object_store
from tests.conftest import make_digits_config
from tests.test_kill import assert_same_run
from tools import add_result

LENET = "experiments/vision/lenet5.py:smoke"


@pytest.fixture
def workdir(monkeypatch):
  """A new folder in TensorFlow's memory."""
  monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.0)
  return f"ram://{uuid.uuid4().hex}/run"


def copied(workdir, folder):
  """Copies a remote folder to this machine."""
  for where, _, names in tf.io.gfile.walk(workdir):
    for name in names:
      target = folder / where.removeprefix(workdir).strip("/") / name
      target.parent.mkdir(parents=True, exist_ok=True)
      target.write_bytes(files.path(f"{where.rstrip('/')}/{name}").read_bytes())
  return folder


class StopAfter(keras.callbacks.Callback):
  """Sends a signal, or fails, once a step is reached."""

  def __init__(self, step, error=None):
    super().__init__()
    self._step, self._error = step, error

  def on_train_batch_end(self, batch, logs=None):
    if batch + 1 >= self._step:
      if self._error:
        raise self._error
      os.kill(os.getpid(), signal.SIGTERM)


class LostError(Exception):
  """The process is gone."""


def train(config, strategy, workdir, callbacks=None):
  record = Record(str(workdir), config)
  record.check()
  return modes.train(config, strategy, record, Console(False), callbacks)


def test_one_command_trains_draws_and_tests_and_others_read_it_again(workdir, strategy, tmp_path, capsys):
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.callbacks.csv"]) == 0
  assert workdir in capsys.readouterr().out
  result = json.loads((files.path(workdir) / "result.json").read_text())
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.callbacks.csv", "--mode=evaluate"]) == 0
  assert f"{result['test']['loss']:.4f}" in capsys.readouterr().out
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.callbacks.csv", "--mode=predict"]) == 0
  run = copied(workdir, tmp_path / "run")
  names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and "tfevents" not in path.name}
  assert names == {
    "config.json", "log.txt", "metrics.csv", "metrics.jsonl", "predictions_test.csv", "provenance.json", "result.json",
    "checkpoints/selected_000000004.npz", "checkpoints/state_000000004.npz", "figures/confusion_matrix.png",
    "figures/first_layer_filters.png", "figures/learning_curves.png", "figures/mistakes.png"}
  assert list(run.glob("tensorboard/*/*tfevents*"))
  assert len((run / "predictions_test.csv").read_text().splitlines()) == 401
  assert "weights of step 4" in (run / "log.txt").read_text()


def make_stopped_config():
  """Returns the config of the runs that are stopped, and of the one that is not."""
  config = make_digits_config()
  config.callbacks.csv = True
  config.checkpoint.every_steps = 3
  config.train.steps_per_call = 1
  return config


@pytest.fixture(scope="module")
def unbroken(strategy, tmp_path_factory):
  """The folder of a local run that was never stopped."""
  folder = tmp_path_factory.mktemp("unbroken")
  train(make_stopped_config(), strategy, folder)
  return folder


@pytest.mark.parametrize("how", ["SIGTERM", "a loss of the process"])
def test_a_run_that_was_stopped_goes_on_to_the_bits_of_an_unbroken_local_one(unbroken, strategy, workdir, tmp_path, how):
  config = make_stopped_config()
  with pytest.raises(Stopped if how == "SIGTERM" else LostError):
    train(config, strategy, workdir, [StopAfter(8, None if how == "SIGTERM" else LostError())])
  newest = max(path.name for path in files.path(workdir).glob("checkpoints/state_*.npz"))
  assert newest == ("state_000000008.npz" if how == "SIGTERM" else "state_000000006.npz")
  train(config, strategy, workdir)
  assert_same_run(unbroken, copied(workdir, tmp_path / "stopped"))


def test_rows_are_in_the_object_before_the_checkpoint_that_stands_for_them(digits_config, strategy, workdir, monkeypatch):
  digits_config.checkpoint.every_steps = 4
  path, found = files.path(workdir) / "metrics.jsonl", []
  write = remote.RemotePath.write_bytes

  def spy(self, data):
    if self.name.startswith("state_"):
      found.append((int(self.stem.rpartition("_")[2]), [json.loads(line)["step"] for line in path.read_text().splitlines()]))
    write(self, data)

  monkeypatch.setattr(remote.RemotePath, "write_bytes", spy)
  train(digits_config, strategy, workdir)
  assert found == [(4, [4, 4]), (8, [4, 4, 8, 8]), (12, [4, 4, 8, 8, 12, 12])]


def test_a_remote_run_that_is_copied_to_a_disk_goes_on_there(unbroken, strategy, workdir, tmp_path):
  config = make_stopped_config()
  with pytest.raises(Stopped):
    train(config, strategy, workdir, [StopAfter(7)])
  train(config, strategy, copied(workdir, tmp_path / "run"))
  assert_same_run(unbroken, tmp_path / "run")


def test_a_run_starts_from_the_weights_of_a_remote_one(digits_config, strategy, workdir, tmp_path, capsys):
  train(digits_config, strategy, workdir)
  digits_config.init_from = workdir
  record = Record(str(tmp_path / "run"), digits_config)
  modes.train(digits_config, strategy, record, Console())
  assert f"started from {workdir}/checkpoints/selected_" in capsys.readouterr().out


def test_a_remote_run_of_another_config_is_refused_with_the_keys(digits_config, strategy, workdir, capfd):
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.analyses=()"]) == 0
  capfd.readouterr()
  before = {path: path.read_bytes() for path in files.path(workdir).iterdir() if path.suffix}
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.seed=3"]) == 2
  assert "holds a run of another config: seed (0 there, 3 here)" in capfd.readouterr().err
  assert {path: path.read_bytes() for path in files.path(workdir).iterdir() if path.suffix} == before


def test_a_remote_folder_that_holds_something_else_is_refused(workdir, capfd):
  folder = files.path(workdir)
  folder.mkdir(parents=True)
  (folder / "thesis.tex").write_bytes(b"")
  assert main([f"--config={LENET}", f"--workdir={workdir}"]) == 2
  assert capfd.readouterr().err == f"dlsuite: --workdir={workdir} is not empty and holds no run: give a new folder\n"
  assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_the_stages_of_a_chain_lie_below_a_remote_folder(workdir, capfd):
  command = ["--config=experiments/unsupervised/denoising.py:smoke", f"--workdir={workdir}", "--config.analyses=()"]
  assert main(command) == 0
  stages = {path.parent.name for path in files.path(workdir).glob("*/result.json")}
  assert len(stages) == 2
  assert f"started from {workdir}/" in capfd.readouterr().out
  (files.path(workdir) / "other").write_bytes(b"")
  assert main(command) == 2
  assert "other, which is no stage of this chain" in capfd.readouterr().err


def test_a_second_run_in_a_remote_folder_is_refused_with_owner_and_time(digits_config, strategy, workdir):
  first = Record(workdir, digits_config)
  first.open({})
  with pytest.raises(modes.WorkdirError, match=rf"in use by another process [(]process {os.getpid()} on .*@.* since 20\d\d-"):
    train(digits_config, strategy, workdir)
  first.close()
  train(digits_config, strategy, workdir)


def test_a_remote_run_without_a_result_is_refused_by_the_table_of_results(workdir, capsys):
  assert add_result.main([workdir]) == 2
  assert capsys.readouterr().err == f"add_result: {workdir}: result.json is missing: the run has not ended\n"


@pytest.mark.parametrize(("flag", "says"), [
  ("--workdir=gs:/bucket/run", "--workdir='gs:/bucket/run' is no path (did you mean 'gs://bucket/run'?)"),
  ("--workdir=gs://", "names no folder; allowed: a local folder, or e.g. gs://bucket/folder"),
  ("--init_from=gs:///run", "--init_from='gs:///run' names no bucket (did you mean 'gs://run'?)"),
  ("--data_dir=ram://x/data", "--data_dir='ram://x/data': tfds reads no such path; allowed: a local folder, or e.g. gs://bucket"),
  ("--workdir=s3://bucket/run", "no file system for s3:// is built into this TensorFlow; allowed: a local folder, gs://, ram://"),
])
def test_a_path_that_cannot_be_is_answered_by_one_line(flag, says, tmp_path, capfd, strategy):
  assert main([f"--config={LENET}", f"--workdir={tmp_path / 'run'}", flag]) == 2
  line = capfd.readouterr().err
  assert line.count("\n") == 1
  assert says in line
  assert list(tmp_path.iterdir()) == []


def test_data_dir_is_where_a_set_is_prepared(tmp_path, strategy, monkeypatch, workdir):
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", "/nowhere")
  assert main([f"--config={LENET}", f"--workdir={workdir}", "--config.analyses=()", f"--data_dir={tmp_path / 'data'}"]) == 0
  assert (tmp_path / "data/optical_digits/1.0.0/dataset_info.json").exists()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  if object_store.OPENSSL is None:
    pytest.skip("needs openssl to make a certificate")
  found = object_store.ObjectStore(tmp_path_factory.mktemp("store"))
  yield found
  found.close()


@pytest.fixture
def cloud(store, monkeypatch):
  """`gs://bucket`, for TensorFlow's own client in this process."""
  for name, value in store.environment().items():
    monkeypatch.setenv(name, value)
  yield store
  store.work()


@pytest.mark.parametrize(("workdir", "fault", "code", "says"), [
  ("gs://nobody/run", None, 2, "--workdir=gs://nobody/run is not writable: bucket gs://nobody does not exist"),
  ("gs://bucket/run", ("POST /upload", 403), 2, "not writable: not authorised for gs://bucket: run `gcloud auth application-d"),
  ("gs://bucket/run", ("GET", 401), 2, "cannot be read: not authorised for gs://bucket: run `gcloud auth application-d"),
  ("gs://bucket/run", ("GET", 503), 74, "cannot be read: gs://bucket cannot be reached: "),  # may pass: worth another start
])
def test_a_bucket_that_cannot_be_used_is_answered_by_one_line(cloud, strategy, capfd, workdir, fault, code, says):
  if fault:
    cloud.fail(*fault)
  assert main([f"--config={LENET}", f"--workdir={workdir}"]) == code
  line = capfd.readouterr().err
  assert line.count("\n") == 1
  assert says in line
  assert cloud.names() == []


def test_googles_store_is_written_read_and_listed_by_tensorflows_own_client(cloud, strategy):
  folder = files.path("gs://bucket/a run")
  folder.mkdir(parents=True)
  for data in (b"first", b"", b"second" * 100_000):
    (folder / "x" / "a.b").write_bytes(data)
    assert cloud.read("bucket/a run/x/a.b") == data
    assert (folder / "x" / "a.b").read_bytes() == data
  assert [str(path) for path in folder.iterdir()] == ["gs://bucket/a run/x"]
  assert folder.is_dir()
  (folder / "x" / "a.b").unlink()
  assert not (folder / "x" / "a.b").exists()
  assert cloud.names() == []


def test_a_data_dir_on_googles_store_is_filled_once_and_then_read(cloud, strategy, monkeypatch):
  from dlsuite.data import sources

  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", "gs://bucket/data")
  builder = sources.open_builder("optical_digits")
  assert "bucket/data/optical_digits/1.0.0/dataset_info.json" in cloud.names()
  assert len(list(builder.as_dataset(split="train"))) == 1197
  cloud.work()
  assert sources.open_builder("optical_digits").info.splits["test"].num_examples == 400
  assert not [request for request in cloud.requests() if request.startswith(("POST", "PUT", "DELETE"))]


@pytest.mark.parametrize(("folder", "fault", "says"), [
  ("gs://nobody/data", None, "--data_dir=gs://nobody/data is not writable: bucket gs://nobody does not exist"),
  ("gs://bucket/other", ("POST /upload", 403), "--data_dir=gs://bucket/other is not writable: not authorised for gs://bucket"),
])
def test_a_data_dir_that_cannot_be_used_is_named_with_what_to_do(cloud, strategy, monkeypatch, folder, fault, says):
  from dlsuite.data import sources

  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", folder)
  if fault:
    cloud.fail(*fault)
  with pytest.raises(DataError) as caught:
    sources.open_builder("optical_digits")
  assert str(caught.value).startswith(says)


@pytest.mark.parametrize("code", [503, 429, 0])
def test_googles_store_gets_one_whole_object_though_an_upload_fails_or_is_torn(cloud, strategy, code):
  path = files.path(f"gs://bucket/torn{code}")
  path.write_bytes(b"old")
  cloud.fail("PUT /session/", code, times=1)
  path.write_bytes(b"new" * 100_000)
  assert cloud.read(f"bucket/torn{code}") == b"new" * 100_000
  path.unlink()
