"""What an experiment's config holds, and what can be checked of it without TensorFlow.

An experiment file calls `defaults()`, fills it in and returns `finish(config, smoke)`:

    def get_config(arg: str = "") -> ConfigDict:
      args = parse_arg(arg, mnist=False, width=1.0, smoke=False)
      c = defaults("lenet5", task="classification")
      ...
      return finish(c, smoke=args.smoke)

There is no inheritance: a file shows every value that differs from the defaults below.
"""

import argparse
import json
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from dlsuite import modules
from dlsuite.errors import ConfigError, nearest

# A duration is exactly one of the keys of its group; an override on the command line replaces the file's choice.
DURATIONS = {
  "train": ("train.epochs", "train.steps", "train.examples"),
  "evaluate": ("evaluate.every_epochs", "evaluate.every_steps", "evaluate.every_examples"),
  "warmup": ("optimizer.warmup_epochs", "optimizer.warmup_steps", "optimizer.warmup_examples"),
}

# What these hold depends on the model, the optimizer, the task or the callback; `dlsuite.checks` knows what each may hold.
OPEN_SECTIONS = ("model", "optimizer.arguments", "data.features", "callbacks.custom")


def defaults(name: str, task: str) -> ConfigDict:
  """Returns every key that all families share, and those of one task, at their defaults.

  Args:
    name: the experiment's name, as in the catalogue.
    task: a module below `dlsuite/tasks`, without `.py`.

  Returns:
    A config that takes new keys only in its `OPEN_SECTIONS`, so that a misspelt key of a file is an error.
    `placeholder` keys are typed and unset (None). A task that learns from an environment has no keys of a data set.

  Raises:
    ConfigError: if there is no such task.
  """
  config = _shared(name, task)
  options = modules.task_options(task)
  if any(key.startswith("environment.") for key in options):
    config.data = ConfigDict({"batch_size": config.data.batch_size})
  for key, (value, _) in options.items():
    *sections, leaf = key.split(".")
    holder = config
    for section in sections:
      if section not in holder:
        holder[section] = ConfigDict()
      holder = holder[section]
    holder[leaf] = placeholder(float) if value is None else value
  config.lock()
  for section in OPEN_SECTIONS:
    if (found := get(config, section, None)) is not None:
      found.unlock()
  return config


def known_keys() -> list[str]:
  """Returns the dotted keys of any config: those that all share, and those of every task."""
  return [*flatten(_shared("", "")), *(key for task in modules.tasks() for key in modules.task_options(task))]


def _shared(name: str, task: str) -> ConfigDict:
  return ConfigDict({
    "name": name,
    "task": task,
    "seed": 0,
    "init_from": "",
    "init_fresh": (),  # patterns of the layers that begin anew though the other run has them, e.g. ("output",)
    "reference": {"metric": "", "value": placeholder(float), "unit": "", "paper": "", "table": "", "protocol": ""},
    "strategy": {"kind": "auto", "devices": 0, "sync_batch_norm": False, "connect_seconds": 55.0},
    "data": {
      "name": "",
      "train": "train", "valid": "", "test": "test",  # tfds split strings; valid is never the test split
      "test_name": "",  # the set that `test` is of, with the same features and classes; by default `name`
      "features": {},  # the task's word for a feature: the data set's key of it
      "batch_size": 128,  # global: over all replicas
      "cache": "auto",  # memory: decoded once, gathered by index; stream: decoded in parallel as it comes
      "resize": 0,  # pixels a side; 0 keeps the size
    },
    "model": {"name": ""},
    "optimizer": {
      "name": "adam",
      "learning_rate": 1e-3,
      "arguments": {},  # of the Keras class: momentum, beta_1, ...
      "schedule": {"name": "constant", "final": 0.0, "milestones": (), "factor": 0.1},
      "warmup_steps": placeholder(int), "warmup_epochs": placeholder(float), "warmup_examples": placeholder(int),
      "weight_decay": 0.0,  # decoupled, kernels only
      "l1": 0.0, "l2": 0.0, "max_norm": 0.0,  # kernels only; 0 is off
      "clip": {"kind": "none", "value": 1.0},
      # By patterns of layers' names (`dlsuite.training.fine_tuning`).
      "frozen": (),  # layers that stay as they are, e.g. ("*", "!output"): all but the last
      "rates": (),  # `pattern=factor` of the learning rate, e.g. ("stem*=0.1", "output=10")
      "ema": 0.0,  # decay a step of the averaged weights that are evaluated; 0 is off
    },
    "train": {
      "epochs": placeholder(float), "steps": placeholder(int), "examples": placeholder(int),
      "accumulate": 1,
      "steps_per_call": 0,  # 0: chosen so that a call takes about half a second
      "log_every_steps": 0,  # 0: at most 100 rows between evaluations
      "precision": "auto",
      "jit": "auto",
    },
    "evaluate": {
      "every_epochs": placeholder(float), "every_steps": placeholder(int), "every_examples": placeholder(int),
      "batch_size": 500,
    },
    "early_stopping": {"monitor": "val_loss", "mode": "auto", "patience": 0, "min_delta": 0.0},  # patience 0 is off
    "checkpoint": {
      "every_steps": placeholder(int), "every_minutes": 5.0, "keep": 2,
      "select": "best", "monitor": "val_loss", "mode": "auto",
    },
    "callbacks": {"csv": False, "tensorboard": True, "custom": {}},
    "analyses": (),
  })


