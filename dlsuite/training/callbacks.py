"""Ordinary Keras callbacks in our loop: made from the config, their state carried across a restart."""

import importlib
import io
from typing import Any

import keras
import numpy as np
from ml_collections import ConfigDict

from dlsuite.errors import ConfigError, WorkdirError, nearest
from dlsuite.runs.files import Path, write_text
from dlsuite.runs.remote import RemotePath
from dlsuite.training import schedules, selection

CSV_FILE = "metrics.csv"
_SETS_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
_LOGGERS = (keras.callbacks.CSVLogger, keras.callbacks.TensorBoard)  # they know files, nothing of the training
_PLAIN = (bool, int, float, str, type(None))
# Whom a callback belongs to is not part of what it has learnt; EarlyStopping flips the sign of its
# min_delta when it first sees the metric, so that must start anew.
_NOT_STATE = frozenset({"params", "_model", "model", "min_delta"})


class _Together(keras.Model):
  """Several networks as the one model that Keras's callbacks look at."""

  def __init__(self, networks: dict[str, keras.Model]) -> None:
    super().__init__()
    self.parts = list(networks.values())
    self.built = True


class CSVLogger(keras.callbacks.CSVLogger):
  """Keras's table of the evaluations on an object store: kept in memory and written anew after each.

  It has the name of Keras's own, as that stands in a checkpoint: a run that is copied to a disk goes on there.
  """

  def __init__(self, path: RemotePath) -> None:
    super().__init__(str(path), append=True)
    self._path = path

  def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
    """Begins with the rows that are there."""
    try:
      text = self._path.read_text() if self._path.exists() else ""
    except OSError as e:
      raise WorkdirError(f"{self._path} cannot be read: {e.strerror}") from e
    self.append_header = not text
    self.csv_file = io.StringIO(newline="")
    self.csv_file.write(text)

  def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
    """Adds a row."""
    super().on_epoch_end(epoch, logs)
    write_text(self._path, self.csv_file.getvalue())


def model_for(networks: dict[str, keras.Model], optimizer: keras.optimizers.Optimizer) -> keras.Model:
  """Returns the model that callbacks see: it has all networks' weights, and the first optimizer."""
  model = next(iter(networks.values())) if len(networks) == 1 else _Together(networks)
  model.optimizer = optimizer
  return model


def build(config: ConfigDict, folder: Path, own: list[keras.callbacks.Callback], active: bool = True,
          optimizers: int = 1, metrics: tuple[str, ...] = ("loss",)) -> list[keras.callbacks.Callback]:
  """Returns the callbacks that the config asks for, then the caller's own.

  Args:
    config: the sections `early_stopping` and `callbacks` are read.
    folder: where the logging callbacks write.
    own: the caller's.
    active: whether this process writes files; what decides about training runs on every worker.
    optimizers: how many the task has.
    metrics: what it reports.

  Raises:
    ConfigError: if a custom callback cannot be found or refuses its arguments, or there is no such metric to stop by.
  """
  found: list[keras.callbacks.Callback] = []
  stop = config.early_stopping
  if stop.patience:
    # Keras's own "auto" asks a compiled model for its metrics, which ours is not.
    higher = selection.is_higher_better("early_stopping.monitor", stop.monitor, stop.mode, metrics)
    found.append(keras.callbacks.EarlyStopping(monitor=stop.monitor, mode="max" if higher else "min", patience=stop.patience,
                                               min_delta=stop.min_delta, restore_best_weights=True))
  if config.callbacks.csv and active:
    table = folder / CSV_FILE
    found.append(CSVLogger(table) if isinstance(table, RemotePath) else
                 keras.callbacks.CSVLogger(str(table), append=True))
  if config.callbacks.tensorboard and active:
    found.append(keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False))
  for key, options in config.callbacks.custom.items():
    callback = _custom(f"callbacks.custom.{key}", dict(options))
    if isinstance(callback, _SETS_RATE) and schedules.is_scheduled(config.optimizer):
      raise ConfigError(f"callbacks.custom.{key}: {type(callback).__name__} sets the learning rate, which a schedule sets "
                        "already: take optimizer.schedule.name='constant' and no optimizer.warmup_*")
    if isinstance(callback, _SETS_RATE) and optimizers > 1:
      raise ConfigError(f"callbacks.custom.{key}: {type(callback).__name__} sets the learning rate of one optimizer, but "
                        f"task={config.task!r} has {optimizers}: take optimizer.schedule")
    found.append(callback)
  return found + own


def truncate_csv(folder: Path, evaluations: int) -> None:
  """Removes the rows of metrics.csv that a resumed run will write again."""
  path = folder / CSV_FILE
  if path.exists():
    lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)  # Keras ends its lines with CR LF
    write_text(path, "".join(lines[: evaluations + 1] if evaluations else []))


def _custom(key: str, options: dict[str, Any]) -> keras.callbacks.Callback:
  """Makes `{"name": "keras.callbacks.ReduceLROnPlateau", argument: value, ...}`."""
  path = str(options.pop("name", ""))
  module_name, _, class_name = path.rpartition(".")
  try:
    module = importlib.import_module(module_name or "keras.callbacks")
  except ImportError:
    raise ConfigError(f"{key}.name={path!r}: there is no module '{module_name}'") from None
  cls = getattr(module, class_name, None)
  if not (isinstance(cls, type) and issubclass(cls, keras.callbacks.Callback)):
    raise ConfigError(f"{key}.name={path!r} is not a Keras callback{nearest(class_name, dir(module))}")
  try:
    return cls(**options)
  except (TypeError, ValueError) as e:
    raise ConfigError(f"{key}: {path} refuses its arguments: {str(e).splitlines()[0]}") from None


def state(callbacks: list[keras.callbacks.Callback]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
  """Returns the plain attributes of each callback, and its attributes that are lists of arrays.

  That covers Keras's own callbacks and any whose memory is numbers, texts and lists of arrays (`best_weights`).
  """
  plain: list[dict[str, Any]] = []
  arrays: dict[str, np.ndarray] = {}
  for i, callback in enumerate(callbacks):
    values: dict[str, Any] = {}
    for name, raw in vars(callback).items():
      if name in _NOT_STATE or isinstance(callback, _LOGGERS):
        continue
      value = raw.item() if isinstance(raw, np.generic) else raw
      if isinstance(value, _PLAIN) or (isinstance(value, list) and all(isinstance(v, _PLAIN) for v in value)):
        values[name] = value
      elif isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
        arrays.update({f"callbacks/{i}/{name}/{j:04d}": v for j, v in enumerate(value)})
    plain.append({"class": type(callback).__name__, "values": values})
  return plain, arrays


def restore(callbacks: list[keras.callbacks.Callback], plain: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> None:
  """Puts back what `state` returned; a callback that was not there then keeps its fresh state."""
  for i, callback in enumerate(callbacks):
    if i < len(plain) and plain[i]["class"] == type(callback).__name__:
      vars(callback).update(plain[i]["values"])
      lists: dict[str, list[np.ndarray]] = {}
      for name in sorted(k for k in arrays if k.startswith(f"callbacks/{i}/")):
        lists.setdefault(name.split("/")[2], []).append(arrays[name])
      vars(callback).update(lists)
