"""From a config to the programs that a TPU would run: one replica's training step and evaluation step, as XLA's HLO."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import tensorflow as tf
from ml_collections import ConfigDict
from tensorflow.compiler.xla.service import hlo_pb2

from dlsuite.checks import check_batch
from dlsuite.data import pipeline, randomness
from dlsuite.data.feed import is_stacked
from dlsuite.errors import DataError, DlsuiteError, first_line
from dlsuite.layers import processor
from dlsuite.modes import task_of
from dlsuite.plan import Plan
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.tasks.supervised import Supervised
from dlsuite.training import steps
from tools.tpu import blame, scan
from tools.tpu.replicas import ReplicaStrategy

Specs = dict[str, tf.TensorSpec]


class RefusedError(DlsuiteError):
  """The program is not for a TPU; the message says which line of the model is to blame."""

  exit_code = 1


@dataclasses.dataclass(frozen=True)
class Program:
  """What one replica runs, ready to be compiled.

  Attributes:
    kind: `train` or `evaluate`.
    hlo: serialized HLO module, the same for the same program; variables that it updates are inputs aliased with outputs.
    batch: the global batch.
    replicas: how many run it in step.
    graph: the traced graph, for blame.
    sites: where the layers were made.
    seconds: spent tracing and exporting.
  """

  kind: str
  hlo: bytes
  batch: int
  replicas: int
  graph: tf.Graph
  sites: blame.Sites
  seconds: float

  def blamed(self, message: str) -> list[blame.Blame]:
    """Returns the lines to blame for the operations that a compiler's message names."""
    names = re.findall(r'op_name="([^"]+)"', message) + re.findall(r"\{\{node ([^}]+)\}\}", message)
    return blame.of_names(names, self.graph, self.sites)

  def largest(self, message: str) -> list[str]:
    """Returns what takes the most memory and the lines to blame: what the compiler's message lists, else what was traced."""
    listed = re.findall(r'Size: (\S+)\s+Operator: op_name="([^"]+)"[^\n]*\s+Shape: ([^\s{]+)', message)
    found = [f"{size} of {shape} for {named[0]}" for size, name, shape in listed[:3]
             if (named := blame.of_names([name], self.graph, self.sites))]
    return found or self._largest_tensors()

  def _largest_tensors(self, count: int = 3) -> list[str]:
    """Returns the largest tensors of the traced step, one a line of code: their type and shape, and the line to blame."""
    sizes = [(tensor.shape.num_elements() * tensor.dtype.size, tensor) for op in blame.operations(self.graph)
             for tensor in op.outputs if tensor.dtype.size and tensor.shape.is_fully_defined()]
    found: dict[str, str] = {}
    for _, tensor in sorted(sizes, key=lambda pair: pair[0], reverse=True):
      blamed = blame.of_operation(tensor.op, self.sites)
      found.setdefault(blamed.place, f"{tensor.dtype.name} {list(tensor.shape)} of {blamed}")
      if len(found) == count:
        break
    return list(found.values())