def parse_arg(arg: str, **known: bool | int | float | str) -> argparse.Namespace:
  """Parses the text behind the colon of `--config=file.py:arg`.

  Args:
    arg: comma-separated `name=value`; a bare `name` sets a bool to True.
    **known: every name with its default, whose type is the type demanded.

  Returns:
    A namespace with every known name.

  Raises:
    ConfigError: for an unknown, repeated or ill-typed name; the line lists the known ones.
  """
  listing = ", ".join(f"{k} ({type(v).__name__}, {v!r})" for k, v in known.items())
  values = dict(known)
  seen = set()
  for item in filter(None, (part.strip() for part in arg.split(","))):
    name, equals, text = item.partition("=")
    if name not in known:
      raise ConfigError(f"config argument '{name}' is unknown{nearest(name, known)}; known: {listing}")
    if name in seen:
      raise ConfigError(f"config argument '{name}' is given twice")
    seen.add(name)
    kind = type(known[name])
    try:
      values[name] = _parse_value(text, kind) if equals else _bare(kind)
    except ValueError:
      got = f"'{text}'" if equals else "no value"
      raise ConfigError(f"config argument '{name}' takes a {kind.__name__}, got {got}; known: {listing}") from None
  return argparse.Namespace(**values)


def _bare(kind: type) -> bool:
  if kind is not bool:
    raise ValueError("only a bool may stand without a value")
  return True


def _parse_value(text: str, kind: type) -> bool | int | float | str:
  if kind is bool:
    if text.lower() not in ("true", "1", "false", "0"):
      raise ValueError(f"not a bool: {text}")
    return text.lower() in ("true", "1")
  if not text:
    raise ValueError("empty")
  return kind(text)


def finish(config: ConfigDict, smoke: bool = False) -> ConfigDict:
  """Fills the last defaults, shrinks the run to seconds if `smoke`, and locks the config."""
  if not any(get(config, key) is not None for key in DURATIONS["evaluate"]):
    config.evaluate.every_epochs = 1.0
  if smoke:
    set_duration(config, "train", "train.steps", 4)
    set_duration(config, "evaluate", "evaluate.every_steps", 2)
    if any(get(config, key) is not None for key in DURATIONS["warmup"]):
      set_duration(config, "warmup", "optimizer.warmup_steps", 1)
    config.data.batch_size = min(config.data.batch_size, 16)
    config.reference.value = None
  config.lock()
  return config


