"""Finds, loads and lists the experiments."""

import importlib.util
import pathlib
import textwrap
from types import ModuleType

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, nearest

ROOT = pathlib.Path(__file__).resolve().parent.parent / "experiments"


def names() -> list[str]:
  """Returns the path of every experiment, e.g. `experiments/vision/lenet5.py`."""
  return sorted(f"experiments/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("*/*.py") if path.name != "__init__.py")


def find(path: str) -> pathlib.Path:
  """Returns the file of an experiment, sought from here and from the repository's root.

  Raises:
    ConfigError: if there is none; the line names the nearest one.
  """
  for candidate in (pathlib.Path(path), ROOT.parent / path):
    if candidate.is_file():
      return candidate
  raise ConfigError(f"--config={path}: no such file{nearest(path, names())}; --list shows every experiment")


def _module(file: pathlib.Path) -> ModuleType:
  spec = importlib.util.spec_from_file_location(f"experiment_{file.stem}", file)
  if spec is None or spec.loader is None:
    raise ConfigError(f"--config={file} is not a Python file")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def load(reference: str) -> ConfigDict:
  """Returns the config that `path.py:arg` names.

  Raises:
    ConfigError: if the file is missing or broken, or does not know the argument.
  """
  path, _, arg = reference.partition(":")
  file = find(path)
  try:
    config = _module(file).get_config(arg)
  except ConfigError as e:
    raise ConfigError(f"--config={reference}: {e}") from None
  except Exception as e:  # any fault of the file itself becomes one line
    line = f" (line {e.__traceback__.tb_next.tb_lineno})" if e.__traceback__ and e.__traceback__.tb_next else ""
    raise ConfigError(f"--config={reference}: {file.name}{line} fails: {type(e).__name__}: {e}".replace("\n", " ")) from e
  if not isinstance(config, ConfigDict) or not config.is_locked:
    raise ConfigError(f"--config={reference}: get_config must return dlsuite.config.finish(config)")
  return config


def rows() -> list[tuple[str, str, str, str]]:
  """Returns (name, chapter, paper, published number) of every experiment; a broken file says so in its row."""
  table = []
  for path in names():
    chapter = path.split("/")[1]
    try:
      config = load(path)
    except ConfigError as e:
      table.append((path, chapter, f"cannot be loaded: {e}", ""))
      continue
    reference = config.reference
    number = "-" if reference.value is None else f"{reference.metric} {reference.value:g} {reference.unit}".strip()
    table.append((path, chapter, reference.paper or "-", number))
  return table


def listing(width: int = 120) -> str:
  """Returns the catalogue as a table of at most `width` columns."""
  head = ("experiment", "chapter", "paper", "published")
  table = [head, *rows()]
  widths = [max(len(row[i]) for row in table) for i in range(4)]
  widths[2] = max(20, min(widths[2], width - widths[0] - widths[1] - widths[3] - 6))
  lines = []
  for row in table:
    paper = textwrap.wrap(row[2], widths[2]) or [""]
    for i, part in enumerate(paper):
      cells = (row[0], row[1], part, row[3]) if i == 0 else ("", "", part, "")
      lines.append("  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip())
  lines.insert(1, "  ".join("-" * w for w in widths))
  return "\n".join([*lines, "", "python -m dlsuite.main --config=<experiment> --workdir=<folder>"])


def flat_keys(config: ConfigDict) -> list[str]:
  """Returns every key that `--config.KEY=value` may set."""
  return list(config_lib.flatten(config))
