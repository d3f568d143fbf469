"""The one tf.distribute strategy of a process: cpu, gpu, tpu or several workers.

TensorFlow allows one strategy of one size a process: `Strategy.from_config` must come before any other TensorFlow call,
because the logical CPU devices can only be set before the runtime starts.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.checks import check_batch
from dlsuite.cluster import Cluster, Said, is_expected
from dlsuite.errors import ConfigError, WorkerLostError, first_line
from dlsuite.runs import process, remote

# (precision, jit) that `auto` stands for. CPU: bfloat16 is fast with AMX alone and emulated below AVX-512, and XLA makes
# convolutions several times slower. GPU: the plain choice, not yet measured. TPU: bfloat16 is the matrix unit's own
# format, and TPUStrategy compiles the step itself.
DEVICE_DEFAULTS = {"cpu": ("float32", False), "gpu": ("float32", False), "tpu": ("bfloat16", False)}

_LINGER_SECONDS = 3.0  # a worker that has lost another stays so long, for the rest to tell the two apart
_OF_EACH_WORKER = ("strategy.kind", "strategy.devices", "strategy.connect_seconds")  # keys that may differ between workers


@dataclasses.dataclass(frozen=True)
class Strategy:
  """A tf.distribute strategy and what the rest of the suite asks of it.

  Attributes:
    tf: the tf.distribute strategy.
    device: `cpu`, `gpu` or `tpu`.
    description: for the console, e.g. `2 x cpu`.
    cluster: the worker processes, if there are several.
  """

  tf: Any
  device: str
  description: str
  cluster: Cluster | None = None

  @property
  def replicas(self) -> int:
    """Number of replicas in sync, over all workers."""
    return int(self.tf.num_replicas_in_sync)

  @property
  def workers(self) -> int:
    """Number of processes that train together."""
    return len(self.cluster.addresses) if self.cluster else 1

  @property
  def worker_index(self) -> int:
    """This process's place among the workers, from 0."""
    return self.cluster.index if self.cluster else 0

  @property
  def is_chief(self) -> bool:
    """Whether this process writes the run's files."""
    return self.worker_index == 0

  @property
  def local_replicas(self) -> int:
    """Number of replicas of this process."""
    return self.replicas // self.workers

  @contextlib.contextmanager
  def naming_lost_workers(self) -> Iterator[None]:
    """Turns TensorFlow's error at a lost worker into one line that names it.

    Raises:
      WorkerLostError: if another worker died, or hangs, or TensorFlow fails in this way though all others are there.
    """
    try:
      yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
            tf.errors.InternalError, tf.errors.FailedPreconditionError) as e:
      if self.cluster is None or self.workers == 1:
        raise
      lost = self.cluster.lost(e.message)
      if not lost and remote.fault_named_in(e):
        raise
      time.sleep(_LINGER_SECONDS)
      was = "hangs or was" if "eartbeat" in e.message else "was"
      what = (f"{' and '.join(self.cluster.named(i) for i in lost)} {was} lost" if lost else
              f"{self.cluster.named(self.worker_index)} cannot go on, though no other worker is gone: {first_line(e, 400)}")
      raise WorkerLostError(f"{what}; the same command, started again on every worker, goes on from the newest checkpoint"
                            ) from e

  def barrier(self) -> None:
    """Returns once every worker has come here, e.g. so that what the chief wrote before can be read by all after."""
    if self.workers > 1:

      def meet() -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([]))

      self.tf.experimental_local_results(tf.function(lambda: self.tf.run(meet))())[0].numpy()

  def gathered(self, value: Any) -> np.ndarray:
    """Returns the replicas' values [b, ...] one after another, those of all workers, [B, ...]; all workers must call."""
    if self.workers > 1:
      dtype = self.tf.experimental_local_results(value)[0].dtype
      if dtype.size < 4 and dtype.is_integer:  # the collective gathers no narrow integers
        value = self.tf.run(lambda v: tf.cast(v, tf.int32), args=(value,))
      return self.tf.gather(value, axis=0).numpy().astype(dtype.as_numpy_dtype)
    return np.concatenate([part.numpy() for part in self.tf.experimental_local_results(value)])

  @classmethod
  def from_configs(cls, stages: Sequence[ConfigDict]) -> "Strategy":
    """Makes the strategy that the stages of a chain, which ask for the same, share, and checks that their batches divide.

    Raises:
      ConfigError: if the devices are not there, a global batch does not divide by the replicas, or several workers do not fit
        together.
      WorkerLostError: if one of several workers does not come.
    """
    kind, devices = stages[0].strategy.kind, stages[0].strategy.devices
    if kind == "auto":
      kind = _best_kind()
    strategy = _workers(stages) if kind == "workers" else {"cpu": _cpu, "gpu": _gpu, "tpu": _tpu}[kind](devices)
    for config in stages:
      check_batch(config, strategy.replicas)
    return strategy

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Strategy":
    """Makes the strategy that `config.strategy` asks for, as `from_configs` does."""
    return cls.from_configs([config])

  def precision(self, config: ConfigDict) -> str:
    """Returns `float32`, `bfloat16` or `float16`."""
    wanted = config.train.precision
    return DEVICE_DEFAULTS[self.device][0] if wanted == "auto" else wanted

  def jit(self, config: ConfigDict) -> bool:
    """Returns whether forward and backward pass are compiled by XLA.

    Raises:
      ConfigError: if that is asked for where replicas must talk inside the compiled part.
    """
    talks = config.strategy.sync_batch_norm and self.replicas > 1
    if config.train.jit == "on" and talks:
      raise ConfigError("train.jit='on' cannot be combined with strategy.sync_batch_norm on several replicas: set one off")
    if config.train.jit == "on" and self.device == "tpu":
      raise ConfigError("train.jit='on' is not for TPUs: the strategy compiles the step itself; use 'auto'")
    return config.train.jit == "on" or (config.train.jit == "auto" and DEVICE_DEFAULTS[self.device][1] and not talks)


