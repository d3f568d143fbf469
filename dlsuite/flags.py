"""The command line: absl flags and config overrides, parsed into `Options` or one clear line."""

import dataclasses
import re
import sys

from absl import flags
from ml_collections import ConfigDict, config_flags

from dlsuite import catalog, checks
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, nearest

MODES = ("train", "evaluate", "predict", "describe")
_TYPE_NAMES = {"int": "a whole number", "float": "a number", "bool": "true or false", "tuple": "a tuple such as (1,2)"}


@dataclasses.dataclass(frozen=True)
class Options:
  """What one call of `dlsuite.main` was asked to do.

  Attributes:
    config: the locked config, overrides applied; None for `--list` and `--help`.
    workdir: the run's folder, or empty.
    mode: one of `MODES`.
    split: the split that evaluate and predict read.
    message: a text to print instead of running anything.
  """

  config: ConfigDict | None = None
  workdir: str = ""
  mode: str = "train"
  split: str = "test"
  message: str = ""


def _define() -> flags.FlagValues:
  values = flags.FlagValues()
  config_flags.DEFINE_config_file("config", None, "Experiment: experiments/<chapter>/<name>.py[:arg]; "
                                  "--config.KEY=value overrides a key.", flag_values=values)
  flags.DEFINE_string("workdir", "", "Folder of the run. The same command goes on with a run that was stopped.",
                      flag_values=values)
  flags.DEFINE_string("mode", "train", f"One of: {', '.join(MODES)}.", flag_values=values)
  flags.DEFINE_string("init_from", "", "Workdir of another run whose weights to start from.", flag_values=values)
  flags.DEFINE_string("split", "test", "Split that evaluate and predict read: train, valid or test.", flag_values=values)
  flags.DEFINE_boolean("list", False, "Print the catalogue of experiments.", flag_values=values)
  flags.DEFINE_boolean("help", False, "Print this text.", short_name="h", flag_values=values)
  return values


def parse(argv: list[str]) -> Options:
  """Parses a command line (without the program's name).

  Raises:
    ConfigError: for anything unknown, ill-typed or contradictory, in one line.
  """
  values = _define()
  reference = _reference(argv)
  if reference is not None:
    _check_override_names(argv, catalog.load(reference))
  try:
    rest = values(["dlsuite", *argv])
  except (flags.Error, AttributeError, TypeError, ValueError, OSError) as e:
    raise ConfigError(_one_line(e, values)) from None
  if len(rest) > 1:
    raise ConfigError(f"'{rest[1]}' is not a flag: every option starts with --, e.g. --config={rest[1]}")
  if values.help:
    return Options(message=_help(values))
  if values.list:
    return Options(message=catalog.listing())
  for name, allowed in (("mode", MODES), ("split", ("train", "valid", "test"))):
    if values[name].value not in allowed:
      raise ConfigError(f"--{name}={values[name].value!r} is unknown{nearest(values[name].value, allowed)}; "
                        f"allowed: {', '.join(allowed)}")
  if values.config is None:
    raise ConfigError("--config is missing: give an experiment, e.g. --config=experiments/vision/lenet5.py; --list shows all")
  if values.mode != "describe" and not values.workdir:
    raise ConfigError(f"--workdir is missing: --mode={values.mode} needs the run's folder, e.g. --workdir=/tmp/run")
  config = values.config
  with config.unlocked():
    config_lib.replace_durations(config, config_flags.get_override_values(values["config"]))
    if values.init_from:
      config.init_from = values.init_from
  checks.check(config)
  return Options(config, values.workdir, values.mode, values.split)


def _reference(argv: list[str]) -> str | None:
  """Returns the value of --config, which must be known before its overrides are."""
  found = None
  for i, item in enumerate(argv):
    if item in ("--config", "-config") and i + 1 < len(argv):
      found = argv[i + 1]
    elif re.match(r"--?config=", item):
      found = item.split("=", 1)[1]
  return found


def _check_override_names(argv: list[str], config: ConfigDict) -> None:
  known = catalog.flat_keys(config)
  sections = {key.rpartition(".")[0] for key in known}
  for item in argv:
    match = re.match(r"--?(?:no)?config\.([^=\s]+)", item)
    if match and (key := match.group(1)) not in known:
      if key in sections:
        fields = ", ".join(k for k in known if k.startswith(key + "."))
        raise ConfigError(f"--config.{key} is a section: set one of its keys: {fields}")
      hint = nearest(key, known) or f"; keys of this config: {', '.join(known)}"
      raise ConfigError(f"--config.{key} is not a key of this config{hint}")


def _one_line(error: Exception, values: flags.FlagValues) -> str:
  text = str(error).strip()
  if isinstance(error, flags.UnrecognizedFlagError):
    return f"--{error.flagname} is not a flag{nearest(error.flagname, list(values))}; --help shows all"
  match = re.match(r"flag --(config\.\S+?)=(.*?): (.*)", text, re.DOTALL)
  if match:
    key, value, why = match.groups()
    kind = _kind_of(values, key)
    return f"--{key}={value!r} must be {kind}" if kind else f"--{key}={value!r}: {why}".replace("\n", " ")
  return re.sub(r"\s+", " ", text)


def _kind_of(values: flags.FlagValues, key: str) -> str:
  try:
    field = values[key]
    return _TYPE_NAMES.get(field.flag_type().removesuffix(" or None"), "") or _TYPE_NAMES.get(field.flag_type(), "")
  except KeyError:
    return ""


def _help(values: flags.FlagValues) -> str:
  lines = ["python -m dlsuite.main --config=<experiment> --workdir=<folder> [--config.KEY=value ...]", ""]
  for name, flag in sorted(values.__flags.items() if hasattr(values, "__flags") else ((n, values[n]) for n in values)):
    if name != "h":
      lines.append(f"  --{name:<10} {flag.help}")
  lines += ["", "Exit codes: 0 done; 2 bad input or unusable folder; 3 the training diverged; 75 stopped, the same command goes on."]
  return "\n".join(lines)


def program_arguments() -> list[str]:
  """Returns this process's arguments without the program's name."""
  return sys.argv[1:]