class Exporter:
  """Exports the steps of one config (one stage of a chain) for some replicas.

  Args:
    config: the stage's config; a copy is taken.
    replicas: how many chips (cores, where a chip runs two) share the batch.

  Attributes:
    batch_size: the config's own, global.

  Raises:
    DlsuiteError: as a training would.
  """

  def __init__(self, config: ConfigDict, replicas: int) -> None:
    self.config = config.copy_and_resolve_references()
    self.config.unlock()
    if "replay" in self.config:
      self.config.replay.start = 1  # only the shapes of what is remembered are wanted
    self.strategy = Strategy(ReplicaStrategy(replicas), "tpu", f"{replicas} x tpu (exported)")
    self.sites = blame.Sites()
    self.batch_size = int(self.config.data.batch_size)
    self._specs: dict[str, tuple[Specs, bool]] = {}
    with _as_on_a_tpu():
      self._task = task_of(self.config, self.strategy, prepare=False)
      per_epoch = self._task.steps_per_epoch
      self.length_known = bool(per_epoch) or not self.config.data.get("name")
      self._plan = Plan.of(self.config, per_epoch) if self.length_known else Plan(1, 0, 1, 1, 0, 1)

  @property
  def precision(self) -> str:
    """The dtype that the networks compute in."""
    return self.strategy.precision(self.config)

  @property
  def unit(self) -> int:
    """What a global batch must be a multiple of."""
    return int(self.strategy.replicas * self.config.train.accumulate)

  @property
  def evaluation(self) -> str:
    """Why there is no compiled evaluation step, or an empty text."""
    if _has_evaluation(self._task):
      return "" if self.config.data.valid or self.config.data.test else "the config names no split to evaluate on"
    return f"no evaluation step to compile: task={self.config.task!r} evaluates on the host, by calls of its own"

  @property
  def acts(self) -> bool:
    """Whether the task is known to gather its own data on the host, between the steps."""
    return self._specs.get("train", ({}, False))[1]

  def train(self, batch_size: int | None = None) -> Program:
    """Exports the training step, at another global batch if one is given.

    Raises:
      RefusedError: if the step is not for a TPU.
      ConfigError: if the batch does not divide by the replicas.
    """
    batch_size = batch_size or self.batch_size
    with _as_on_a_tpu():
      self._build(batch_size)
      specs, stacked = self._spec("train")
      specs = _resized(specs, batch_size if stacked else batch_size // self.strategy.replicas)
      step = steps.replica_train_step(self._task, self.strategy)
      return self._export("train", batch_size, lambda batch, number: step(batch, number, stacked),
                          (specs, tf.TensorSpec([], tf.int64)))

  def evaluate(self) -> Program | None:
    """Exports the evaluation step, or returns None where `evaluation` says that there is none."""
    if self.evaluation:
      return None
    with _as_on_a_tpu():
      self._build(self.batch_size)
      specs, _ = self._spec("evaluate")
      task: Any = self._task
      rows = self._evaluation_rows() * self.strategy.replicas
      return self._export("evaluate", rows, task.replica_evaluation(), (specs,))

  def _build(self, batch_size: int) -> None:
    self.config.data.batch_size = batch_size
    check_batch(self.config, self.strategy.replicas)
    keras.utils.clear_session()  # names of layers, and with them the HLO, do not depend on what was built before
    with self._told("cannot be built"), self.sites.recorded():
      self._task.build(self._plan.total, self._plan.warmup)

  def _export(self, kind: str, batch: int, step: Callable, specs: tuple) -> Program:
    began = time.monotonic()
    if found := scan.dynamic_inputs(specs[0]):
      raise RefusedError(f"the {kind} step: {found[0]}")
    strategy = self.strategy.tf

    flat = tf.nest.flatten(specs)

    @tf.function(jit_compile=True)
    def program(*arguments: tf.Tensor) -> tf.Tensor:
      packed = tf.nest.pack_sequence_as(specs, arguments)
      return strategy.experimental_local_results(strategy.run(step, args=packed))[0]

    with self._told(f"the {kind} step cannot be traced"):
      graph = program.get_concrete_function(*flat).graph
    if findings := scan.scan(graph, self.sites):
      more = f" (and {len(findings) - 1} more: {'; '.join(map(str, findings[1:4]))})" if len(findings) > 1 else ""
      raise RefusedError(f"the {kind} step: {findings[0]}{more}")
    try:
      hlo = program.experimental_get_compiler_ir(*flat)(stage="hlo_serialized")
    except (ValueError, tf.errors.OpError) as e:
      text = str(e)
      named = blame.of_names(re.findall(r"\{\{node ([^}]+)\}\}", text), graph, self.sites)
      why = re.search(r"Detected unsupported operations.*?: (\w+) \(", text)
      told = f"XLA has no {why[1]}" if why else first_line(e, 300)
      raise RefusedError(f"the {kind} step cannot be exported: {told}{f': {named[0]}' if named else ''}") from e
    return Program(kind, _canonical(hlo), batch, self.strategy.replicas, graph, self.sites, time.monotonic() - began)

  @contextlib.contextmanager
  def _told(self, what: str) -> Iterator[None]:
    """Turns whatever a model raises into one line with its place."""
    try:
      yield
    except DlsuiteError:
      raise
    except Exception as e:  # a model's fault may be of any type
      where = blame.of_exception(e)
      raise RefusedError(f"{what}: {type(e).__name__}: {first_line(e)}{f' at {where}' if where else ''}") from e

  def _spec(self, kind: str) -> tuple[Specs, bool]:
    """Returns what a batch of one step is made of, of the config's own batch size, and whether it is a global one."""
    if kind not in self._specs:
      self.config.data.batch_size, asked = self.batch_size, self.config.data.batch_size
      self._specs[kind] = self._found(kind)
      self.config.data.batch_size = asked
    return self._specs[kind]

  def _found(self, kind: str) -> tuple[Specs, bool]:
    task: Any = self._task
    split = "train" if kind == "train" else "valid" if self.config.data.valid else "test"
    prepared = not isinstance(task, Supervised) or bool(task.builder_of(split).info.splits)
    if _is_plain(task) and not prepared:
      return self._from_features(kind), False
    if not prepared:
      key = "test_name" if task.builder_of(split) is task.test_builder else "name"
      name = self.config.data[key]
      raise DataError(f"data.{key}={name!r} is not prepared on this machine, and task={self.config.task!r} takes its shapes "
                      f"from it; prepare it with: python -c \"import tensorflow_datasets as tfds; "
                      f"tfds.builder('{name}').download_and_prepare()\"")
    if kind == "evaluate":
      return dict(task.evaluation(split).batches.element_spec), False
    source = task.feed(0).source(0, 1)
    if is_stacked(source):
      return {word: tf.TensorSpec(value.shape[1:], value.dtype) for word, value in source.items()}, True
    return dict(source.element_spec), False

  def _evaluation_rows(self) -> int:
    return -(-self.config.evaluate.batch_size // self.strategy.replicas)

  def _from_features(self, kind: str) -> Specs:
    """Returns the same from what the set's features are declared to be, without any data."""
    task: Any = self._task
    train = kind == "train"
    rows = self.batch_size // self.strategy.replicas if train else self._evaluation_rows()
    known = task.builder.info.features
    specs = {}
    for word, key in self.config.data.features.items():
      if key not in known:
        raise DataError(f"data.features.{word}={key!r} is not a feature of {task.builder.name}; it has: {', '.join(known)}")
      shape = pipeline.feature_shape(task.builder, self.config, word)
      specs[word] = tf.TensorSpec([rows, *shape], tf.as_dtype(known[key].dtype))
    if not train:
      return specs | {pipeline.MASK: tf.TensorSpec([rows], tf.float32), pipeline.INDEX: tf.TensorSpec([rows], tf.int64)}
    if task.augment is None:
      return specs
    zero, seed = tf.constant(0, tf.int64), self.config.seed

    @tf.function
    def augmented(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
      return task.augment(batch, lambda draw: randomness.uniform(seed, zero, tf.range(rows, dtype=tf.int64), draw))

    outputs = augmented.get_concrete_function(specs).structured_outputs
    return {word: tf.TensorSpec(value.shape, value.dtype) for word, value in outputs.items()}


def _canonical(hlo: bytes) -> bytes:
  """Returns the same module with nothing in it that depends on what the process did before, or on the order of a map."""
  module = hlo_pb2.HloModuleProto.FromString(hlo)
  for computation in module.computations:
    if computation.id == module.entry_computation_id:
      computation.name = "step"
  module.name = module.entry_computation_name = "step"
  module.id = 0
  return module.SerializeToString(deterministic=True)


def _is_plain(task: Task) -> bool:
  """Returns whether a task's batches are the mapped features of a tfds set and nothing else."""
  kind: Any = type(task)
  return isinstance(task, Supervised) and all(
    getattr(kind, name) is getattr(Supervised, name) for name in ("split", "feed", "evaluation"))


def _has_evaluation(task: Task) -> bool:
  """Returns whether a task evaluates by a step that the strategy compiles."""
  return isinstance(task, Supervised) and type(task).evaluate is Supervised.evaluate


def _resized(specs: Specs, rows: int) -> Specs:
  return {word: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype) for word, spec in specs.items()}


@contextlib.contextmanager
def _as_on_a_tpu() -> Iterator[None]:
  """Makes layers choose what they would on a TPU, keeps a GPU out of it, and leaves Keras's policy as it was."""
  policy = keras.config.dtype_policy()
  try:
    with (mock.patch.object(processor, "emulates_bfloat16", lambda: False),
          mock.patch.object(processor, "is_cpu", lambda: False), tf.device("/cpu:0")):
      yield
  finally:
    keras.config.set_dtype_policy(policy)
