"""Everything about a config that can be found wrong before TensorFlow is imported."""

import math
from collections.abc import Callable, Collection
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from dlsuite import config as config_lib
from dlsuite import modules
from dlsuite.errors import ConfigError, nearest, one_of

# Keras's optimizers by our names, with the arguments a config may set. A test compares them with Keras's signatures.
OPTIMIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
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
# What those arguments may be: (least, bound, whether the bound itself is allowed). The others are true or false.
_OPTIMIZER_RANGES = {
  "momentum": (0.0, 1.0, True), "rho": (0.0, 1.0, True), "beta_1": (0.0, 1.0, False), "beta_2": (0.0, 1.0, False),
  "epsilon": (0.0, math.inf, False), "initial_accumulator_value": (0.0, math.inf, False), "beta": (0.0, math.inf, False),
  "learning_rate_power": (-math.inf, 0.0, True),
}
CHOICES = {
  "strategy.kind": ("auto", "cpu", "gpu", "tpu", "workers"),
  "data.cache": ("auto", "memory", "stream"),
  "optimizer.name": tuple(OPTIMIZERS),
  "optimizer.schedule.name": ("constant", "step", "cosine", "linear", "exponential", "inverse_sqrt", "one_cycle"),
  "optimizer.clip.kind": ("none", "norm", "global_norm", "value"),
  "train.precision": ("auto", "float32", "bfloat16", "float16"),
  "train.jit": ("auto", "on", "off"),
  "checkpoint.select": ("best", "last"),
  "checkpoint.mode": ("auto", "min", "max"),
  "early_stopping.mode": ("auto", "min", "max"),
}
_POSITIVE = (
  "strategy.connect_seconds", "data.batch_size", "evaluate.batch_size", "train.accumulate", "optimizer.learning_rate",
  "checkpoint.keep", "optimizer.clip.value", "optimizer.schedule.factor",
  *(key for keys in config_lib.DURATIONS.values() for key in keys), "checkpoint.every_steps",
)
_NOT_NEGATIVE = (
  "strategy.devices", "train.steps_per_call", "train.log_every_steps", "optimizer.weight_decay", "optimizer.l1",
  "optimizer.l2", "optimizer.max_norm", "optimizer.schedule.final", "early_stopping.patience",
  "early_stopping.min_delta", "checkpoint.every_minutes", "data.resize", "seed",
)
_BELOW_ONE = ("optimizer.ema",)
# What a task's OPTIONS may demand of a number, or of each number of a tuple, in the words of the error.
DEMANDS: dict[str, Callable[[float], bool]] = {
  "finite": math.isfinite,
  "above 0 and finite": lambda v: 0 < v < math.inf,
  "above 0 and at most 1,000,000": lambda v: 0 < v <= 1e6,
  "0 or more and finite": lambda v: 0 <= v < math.inf,
  "at least 0 and below 1": lambda v: 0 <= v < 1,
  "from 0 to 1": lambda v: 0 <= v <= 1,
}
_WHOLE_LIMIT = 2**62  # sums of two such numbers still fit TensorFlow's int64
_SEED_LIMIT = 2**32  # NumPy's generators take no more
_ELEMENTS = {"optimizer.schedule.milestones": "float", "optimizer.frozen": "str", "optimizer.rates": "str", "analyses": "str",
             "init_fresh": "str"}
_ABSENT = object()
_TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_TYPE_NAMES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}


