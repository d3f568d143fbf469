"""A run whose folder lies on an object store is killed, goes on, and ends in the bits of one that was not.

TensorFlow's own client of `gs://` talks to a store on this machine (`tests.object_store`).
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests import object_store
from tests.test_kill import assert_same_run

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(object_store.OPENSSL is None, reason="needs openssl to make a certificate")]
COMMAND = ["--config=experiments/vision/lenet5.py", "--config.train.steps=200", "--config.evaluate.every_steps=50",
           "--config.train.log_every_steps=25", "--config.optimizer.ema=0.9", "--config.callbacks.csv", "--config.analyses=()",
           "--noconfig.callbacks.tensorboard", "--config.strategy.kind=cpu", "--config.checkpoint.every_steps=7"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
  found = object_store.ObjectStore(tmp_path_factory.mktemp("store"))
  yield found
  found.close()


def start(store, workdir, log):
  environment = os.environ | store.environment()
  with open(log, "ab") as f:
    return subprocess.Popen([sys.executable, "-m", "dlsuite.main", *COMMAND, f"--workdir={workdir}"], cwd=object_store.ROOT,
                            env=environment, stdout=f, stderr=f)


def newest(store, prefix):
  return max([int(name.rpartition("_")[2].partition(".")[0]) for name in store.names(prefix) if "/state_" in name], default=0)


def copy_of(store, prefix, folder):
  """Copies the objects below a prefix into a folder of this machine."""
  for name in store.names(prefix):
    path = folder / name.removeprefix(prefix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(store.read(name))
  return folder


def test_a_run_on_an_object_store_that_is_killed_ends_in_the_bits_of_an_unbroken_local_one(store, tmp_path):
  log = tmp_path / "log"
  for target in (20, 110):
    process = start(store, "gs://bucket/killed", log)
    deadline = time.monotonic() + 300
    while newest(store, "bucket/killed/") < target and process.poll() is None and time.monotonic() < deadline:
      time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, log.read_text()
  assert 110 <= newest(store, "bucket/killed/") < 200
  store.work()
  store.fail("PUT /session/", 503, times=2)
  store.fail("PUT /session/", 0, times=1)
  assert start(store, "gs://bucket/killed", log).wait() == 0, log.read_text()
  assert log.read_text().count("taking over the lock of process") == 2
  assert start(store, tmp_path / "unbroken", log).wait() == 0, log.read_text()
  assert_same_run(tmp_path / "unbroken", copy_of(store, "bucket/killed/", tmp_path / "killed"))
  assert len(json.loads(store.read("bucket/killed/provenance.json"))) == 3
  assert "bucket/killed/.lock" not in store.names()
  assert not [name for name in store.names() if name.endswith(".part")]
