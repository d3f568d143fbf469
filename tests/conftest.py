"""Shared set-up: one quiet TensorFlow, one single-device strategy a process, and a data folder of the tests' own."""

import atexit
import os
import pathlib
import shutil
import sys
import tempfile

# Where the user's data sets lie: tests marked `data` look here, all others use the folder below.
# The workers of xdist inherit the first process's environment, where TFDS_DATA_DIR is already the tests' own.
_REAL = os.environ.setdefault("DLSUITE_TESTS_REAL_DATA_DIR", os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
REAL_DATA_DIR = pathlib.Path(_REAL).expanduser()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow's client of `gs://` reads these when it is imported: a store of the tests' own that fails is not waited for.
os.environ.setdefault("GCS_RETRY_CONFIG_INIT_DELAY_TIME_US", "1000")
os.environ.setdefault("GCS_RETRY_CONFIG_MAX_RETRIES", "2")
os.environ["TFDS_DATA_DIR"] = tempfile.mkdtemp(prefix="dlsuite-tests-")
atexit.register(shutil.rmtree, os.environ["TFDS_DATA_DIR"], ignore_errors=True)

import pytest  # noqa: E402

from dlsuite import config as config_lib  # noqa: E402
from dlsuite.quiet import import_tensorflow  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The longest files, longest first. The workers of xdist take a file each: one that begins last ends after the others.
_LONG = ("test_experiments", "test_parity", "test_kill_every_kind", "test_loop", "test_kinds", "test_kill", "test_tpu_vm_shell",
         "test_tpu_vm", "test_remote_run", "test_tpu_compile", "test_loss_scaling")


def pytest_collection_modifyitems(items):
  """Puts the long files first; all others, and the tests of each, stay in their order."""
  rank = {name: i for i, name in enumerate(_LONG)}
  items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def strategy():
  """The process's strategy: one CPU device."""
  import_tensorflow()
  from dlsuite.strategy import Strategy

  config = config_lib.defaults("fixture", task="classification")
  config.strategy.kind = "cpu"
  return Strategy.from_config(config)


@pytest.fixture(autouse=True, scope="module")
def _float32_again():
  """Takes back the precision that a task of the module's tests has set for the whole process."""
  yield
  if keras := sys.modules.get("keras"):
    keras.config.set_dtype_policy("float32")


def make_digits_config():
  """Returns what the fixture below is, for one of a module."""
  from dlsuite import catalog

  config = catalog.load("experiments/vision/lenet5.py").copy_and_resolve_references()
  config.unlock()
  config.strategy.kind = "cpu"
  config_lib.set_duration(config, "train", "train.steps", 12)
  config_lib.set_duration(config, "evaluate", "evaluate.every_steps", 4)
  config_lib.set_duration(config, "warmup", "optimizer.warmup_steps", 2)
  config.train.log_every_steps = 4
  config.analyses = ()
  config.callbacks.tensorboard = False
  return config


@pytest.fixture
def digits_config():
  """LeNet-5 on the embedded digits, unlocked: 12 steps, evaluated and logged every 4."""
  return make_digits_config()


@pytest.fixture
def real_data_dir():
  """The user's tfds folder, for tests marked `data`."""
  return REAL_DATA_DIR
