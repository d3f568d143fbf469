"""The command line: absl flags and config overrides, parsed into `Options` or one clear line."""

import dataclasses
import re
from collections.abc import Collection, Iterator

from absl import flags
from ml_collections import ConfigDict, config_flags

from dlsuite import catalog, checks, modules
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, first_line, nearest, one_of
from dlsuite.runs import files

MODES = ("train", "evaluate", "predict", "analyse", "describe")
SPLITS = ("train", "valid", "test")
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", tuple: "a tuple such as (1,2)",
          ConfigDict: "a dict such as {'name': 1}"}
_EXIT_CODES = ("Exit codes: 0 done; 2 bad input or unusable folder; 3 the training diverged; and where the same command goes "
               "on: 74 a bucket is out of reach or locked for now; 75 stopped by a signal; 76 another worker was lost.")
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)(=.*)?", re.DOTALL)
# What absl raises, and what ml_collections lets through from a value that it cannot put into the config.
_FAULTS = (flags.Error, AttributeError, KeyError, TypeError, ValueError, SyntaxError, OSError)


@dataclasses.dataclass(frozen=True)
class Options:
  """What one call of `dlsuite.main` was asked to do.

  Attributes:
    stages: the locked configs by stage, overrides applied; one of no name unless the experiment is a chain, none for
      `--list` and `--help`.
    workdir: the run's folder, or empty.
    mode: one of `MODES`.
    split: the split that evaluate and predict read.
    prompt: the text that a language model goes on with, or None.
    ensemble: workdirs of runs whose probabilities are averaged with this one's.
    data_dir: where tfds finds and prepares data sets, or empty for TFDS_DATA_DIR.
    message: a text to print instead of running anything.
  """

  stages: dict[str, ConfigDict] = dataclasses.field(default_factory=dict)
  workdir: str = ""
  mode: str = "train"
  split: str = "test"
  prompt: str | None = None
  data_dir: str = ""
  message: str = ""
  ensemble: tuple[str, ...] = ()

  def runs(self) -> Iterator[tuple[str, ConfigDict]]:
    """Yields (folder, config) of each stage: a stage of a chain has a folder of its own in the workdir."""
    for name, config in self.stages.items():
      yield (files.join(self.workdir, name) if name else self.workdir), config


def _define() -> flags.FlagValues:
  values = flags.FlagValues()
  values.set_gnu_getopt(True)
  flags.DEFINE_string("config", "", "Experiment: experiments/<chapter>/<name>.py[:arg]; --config.KEY=value overrides a key.",
                      flag_values=values)
  flags.DEFINE_string("workdir", "", "Folder of the run, local or gs://bucket/run. The same command goes on with a run that "
                      "was stopped.", flag_values=values)
  flags.DEFINE_string("mode", "train", f"One of: {', '.join(MODES)}.", flag_values=values)
  flags.DEFINE_string("init_from", "", "Workdir of another run whose weights to start from; with "
                      "--mode=evaluate and no --workdir, to measure as they are.", flag_values=values)
  flags.DEFINE_string("data_dir", "", "Folder of the data sets, local or gs://bucket/data; else TFDS_DATA_DIR.",
                      flag_values=values)
  flags.DEFINE_string("split", "test", f"What evaluate and predict read, one of: {', '.join(SPLITS)}.", flag_values=values)
  flags.DEFINE_string("prompt", None, "Text that a language model goes on with, in --mode=predict.", flag_values=values)
  flags.DEFINE_list("ensemble", [], "Workdirs of other runs, with commas: --mode=evaluate averages their probabilities and "
                    "this run's.", flag_values=values)
  flags.DEFINE_string("stage", "", "Stage of a chain that evaluate, predict and analyse look at; else the last.",
                      flag_values=values)
  flags.DEFINE_boolean("list", False, "Print the catalogue of experiments.", flag_values=values)
  flags.DEFINE_boolean("help", False, "Print this text.", short_name="h", flag_values=values)
  return values


