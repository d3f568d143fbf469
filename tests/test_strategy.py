"""What the branches for GPUs ask of TensorFlow, which here has none: the calls, and their order."""

import json

import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite import strategy as strategy_lib
from dlsuite.errors import ConfigError
from dlsuite.strategy import Strategy


class Played:
  """Stands for a strategy of some devices."""

  def __init__(self, replicas):
    self.num_replicas_in_sync = replicas


@pytest.fixture
def asked(monkeypatch):
  """A machine with three GPUs; returns what is asked of TensorFlow, in order."""
  found = []
  gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(3)]

  def note(name, answer=None):
    def call(*arguments, **options):
      found.append((name, *arguments, *options.values()))
      return answer(*arguments) if callable(answer) else answer
    return call

  monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else [])
  monkeypatch.setattr(tf.config, "set_visible_devices", note("visible"))
  monkeypatch.setattr(tf.config.experimental, "set_memory_growth", note("growth"))
  monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA X"})
  monkeypatch.setattr(tf.distribute, "MirroredStrategy", note("mirrored", lambda devices: Played(len(devices))))
  monkeypatch.setattr(tf.distribute, "OneDeviceStrategy", note("one device", lambda device: Played(1)))
  monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", note("workers", Played(6)))
  return found, gpus


def config(**changes):
  made = config_lib.defaults("fixture", task="classification")
  made.data.batch_size = 12
  for key, value in changes.items():
    made.strategy[key] = value
  return made


def prepared(gpus):
  """What must have been asked before a strategy, whose making starts the runtime."""
  return [("visible", gpus, "GPU"), *(("growth", gpu, True) for gpu in gpus)]


def test_all_gpus_of_a_host_train_and_take_no_more_memory_than_they_need(asked):
  found, gpus = asked
  strategy = Strategy.from_config(config(kind="auto"))
  assert found == [*prepared(gpus), ("mirrored", ["GPU:0", "GPU:1", "GPU:2"])]
  assert (strategy.device, strategy.replicas, strategy.description) == ("gpu", 3, "3 x NVIDIA X")


@pytest.mark.parametrize(("devices", "last"), [(1, ("one device", "/gpu:0")), (2, ("mirrored", ["GPU:0", "GPU:1"]))])
def test_gpus_that_are_not_asked_for_are_left_alone(asked, devices, last):
  found, gpus = asked
  Strategy.from_config(config(kind="gpu", devices=devices))
  assert found == [*prepared(gpus[:devices]), last]


def test_a_fourth_gpu_of_three_is_refused(asked):
  with pytest.raises(ConfigError, match=r"strategy.devices=4 but TensorFlow finds 3 GPU\(s\)"):
    Strategy.from_config(config(kind="gpu", devices=4))


@pytest.fixture
def worker(monkeypatch):
  """Returns what makes this process worker 1 of two at these addresses, by no more of TF_CONFIG than it must hold.

  It returns the list of what this worker then says to the other.
  """
  told = []
  monkeypatch.setattr(strategy_lib.Cluster, "meet", lambda self, seconds, said: told.append(said))
  monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

  def become(*addresses):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": addresses}, "task": {"index": 1}}))
    return told

  return become


@pytest.mark.parametrize("devices", [0, 2])
def test_workers_with_gpus_add_gradients_up_through_nccl(asked, worker, devices):
  found, gpus = asked
  worker("a:1", "b:1")
  strategy = Strategy.from_config(config(kind="workers", devices=devices))
  assert found[:-1] == prepared(gpus[:devices or 3])
  name, resolver, options = found[-1]
  assert (name, resolver.task_type, resolver.task_id) == ("workers", "worker", 1)
  assert resolver.cluster_spec().as_dict() == {"worker": ["a:1", "b:1"]}
  assert options.implementation == tf.distribute.experimental.CommunicationImplementation.NCCL
  assert (strategy.device, strategy.description) == ("gpu", "2 workers x 3 gpu")


def test_a_worker_without_gpus_has_one_device(asked, worker):
  _, gpus = asked
  gpus.clear()
  worker("a:1", "b:1")
  with pytest.raises(ConfigError, match=r"strategy\.devices=2: TensorFlow finds no GPU"):
    Strategy.from_config(config(kind="workers", devices=2))
  assert Strategy.from_config(config(kind="workers", devices=1)).device == "cpu"


@pytest.mark.parametrize(("visible", "devices", "gpus"), [
  (None, 0, ["0", "1", "2"]), ("2,GPU-a,0", 0, ["2", "GPU-a", "0"]), ("2,GPU-a,0", 2, ["2", "GPU-a"])])
def test_a_worker_tells_the_others_which_gpus_it_takes(asked, worker, monkeypatch, visible, devices, gpus):
  told = worker("a:1", "a:2")
  if visible:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
  Strategy.from_config(config(kind="workers", devices=devices))
  assert told[0].gpus == gpus
  assert told[0].machine


def test_a_worker_tells_the_others_the_values_of_all_stages_and_its_devices(asked, worker):
  told = worker("a:1", "b:1")
  stages = [config(kind="workers", connect_seconds=5.0), config(kind="workers")]
  stages[1].seed = 7
  Strategy.from_configs(stages)
  same = told[0].same
  assert (same["stage 1: seed"], same["stage 2: seed"], same["strategy.devices"]) == ("0", "7", "3 x gpu")
  assert not [key for key in same if key.endswith(("strategy.kind", "connect_seconds"))]
