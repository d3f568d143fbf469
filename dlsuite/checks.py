"""Everything about a config that can be found wrong before TensorFlow is imported."""

import ast
import functools
import pathlib
from collections.abc import Callable

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, nearest, one_of

_PACKAGE = pathlib.Path(__file__).parent

# Keras's optimizers by our names, with the arguments a config may set. A test compares them with Keras's signatures.
OPTIMIZERS = {
  "sgd": ("SGD", ("momentum", "nesterov")),
  "adagrad": ("Adagrad", ("initial_accumulator_value", "epsilon")),
  "adadelta": ("Adadelta", ("rho", "epsilon")),
  "rmsprop": ("RMSprop", ("rho", "momentum", "epsilon", "centered")),
  "adam": ("Adam", ("beta_1", "beta_2", "epsilon", "amsgrad")),
  "adamw": ("AdamW", ("beta_1", "beta_2", "epsilon", "amsgrad")),
  "adamax": ("Adamax", ("beta_1", "beta_2", "epsilon")),
  "nadam": ("Nadam", ("beta_1", "beta_2", "epsilon")),
  "lion": ("Lion", ("beta_1", "beta_2")),
  "ftrl": ("Ftrl", ("learning_rate_power", "initial_accumulator_value", "beta")),
}
CHOICES = {
  "strategy.kind": ("auto", "cpu", "gpu", "tpu", "workers"),
  "data.cache": ("auto", "memory", "stream"),
  "optimizer.name": tuple(OPTIMIZERS),
  "optimizer.schedule.name": ("constant", "step", "cosine", "exponential", "inverse_sqrt", "one_cycle"),
  "optimizer.clip.kind": ("none", "norm", "global_norm", "value"),
  "train.precision": ("auto", "float32", "bfloat16", "float16"),
  "train.jit": ("auto", "on", "off"),
  "checkpoint.select": ("best", "last"),
  "checkpoint.mode": ("auto", "min", "max"),
  "early_stopping.mode": ("auto", "min", "max"),
}
_POSITIVE = (
  "data.batch_size", "evaluate.batch_size", "train.accumulate", "optimizer.learning_rate", "checkpoint.keep",
  "optimizer.clip.value", "optimizer.schedule.factor",
  *(key for keys in config_lib.DURATIONS.values() for key in keys), "checkpoint.every_steps",
)
_NOT_NEGATIVE = (
  "strategy.devices", "train.steps_per_call", "train.log_every_steps", "optimizer.weight_decay", "optimizer.l1",
  "optimizer.l2", "optimizer.max_norm", "optimizer.schedule.final", "early_stopping.patience",
  "early_stopping.min_delta", "checkpoint.every_minutes", "data.augment.pad_crop", "data.resize", "seed",
)
_BELOW_ONE = ("optimizer.ema", "loss.label_smoothing")


def check(config: ConfigDict) -> None:
  """Raises ConfigError with one line for the first thing that is wrong."""
  _check_choices(config)
  _check_ranges(config)
  _check_durations(config)
  _check_data(config)
  _check_optimizer(config)
  _check_modules(config)


def _check_choices(config: ConfigDict) -> None:
  for key, allowed in CHOICES.items():
    value = config_lib.get(config, key)
    if value not in allowed:
      raise ConfigError(one_of(key, value, allowed))


def _check_ranges(config: ConfigDict) -> None:
  def each(keys: tuple[str, ...], holds: Callable[[float], bool], demand: str) -> None:
    for key in keys:
      value = config_lib.get(config, key)
      if value is not None and not holds(value):
        raise ConfigError(f"{key}={value} must be {demand}")

  each(_POSITIVE, lambda v: 0 < v < float("inf"), "above 0 and finite")
  each(_NOT_NEGATIVE, lambda v: 0 <= v < float("inf"), "0 or more and finite")
  each(_BELOW_ONE, lambda v: 0 <= v < 1, "at least 0 and below 1")


def _check_durations(config: ConfigDict) -> None:
  for group, keys in config_lib.DURATIONS.items():
    given = [key for key in keys if config_lib.get(config, key) is not None]
    if len(given) > 1:
      raise ConfigError(f"{' and '.join(given)} are both set: give exactly one of {', '.join(keys)}")
    if not given and group != "warmup":
      raise ConfigError(f"none of {', '.join(keys)} is set: give exactly one")