def parse(argv: list[str]) -> Options:
  """Parses a command line (without the program's name).

  Raises:
    ConfigError: for anything unknown, ill-typed or contradictory, in one line.
  """
  values = _define()
  try:
    rest = values(["dlsuite", *argv], known_only=True)[1:]
  except _FAULTS as e:
    raise ConfigError(_translate(e)) from None
  _check_rest(rest, values)
  if values.help:
    return Options(message=_help(values))
  if values.list:
    return Options(message=catalog.listing())
  for name, allowed in (("mode", MODES), ("split", SPLITS)):
    value = str(values[name].value)
    if value not in allowed:
      raise ConfigError(f"--{name}={value!r} is unknown{nearest(value, allowed)}; allowed: {', '.join(allowed)}")
  if not values.config:
    raise ConfigError("--config is missing: give an experiment, e.g. --config=experiments/vision/lenet5.py; --list shows all")
  for name in ("workdir", "init_from", "data_dir"):
    files.check_text(f"--{name}", str(values[name].value))
  if files.is_remote(values.data_dir) and not values.data_dir.lower().startswith("gs://"):
    raise ConfigError(f"--data_dir={values.data_dir!r}: tfds reads no such path; allowed: a local folder, or e.g. "
                      "gs://bucket/data")
  stages = _stages(values, rest)
  of_weights = values.mode == "evaluate" and values.init_from and not values.ensemble and list(stages) == [""]
  if values.mode != "describe" and not values.workdir and not of_weights:
    raise ConfigError(f"--workdir is missing: --mode={values.mode} needs the run's folder, e.g. --workdir=/tmp/run")
  if values.prompt is not None and values.mode != "predict":
    raise ConfigError("--prompt is for --mode=predict")
  if values.mode in ("evaluate", "predict", "analyse"):
    stages = _looked_at(stages, values)
  elif values.stage or values.ensemble:
    raise ConfigError("--stage is for --mode=evaluate, --mode=predict and --mode=analyse" if values.stage else
                      "--ensemble is for --mode=evaluate")
  return Options(stages, values.workdir, values.mode, values.split, values.prompt, values.data_dir,
                 ensemble=tuple(values.ensemble))


def _check_ensemble(config: ConfigDict, values: flags.FlagValues) -> None:
  if values.mode != "evaluate":
    raise ConfigError("--ensemble is for --mode=evaluate")
  if "evaluate.augment" not in modules.task_options(config.task):
    raise ConfigError(f"--ensemble averages probabilities of classes: task={config.task!r} gives none")
  for folder in values.ensemble:
    files.check_text("--ensemble", folder)


def _stages(values: flags.FlagValues, rest: list[str]) -> dict[str, ConfigDict]:
  """Returns the stages of the experiment, overridden and checked."""
  stages = config_lib.stages_of(catalog.load(values.config))
  for i, (name, plain) in enumerate(stages.items()):
    try:
      config = stages[name] = _override(plain, _overrides_of(name, stages, rest))
      with config.unlocked():
        if values.init_from and i == 0:
          config.init_from = values.init_from
      checks.check(config)
    except ConfigError as e:
      raise ConfigError(f"stage {name}: {e}" if name else str(e)) from None
  checks.check_chain(stages)
  return stages


def _looked_at(stages: dict[str, ConfigDict], values: flags.FlagValues) -> dict[str, ConfigDict]:
  """Returns the one stage that evaluate, predict or analyse looks at."""
  if values.stage and values.stage not in stages:
    allowed = [name for name in stages if name]
    raise ConfigError(one_of("--stage", values.stage, allowed) if allowed else "--stage: this experiment is no chain")
  name = values.stage or list(stages)[-1]
  data = stages[name].data
  if values.prompt == "":
    raise ConfigError("--prompt is empty: give the text that the language model shall go on with")
  if values.prompt is not None and "generate.length" not in modules.task_options(stages[name].task):
    raise ConfigError(f"--prompt is for language models: task={stages[name].task!r} takes none")
  if values.prompt is None and "name" in data and not data[values.split]:
    raise ConfigError(f"--split={values.split}: this config has no data.{values.split}")
  if values.ensemble:
    _check_ensemble(stages[name], values)
  return {name: stages[name]}


def _overrides_of(stage: str, stages: Collection[str], rest: list[str]) -> list[str]:
  """Returns the overrides that a stage of a chain takes: `--config.<stage>.KEY` its own, `--config.KEY` those of all."""
  if not stage:
    return rest
  kept, keep = [], True
  for item in rest:
    match = _OVERRIDE.fullmatch(item)
    if match is None:  # the value of the override before
      kept += [item] if keep else []
      continue
    first = match[1].partition(".")[0]
    keep = first == stage or first not in stages
    if keep:
      kept.append(item.replace(f"config.{stage}.", "config.", 1) if first == stage else item)
  return kept