def chain(name: str, stages: Mapping[str, ConfigDict]) -> ConfigDict:
  """Returns a config of several stages, each a finished config with a folder of its own, carried out in turn.

  A stage whose `init_from` is `stage:<name>` starts from the weights of that stage, which comes before it;
  `stage:<name>.<network>` takes those of one of its networks alone.

  Raises:
    ConfigError: if a stage's name is no plain word, or one of a config's own keys.
  """
  for stage in stages:
    if not stage.isidentifier() or stage in _shared("", ""):
      raise ConfigError(f"a stage cannot be called {stage!r}: its name must be a plain word that is no key of a config")
  config = ConfigDict({"name": name, "order": tuple(stages), "stages": dict(stages)})  # a ConfigDict sorts its keys
  config.lock()
  return config


def stages_of(config: ConfigDict) -> dict[str, ConfigDict]:
  """Returns the stages of a chain by name, in their order; a config that is no chain is the one stage of no name."""
  return {name: config.stages[name] for name in config.order} if "stages" in config else {"": config}


def source_stage(config: ConfigDict) -> tuple[str, str]:
  """Returns the stage and the network that a stage starts from; both empty if it starts from none."""
  kind, _, rest = config.init_from.partition(":")
  stage, _, network = rest.partition(".")
  return (stage, network) if kind == "stage" else ("", "")


def get(config: ConfigDict, key: str, *absent: Any) -> Any:
  """Returns the value at a dotted key; where a part of it is absent, what is given for that."""
  for part in key.split("."):
    if absent and part not in config:
      return absent[0]
    config = config[part]
  return config


def split_text(config: ConfigDict, split: str) -> str:
  """Returns e.g. `test split`, or `test split of imagenet_v2` where that is of another set than the training's."""
  other = config.data.get("test_name", "") if split == "test" else ""
  return f"{split} split" + (f" of {other}" if other else "")


def set_duration(config: ConfigDict, group: str, key: str, value: float) -> None:
  """Makes `key` the only one of its group that is set."""
  for other in DURATIONS[group]:
    section, name = other.split(".")
    config[section][name] = value if other == key else None


def replace_durations(config: ConfigDict, overridden: Collection[str]) -> None:
  """Unsets the file's duration where the command line gives another of the same group.

  Raises:
    ConfigError: if the command line gives two of one group.
  """
  for group, keys in DURATIONS.items():
    given = [key for key in keys if key in overridden]
    if len(given) > 1:
      raise ConfigError(f"--config.{given[0]} and --config.{given[1]} contradict: give exactly one of {', '.join(keys)}")
    if given:
      set_duration(config, group, given[0], get(config, given[0]))


def steps_of(config: ConfigDict, group: str, steps_per_epoch: int) -> int:
  """Returns a duration in steps, rounded up, at least 1; 0 if no key of the group is set."""
  epochs, steps, examples = (get(config, key) for key in DURATIONS[group])
  if steps is not None:
    return int(steps)
  if epochs is not None:
    return max(1, math.ceil(epochs * steps_per_epoch - 1e-9))
  if examples is not None:
    return max(1, math.ceil(examples / config.data.batch_size))
  return 0


def parse_rates(rates: Collection[str]) -> list[tuple[str, float]]:
  """Returns [(pattern, factor)] of `optimizer.rates`.

  Raises:
    ConfigError: if one is not `pattern=factor` with a factor above 0.
  """
  found = []
  for text in rates:
    pattern, _, number = text.rpartition("=")
    try:
      factor = float(number)
    except ValueError:
      factor = 0.0
    if not pattern or not 0 < factor < math.inf:
      raise ConfigError(f"optimizer.rates={tuple(rates)}: {text!r} must be a pattern of layers' names, = and a factor above 0, "
                        "e.g. 'stem*=0.1'")
    found.append((pattern, factor))
  return found


def flatten(config: ConfigDict | Mapping[str, Any]) -> dict[str, Any]:
  """Returns {dotted key: value} over all leaves; an empty section is a leaf `{}`."""

  def leaves(node: ConfigDict | Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key in node:
      value = node[key]
      section = isinstance(value, ConfigDict | Mapping)
      if section and len(value):
        yield from leaves(value, f"{prefix}{key}.")
      else:
        yield prefix + key, {} if section else value

  return dict(leaves(config, ""))


def to_json(config: ConfigDict) -> dict[str, Any]:
  """Returns the config as plain nested dicts with tuples as lists, as config.json holds it."""
  return json.loads(json.dumps(config.to_dict()))
