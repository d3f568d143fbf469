"""What TensorFlow raises of workers and of stores becomes one line that says what happened, and an exit code."""

import contextlib
import socket

import pytest
import tensorflow as tf

from dlsuite import strategy as strategy_lib
from dlsuite.cluster import Cluster
from dlsuite.errors import DlsuiteError, WorkerLostError, first_line
from dlsuite.main import main
from dlsuite.runs import remote
from dlsuite.runs.remote import RemoteError

AWAY = ("{{function_node __wrapped__IteratorGetNext_output_types_2_device_/job:localhost/replica:0/task:0/device:CPU:0}} Error "
        "executing an HTTP request: HTTP response code 503\n\t when reading gs://bucket/data/x.tfrecord-00000-of-00001")


def fault(kind, message):
  return kind(None, None, message)


@pytest.fixture
def pair(monkeypatch):
  """The strategy of the first of two workers, both of which are there."""
  monkeypatch.setattr(strategy_lib, "_LINGER_SECONDS", 0.0)
  with contextlib.ExitStack() as stack:
    servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
    addresses = tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in servers)
    yield strategy_lib.Strategy(None, "cpu", "2 workers", Cluster(addresses, 0))


def test_a_fault_of_tensorflow_between_workers_that_are_all_there_is_told_and_no_other_one_is_called_lost(pair):
  with pytest.raises(WorkerLostError) as caught, pair.naming_lost_workers():
    raise fault(tf.errors.InternalError, "no algorithm\n\tworked!")
  assert str(caught.value) == (
    f"worker 0 ({pair.cluster.addresses[0]}) cannot go on, though no other worker is gone: no algorithm worked!; the same "
    "command, started again on every worker, goes on from the newest checkpoint")


def test_a_store_that_a_worker_cannot_reach_is_not_taken_for_a_lost_worker(pair):
  with (pytest.raises(DlsuiteError, match="gs://bucket cannot be reached") as caught, remote.naming_faults(),
        pair.naming_lost_workers()):
    raise fault(tf.errors.AbortedError, AWAY)
  assert caught.value.exit_code == 74


def test_of_a_compiled_functions_error_the_reason_is_told_and_not_the_lines_that_led_there():
  @tf.function
  def check(x):
    tf.debugging.assert_less(x, 0.0, message="the reason")
    return x

  with pytest.raises(tf.errors.InvalidArgumentError, match="Detected at node") as caught:
    check(tf.constant(1.0))
  assert first_line(caught.value).startswith("assertion failed: [the reason] [Condition x < y")
  two_parts = str(caught.value).partition("assertion")[0] + "aborted by: x\n\nRPC: y"
  assert first_line(Exception(two_parts)) == "aborted by: x RPC: y"


@pytest.mark.parametrize(("error", "code", "line"), [
  (RemoteError("gs://bucket cannot be reached: 503", passing=True), 74,
   "gs://bucket cannot be reached: 503; the same command goes on from the newest checkpoint"),
  (RemoteError("not authorised for gs://bucket: run x"), 2, "not authorised for gs://bucket: run x"),
  (fault(tf.errors.AbortedError, AWAY), 74, "gs://bucket cannot be reached: Error executing an HTTP request: HTTP response "
   "code 503 when reading gs://bucket/data/x.tfrecord-00000-of-00001; the same command goes on from the newest checkpoint"),
  (fault(tf.errors.PermissionDeniedError, AWAY.replace("503", "403")), 2, "not authorised for gs://bucket: run `gcloud auth "
   "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key of an account that may read and write its "
   "objects"),
])
def test_a_store_that_fails_in_the_middle_of_a_run_is_answered_by_one_line(error, code, line, strategy, tmp_path, capfd,
                                                                           monkeypatch):
  def run_all(*_):
    raise error

  monkeypatch.setattr("dlsuite.modes.run_all", run_all)
  assert main(["--config=experiments/vision/lenet5.py:smoke", f"--workdir={tmp_path / 'run'}"]) == code
  assert capfd.readouterr().err == f"dlsuite: {line}\n"


@pytest.mark.parametrize("error", [
  fault(tf.errors.InternalError, "Blas GEMM launch failed"), fault(tf.errors.DataLossError, "corrupted record in gs://bucket/x"),
])
def test_what_no_store_is_to_blame_for_is_left_as_it_is(error):
  with pytest.raises(type(error)), remote.naming_faults():
    raise error