def _check_data(config: ConfigDict) -> None:
  data = config.data
  if not data.name:
    raise ConfigError("data.name is empty: give the name of a tfds data set, e.g. mnist")
  if data.batch_size % config.train.accumulate:
    raise ConfigError(f"train.accumulate={config.train.accumulate} does not divide data.batch_size={data.batch_size}")
  bases = {key: data[key].partition("[")[0] for key in ("train", "valid", "test")}
  for key in ("train", "valid"):
    if bases[key] and bases[key] == bases["test"] and "[" not in data.test:
      raise ConfigError(f"data.{key}={data[key]!r} reads the test split {data.test!r}: carve it out of train, "
                        f"e.g. data.train='train[:90%]' data.valid='train[90%:]'")
  if not data.train:
    raise ConfigError("data.train is empty: give a tfds split, e.g. 'train'")
  if not data.valid and (config.early_stopping.patience or config.checkpoint.select == "best"):
    raise ConfigError("data.valid is empty, but early_stopping.patience or checkpoint.select='best' needs a validation "
                      "split: give one (e.g. 'train[90%:]') or checkpoint.select='last' and patience 0")
  if len(data.mean) != len(data.std) or any(value <= 0 for value in data.std):
    raise ConfigError(f"data.mean={data.mean} and data.std={data.std} need one value a channel each, std above 0")
  if any(weight < 0 for weight in config.loss.class_weights):
    raise ConfigError(f"loss.class_weights={config.loss.class_weights} must all be 0 or more")


def _check_optimizer(config: ConfigDict) -> None:
  optimizer = config.optimizer
  known = OPTIMIZERS[optimizer.name][1]
  for name in optimizer.arguments:
    if name not in known:
      raise ConfigError(f"optimizer.arguments.{name} is not an argument of {optimizer.name}{nearest(name, known)}; "
                        f"allowed: {', '.join(known)}")
  milestones = optimizer.schedule.milestones
  if any(not 0 < m < 1 for m in milestones) or list(milestones) != sorted(milestones):
    raise ConfigError(f"optimizer.schedule.milestones={milestones} must rise between 0 and 1 (fractions of the run)")
  if optimizer.schedule.name == "step" and not milestones:
    raise ConfigError("optimizer.schedule.milestones is empty: 'step' needs fractions of the run, e.g. (0.5, 0.75)")


def modules(folder: str) -> list[str]:
  """Returns the dotted names of the modules below `dlsuite/<folder>`, e.g. `vision.lenet5`."""
  root = _PACKAGE / folder
  paths = (path.relative_to(root).with_suffix("") for path in root.rglob("*.py") if path.name != "__init__.py")
  return sorted(".".join(path.parts) for path in paths)


@functools.cache
def builder_arguments(model_name: str) -> dict[str, str]:
  """Returns {argument: annotation} of a model's `build`, read from its source without importing it."""
  path = (_PACKAGE / "models").joinpath(*model_name.split(".")).with_suffix(".py")
  for node in ast.parse(path.read_text()).body:
    if isinstance(node, ast.FunctionDef) and node.name == "build":
      return {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in node.args.args + node.args.kwonlyargs}
  raise ConfigError(f"model.name={model_name!r}: {path.name} has no function `build`")


def _check_modules(config: ConfigDict) -> None:
  tasks = [name for name in modules("tasks") if name not in ("base", "supervised")]
  if config.task not in tasks:
    raise ConfigError(one_of("task", config.task, tasks))
  if config.model.name not in modules("models"):
    raise ConfigError(one_of("model.name", config.model.name, modules("models")))
  annotations = builder_arguments(config.model.name)
  allowed = [name for name in annotations if name not in ("input_shape", "num_classes")]
  types = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
  for name, value in config.model.items():
    if name == "name":
      continue
    if name not in allowed:
      raise ConfigError(f"model.{name} is not an argument of {config.model.name}{nearest(name, allowed)}; "
                        f"allowed: {', '.join(allowed) or 'none'}")
    wanted = types.get(annotations[name])
    if wanted and (not isinstance(value, wanted) or isinstance(value, bool) and bool not in wanted):
      raise ConfigError(f"model.{name}={value!r} must be a {annotations[name]}")