def _best_kind() -> str:
  if is_expected("auto"):
    return "workers"
  if os.environ.get("TPU_NAME"):
    return "tpu"
  return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def _logical_cpus(count: int) -> list[str]:
  cpu = tf.config.list_physical_devices("CPU")[0]
  with contextlib.suppress(RuntimeError):  # once the runtime has started, what was configured then must do
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)])
  found = [device.name for device in tf.config.list_logical_devices("CPU")]
  if len(found) < count:
    raise ConfigError(f"strategy.devices={count}: TensorFlow has started with {len(found)} CPU devices")
  return [f"CPU:{i}" for i in range(count)]


def _cpu(devices: int) -> Strategy:
  tf.config.set_visible_devices([], "GPU")
  count = devices or 1
  names = _logical_cpus(count)
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0") if count == 1 else tf.distribute.MirroredStrategy(names)
  return Strategy(strategy, "cpu", f"{count} x cpu")


def _take_gpus(devices: int) -> list:
  """Returns so many of this machine's GPUs, all for 0. Must come before TensorFlow starts its runtime.

  The others are left alone, and of these the memory that is not needed.
  """
  found = tf.config.list_physical_devices("GPU")
  if found and devices > len(found):
    raise ConfigError(f"strategy.devices={devices} but TensorFlow finds {len(found)} GPU(s)")
  taken = list(found[:devices or None])
  with contextlib.suppress(RuntimeError):  # once it has started, what was configured then must do
    tf.config.set_visible_devices(taken, "GPU")
    for gpu in taken:
      tf.config.experimental.set_memory_growth(gpu, True)
  return taken


def _gpu(devices: int) -> Strategy:
  taken = _take_gpus(devices)
  count = len(taken)
  if not taken:
    raise ConfigError("strategy.kind='gpu' but TensorFlow finds no GPU; use strategy.kind='cpu' or install the extra: "
                      "pip install -e .[gpu]")
  name = tf.config.experimental.get_device_details(taken[0]).get("device_name", "gpu")
  # MirroredStrategy adds gradients up through NCCL where all its devices are whole GPUs.
  strategy = (tf.distribute.OneDeviceStrategy("/gpu:0") if count == 1
              else tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(count)]))
  return Strategy(strategy, "gpu", f"{count} x {name}")


def _tpu(devices: int) -> Strategy:
  if devices:
    raise ConfigError(f"strategy.devices={devices}: a TPU is used whole; leave it 0")
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME", "local"))
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    strategy = tf.distribute.TPUStrategy(resolver)
  except (ValueError, tf.errors.OpError, OSError, KeyError) as e:
    name = os.environ.get("TPU_NAME", "local")
    raise ConfigError(f"strategy.kind='tpu' but no TPU answers (TPU_NAME={name}): {first_line(e)[:160]}") from e
  return Strategy(strategy, "tpu", f"{strategy.num_replicas_in_sync} x tpu")


def _gpu_names(count: int) -> list[str]:
  """Returns the names of the first GPUs that this process sees."""
  visible = os.environ.get("CUDA_VISIBLE_DEVICES")
  return [name.strip() for name in visible.split(",")][:count] if visible is not None else [str(i) for i in range(count)]


def _gpu_numbering() -> str:
  """Returns what differs where equal numbers may be different GPUs: on other machines, in other containers.

  Also where a batch system lets every process open other GPUs, each of which is then its number 0.
  """
  opened = []
  for node in sorted(pathlib.Path("/dev").glob("nvidia[0-9]*")):
    with contextlib.suppress(OSError):
      os.close(os.open(node, os.O_RDWR))
      opened.append(node.name)
  return " ".join([process.machine(), *opened])


def _said(stages: Sequence[ConfigDict], gpus: int) -> Said:
  """Returns what this worker tells the others."""
  same = {"strategy.devices": f"{gpus} x gpu" if gpus else "1 x cpu"}
  for i, config in enumerate(stages):
    stage = f"stage {i + 1}: " if len(stages) > 1 else ""
    same |= {f"{stage}{key}": repr(value) for key, value in config_lib.flatten(config_lib.to_json(config)).items()
             if key not in _OF_EACH_WORKER}
  return Said(same, _gpu_numbering() if gpus else "", _gpu_names(gpus))


def _workers(stages: Sequence[ConfigDict]) -> Strategy:
  cluster, devices = Cluster.from_environment(), stages[0].strategy.devices
  gpus = _take_gpus(devices)
  if devices > 1 and not gpus:
    raise ConfigError(f"strategy.devices={devices}: TensorFlow finds no GPU, and a worker without one has one CPU device: "
                      "leave it 0 and start more workers")
  cluster.meet(stages[0].strategy.connect_seconds, _said(stages, len(gpus)))
  device = "gpu" if gpus else "cpu"
  # Left to choose, TensorFlow adds gradients up along a ring of connections, on GPUs too.
  options = tf.distribute.experimental.CommunicationOptions(
    implementation=getattr(tf.distribute.experimental.CommunicationImplementation, "NCCL" if gpus else "RING"))
  # Of TF_CONFIG's task TensorFlow would also want the type, and would find it missing only now.
  resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver(task_type="worker", task_id=cluster.index)
  strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver, communication_options=options)
  count = len(cluster.addresses)
  return Strategy(strategy, device, f"{count} workers x {strategy.num_replicas_in_sync // count} {device}", cluster)