def check_batch(config: ConfigDict, replicas: int, by: str = "", where: str = "") -> None:
  """Sees to it that the global batch divides by replicas x accumulated parts.

  Args:
    config: of a run.
    replicas: in sync.
    by: the replicas in the words of the device, e.g. `the 8 chips of v5e-8`.
    where: said first, e.g. `stage denoise: `.

  Raises:
    ConfigError: if not; it names the nearest that do.
  """
  batch, parts = config.data.batch_size, replicas * config.train.accumulate
  if batch % parts:
    near = " or ".join(str(b) for b in (batch // parts * parts, -(-batch // parts) * parts) if b)
    by = by or f"{replicas} replicas"
    by += f" x train.accumulate={config.train.accumulate}" if config.train.accumulate > 1 else ""
    raise ConfigError(f"{where}data.batch_size={batch} does not divide by {by}; nearest that do: {near}")


def check(config: ConfigDict) -> None:
  """Raises ConfigError with one line for the first thing that is wrong."""
  _check_plain(config)
  if config.task not in (known := modules.tasks()):
    raise ConfigError(one_of("task", config.task, known))
  for key in modules.task_options(config.task):
    if config_lib.get(config, key, _ABSENT) is _ABSENT:
      raise ConfigError(f"task={config.task!r} needs the key {key}, which this config has not: an experiment's file chooses "
                        "the task, with dlsuite.config.defaults")
  _check_choices(config)
  _check_numbers(config)
  _check_ranges(config)
  _check_durations(config)
  _check_data(config)
  _check_optimizer(config)
  _check_callbacks(config)
  _check_modules(config)


def check_chain(stages: dict[str, ConfigDict]) -> None:
  """Raises ConfigError if a stage starts from one that does not come before it, or stages ask for different devices."""
  before: list[str] = []
  for name, config in stages.items():
    source, _ = config_lib.source_stage(config)
    if source and source not in before:
      key = f"{name}.init_from" if name else "init_from"
      raise ConfigError(f"{key}={config.init_from!r}: no such stage comes before{nearest(source, before)}; "
                        f"those before: {', '.join(before) or 'none'}")
    first = next(iter(stages.values())).strategy
    if config.strategy.to_dict() != first.to_dict():
      raise ConfigError(f"{name}.strategy differs from the first stage's: all stages of a chain run on the same devices")
    before.append(name)


def _check_plain(config: ConfigDict) -> None:
  for key, value in config_lib.flatten(config).items():
    for element in value if isinstance(value, tuple | list) else (value,):
      if not isinstance(element, bool | int | float | str | tuple | list | dict | type(None)):
        raise ConfigError(f"{key} holds a {type(element).__name__}: a config holds only numbers, texts, true, false and tuples")


def _check_choices(config: ConfigDict) -> None:
  for key, allowed in CHOICES.items():
    value = config_lib.get(config, key, allowed[0])
    if value not in allowed:
      raise ConfigError(one_of(key, value, allowed))


def _check_numbers(config: ConfigDict) -> None:
  numbers = {key: "float" for key, (default, _) in modules.task_options(config.task).items() if isinstance(default, tuple)}
  for key, kind in (_ELEMENTS | numbers).items():
    value = config_lib.get(config, key)
    if not all(_fits(kind, element) for element in value):
      raise ConfigError(f"{key}={value!r} must be a tuple, each of it {_TYPE_NAMES[kind]}")
  for key, value in config_lib.flatten(config).items():
    for number in value if isinstance(value, tuple | list) else (value,):
      if isinstance(number, float) and math.isnan(number):
        raise ConfigError(f"{key}={value} must be a number, not nan")
      if isinstance(number, int) and abs(number) >= _WHOLE_LIMIT:
        raise ConfigError(f"{key}={value} must be below 2**62")
  if config.init_fresh and not config.init_from:
    raise ConfigError(f"init_fresh={config.init_fresh} without init_from: all layers begin anew then")
  if config.seed >= _SEED_LIMIT:
    raise ConfigError(f"seed={config.seed} must be below 2**32")


def _check_ranges(config: ConfigDict) -> None:
  demands: dict[str, Any] = dict.fromkeys(_POSITIVE, "above 0 and finite")
  demands |= dict.fromkeys(_NOT_NEGATIVE, "0 or more and finite") | dict.fromkeys(_BELOW_ONE, "at least 0 and below 1")
  demands |= {key: allowed for key, (_, allowed) in modules.task_options(config.task).items()}
  for key, demand in demands.items():
    value = config_lib.get(config, key, None)
    if isinstance(demand, tuple):
      if value not in demand:
        raise ConfigError(one_of(key, value, demand))
    elif demand is not None and value is not None:
      each = value if isinstance(value, tuple | list) else (value,)
      if not all(map(DEMANDS[demand], each)):
        raise ConfigError(f"{key}={value} must {'all ' if len(each) != 1 else ''}be {demand}")


def _check_durations(config: ConfigDict) -> None:
  for group, keys in config_lib.DURATIONS.items():
    given = [key for key in keys if config_lib.get(config, key) is not None]
    if len(given) > 1:
      raise ConfigError(f"{' and '.join(given)} are both set: give exactly one of {', '.join(keys)}")
    if not given and group != "warmup":
      raise ConfigError(f"none of {', '.join(keys)} is set: give exactly one")


def _check_data(config: ConfigDict) -> None:
  data = config.data
  if data.batch_size % config.train.accumulate:
    raise ConfigError(f"train.accumulate={config.train.accumulate} does not divide data.batch_size={data.batch_size}")
  if config.early_stopping.patience and config.optimizer.ema and config.checkpoint.select == "last":
    raise ConfigError("early_stopping.patience with optimizer.ema and checkpoint.select='last' would restore the best plain "
                      "weights but keep the last averages: take checkpoint.select='best'")
  if "mean" in data and (len(data.mean) != len(data.std) or not all(0 < value < math.inf for value in data.std)):
    raise ConfigError(f"data.mean={data.mean} and data.std={data.std} need one value a channel each, std above 0")
  if "crop" in data:
    _check_crop(data)
  if "folder" in data and bool(data.folder) != ("folder" in (data.name, data.test_name)):
    raise ConfigError(f"data.folder={data.folder!r} and data.name={data.name!r}: a folder of your own needs both, "
                      "data.name='folder' (or data.test_name) and the path as data.folder")
  if "name" in data:
    _check_splits(config)


def _check_crop(data: ConfigDict) -> None:
  for name in ("area", "ratio", "scales"):
    values = data.augment[name]
    if len(values) != 2 or values[0] > values[1]:
      raise ConfigError(f"data.augment.{name}={values} must be two numbers, the smaller first")
  if data.augment.area[1] > 1:
    raise ConfigError(f"data.augment.area={data.augment.area} must be shares of the image, at most 1")
  if not data.crop:
    return
  if data.resize:
    raise ConfigError(f"data.crop={data.crop} and data.resize={data.resize} exclude each other: set one of them to 0")
  if data.shorter < data.crop:
    raise ConfigError(f"data.shorter={data.shorter} is smaller than data.crop={data.crop}: the crop would leave the image")
  if data.augment.crop == "vgg" and data.augment.scales[0] < data.crop:
    raise ConfigError(f"data.augment.scales={data.augment.scales} begin below data.crop={data.crop}: the crop would leave the "
                      "image")
  if data.cache == "memory":
    raise ConfigError("data.cache='memory' with data.crop: each epoch crops other windows; take 'auto' or 'stream'")


def _check_splits(config: ConfigDict) -> None:
  data = config.data
  if not data.name:
    raise ConfigError("data.name is empty: give the name of a tfds data set, e.g. mnist")
  if data.test_name and not data.test:
    raise ConfigError(f"data.test_name={data.test_name!r} but data.test is empty: give the split of it that is tested on")
  bases = {key: data[key].partition("[")[0] for key in ("train", "valid", "test")}
  own = data.test_name in ("", data.name)
  for key in ("train", "valid"):
    if bases[key] == "test" or (own and bases[key] and bases[key] == bases["test"] and "[" not in data.test):
      raise ConfigError(f"data.{key}={data[key]!r} reads the test split {data.test or 'test'!r}: carve it out of train, "
                        f"e.g. data.train='train[:90%]' data.valid='train[90%:]'")
  if not data.train:
    raise ConfigError("data.train is empty: give a tfds split, e.g. 'train'")
  if not data.valid and (config.early_stopping.patience or config.checkpoint.select == "best"):
    raise ConfigError("data.valid is empty, but early_stopping.patience or checkpoint.select='best' needs a validation "
                      "split: give one (e.g. 'train[90%:]') or checkpoint.select='last' and patience 0")


def _check_optimizer(config: ConfigDict) -> None:
  optimizer = config.optimizer
  known = OPTIMIZERS[optimizer.name][1]
  for name, value in optimizer.arguments.items():
    key = f"optimizer.arguments.{name}"
    if name not in known:
      raise ConfigError(f"{key} is not an argument of {optimizer.name}{nearest(name, known)}; allowed: {', '.join(known)}")
    kind = _optimizer_argument(name)
    if not _fits(kind.__name__, value):
      raise ConfigError(f"{key}={value!r} must be {_TYPE_NAMES[kind.__name__]}")
    if kind is float:
      least, bound, inclusive = _OPTIMIZER_RANGES[name]
      if not (least <= value < bound or (inclusive and value == bound)) or math.isinf(value):
        raise ConfigError(f"{key}={value} must be at least {least:g} and {'at most' if inclusive else 'below'} {bound:g}")
    if (optimizer.name, name, value) == ("lion", "beta_1", 0.0):
      raise ConfigError(f"{key}=0.0 must be above 0: without its average lion is plain sign descent")
  config_lib.parse_rates(optimizer.rates)
  milestones = optimizer.schedule.milestones
  if any(not 0 < m < 1 for m in milestones) or list(milestones) != sorted(milestones):
    raise ConfigError(f"optimizer.schedule.milestones={milestones} must rise between 0 and 1 (fractions of the run)")
  if optimizer.schedule.name == "step" and not milestones:
    raise ConfigError("optimizer.schedule.milestones is empty: 'step' needs fractions of the run, e.g. (0.5, 0.75)")


def _check_callbacks(config: ConfigDict) -> None:
  for key, options in config.callbacks.custom.items():
    if not isinstance(options, ConfigDict) or not isinstance(options.get("name"), str):
      raise ConfigError(f"callbacks.custom.{key} must be a section with the callback's name, "
                        "e.g. {'name': 'keras.callbacks.ReduceLROnPlateau', 'patience': 3}")


def _optimizer_argument(name: str) -> type:
  return float if name in _OPTIMIZER_RANGES else bool


def _fits(annotation: str, value: Any) -> bool:
  """Returns whether a value is of an annotated type; an annotation that a config cannot express fits all."""
  if " | None" in annotation:
    return value is None or _fits(annotation.replace(" | None", ""), value)
  if annotation.startswith("tuple["):
    inner = [part.strip() for part in annotation[6:-1].split(",")]
    if not isinstance(value, tuple | list) or "[" in annotation[6:-1]:
      return isinstance(value, tuple | list)
    kinds = inner[:1] * len(value) if inner[-1] == "..." else inner
    return len(kinds) == len(value) and all(map(_fits, kinds, value))
  if annotation not in _TYPES:
    return True
  if isinstance(value, bool):
    return annotation == "bool"
  return isinstance(value, int | float if annotation == "float" else _TYPES[annotation])


def open_keys(model_name: str, task: str) -> dict[str, type]:
  """Returns {key: type} of what a command line may set though the experiment's file does not: the arguments of the model
  and of every optimizer (`check` sees to it that they are of the one in use).

  Raises:
    ConfigError: if there is no such model.
  """
  keys = {f"optimizer.arguments.{name}": _optimizer_argument(name) for _, names in OPTIMIZERS.values() for name in names}
  for name, argument in modules.model_arguments(model_name, task).items():
    plain = argument.annotation.replace(" | None", "")
    keys[f"model.{name}"] = tuple if plain.startswith("tuple[") else _TYPES.get(plain, object)
  return keys


def open_up(config: ConfigDict, model_name: str, overridden: Collection[str]) -> None:
  """Prepares the open sections of an unlocked config for overrides.

  An argument that the file does not set becomes a placeholder of its type; a whole number where a fraction is allowed
  becomes a float, so that 2 may be overridden by 2.5, and 2 and 2.0 are one config.

  Args:
    config: changed in place.
    model_name: the model whose arguments are known, which an override may have chosen.
    overridden: the keys that the command line sets.

  Raises:
    ConfigError: if there is no such model.
  """
  for key, kind in open_keys(model_name, config.task).items():
    section, _, name = key.rpartition(".")
    holder = config_lib.get(config, section)
    if name not in holder:
      if key in overridden:
        holder[name] = placeholder(kind)
    elif kind is float and isinstance(holder[name], int) and not isinstance(holder[name], bool):
      with holder.ignore_type():
        holder[name] = float(holder[name])


def _check_modules(config: ConfigDict) -> None:
  for name in config.analyses:
    if name not in (known := modules.modules("analysis")):
      raise ConfigError(one_of("analyses", name, known))
  model = config.model.name
  allowed = modules.model_arguments(model, config.task)
  for name, value in config.model.items():
    if name == "name":
      continue
    if name not in allowed:
      raise ConfigError(f"model.{name} is not an argument of {model}{nearest(name, allowed)}; "
                        f"allowed: {', '.join(allowed) or 'none'}")
    annotation = allowed[name].annotation
    if not _fits(annotation, value):
      raise ConfigError(f"model.{name}={value!r} must be {_TYPE_NAMES.get(annotation, 'of the type ' + annotation)}")
    each = value if isinstance(value, tuple | list) else (value,)
    # Of all models, units or a factor on their number; the limit is far beyond any memory, and below any overflow.
    demand = ("above 0 and at most 1,000,000" if name == "width" else
              "at least 0 and below 1" if name.endswith("dropout") else "finite")
    if not all(DEMANDS[demand](number) for number in each if isinstance(number, int | float)):
      raise ConfigError(f"model.{name}={value} must be {demand}")
  missing = [name for name, argument in allowed.items() if argument.required and name not in config.model]
  if missing:
    raise ConfigError(f"model.{missing[0]} is missing: {model} needs {', '.join(missing)}")