def _check_rest(rest: list[str], values: flags.FlagValues) -> None:
  """Refuses all that is neither a flag nor an override (nor the value of one, as its own word)."""
  takes_value = False
  for item in rest:
    override = _OVERRIDE.fullmatch(item)
    if not override and not takes_value:
      if not item.startswith("-"):
        raise ConfigError(f"'{item}' is not a flag: every option starts with --, e.g. --config={item}")
      name = item.lstrip("-").partition("=")[0]
      keys = config_lib.known_keys()
      known = [*values, *(f"config.{key}" for key in keys)]
      hint = nearest(f"config.{name}" if name in keys else name, known).replace("'", "'--", 1)
      raise ConfigError(f"--{name} is not a flag{hint}; --help shows all")
    takes_value = override is not None and override[2] is None


def _override(config: ConfigDict, overrides: list[str]) -> ConfigDict:
  """Returns a loaded config with the command line's `--config.KEY=value` put in, each of its key's type."""
  given = _given(overrides)
  model = given.get("model.name", config.model.name)
  with config.unlocked():
    checks.open_up(config, model, given)
  for key in given:
    _check_key(key, config_lib.flatten(config), checks.open_keys(model, config.task))
  values = flags.FlagValues()
  values.set_gnu_getopt(True)
  try:
    config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=overrides)
    left = values(["dlsuite", *overrides])[1:]
  except _FAULTS as e:
    raise ConfigError(_translate(e, config)) from None
  if left:
    raise ConfigError(f"'{left[0]}' is not a flag: every option starts with --")
  with config.unlocked():
    config_lib.replace_durations(config, given)
  return config


def _given(overrides: list[str]) -> dict[str, str]:
  """Returns {key: text} of the overrides, whose text may be the next word."""
  found = {}
  for item, after in zip(overrides, [*overrides[1:], ""], strict=False):
    if match := _OVERRIDE.fullmatch(item):
      found[match[1]] = match[2][1:] if match[2] else after
  return found


def _check_key(key: str, known: Collection[str], open_keys: Collection[str]) -> None:
  if key in known:
    return
  section, _, name = key.rpartition(".")
  inside = [k for k in known if k.startswith(f"{key}.")]
  if inside:
    raise ConfigError(f"--config.{key} is a section: set one of its keys: {', '.join(inside)}")
  siblings = (k.removeprefix(f"{section}.") for k in (*known, *open_keys) if k.startswith(f"{section}."))
  beside = sorted({k.partition(".")[0] for k in siblings})
  if section and beside:
    raise ConfigError(f"--config.{key} is not a key of this config{nearest(name, beside)}; "
                      f"allowed in {section}: {', '.join(beside)}")
  same = [k for k in known if k.rpartition(".")[2] == name]
  hint = f" (did you mean {' or '.join(repr(k) for k in same)}?)" if same else nearest(key, known)
  sections = sorted({k.partition(".")[0] for k in known})
  raise ConfigError(f"--config.{key} is not a key of this config{hint}; its sections: {', '.join(sections)}")


def _translate(error: Exception, config: ConfigDict | None = None) -> str:
  """Returns absl's or ml_collections' message about a value as ours: the key, the value and what is allowed."""
  text = str(error).strip()
  match = re.match(r"flag --(\S+?)=(.*?): (.*)", text, re.DOTALL)
  if not match:
    return first_line(error).replace("Missing value for flag", "a value is missing for")
  name, value, why = match.groups()
  if config is not None and name.startswith("config."):
    section, _, key = name.removeprefix("config.").rpartition(".")
    holder = config_lib.get(config, section) if section else config
    if kind := _KINDS.get(holder.get_type(key)):
      return f"--{name}={value!r} must be {kind}"
  return f"--{name}={value!r}: {' '.join(why.split())}"


def _help(values: flags.FlagValues) -> str:
  lines = ["python -m dlsuite.main --config=<experiment> --workdir=<folder> [--config.KEY=value ...]", ""]
  lines += [f"  --{name:<10} {values[name].help}" for name in sorted(values) if name != "h"]
  return "\n".join([*lines, "", _EXIT_CODES])
