"""Finds, loads and lists the experiments."""

import importlib.util
import pathlib
import re
import textwrap
import traceback
from types import ModuleType

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, first_line, nearest

ROOT = pathlib.Path(__file__).resolve().parent.parent / "experiments"


def names() -> list[str]:
  """Returns the path of every experiment, e.g. `experiments/vision/lenet5.py`."""
  paths = (path.relative_to(ROOT.parent) for path in ROOT.glob("*/*.py") if path.name != "__init__.py")
  return sorted(path.as_posix() for path in paths)


def find(path: str) -> pathlib.Path:
  """Returns the file of an experiment, sought from here and from the repository's root.

  Raises:
    ConfigError: if there is none; the line names the nearest one.
  """
  for candidate in (pathlib.Path(path), ROOT.parent / path):
    if candidate.is_file():
      return candidate
  raise ConfigError(f"--config={path}: no such file{_nearest_file(path)}; --list shows every experiment")


def _nearest_file(path: str) -> str:
  """Compares whole paths, then the names of the files alone, since a chapter is easily forgotten."""
  by_name = {pathlib.PurePath(name).stem: name for name in names()}
  hint = nearest(path, by_name.values()) or nearest(pathlib.PurePath(path).stem, by_name)
  return re.sub(r"'(.*)'", lambda match: f"'{by_name.get(match[1], match[1])}'", hint)


def _module(file: pathlib.Path) -> ModuleType:
  spec = importlib.util.spec_from_file_location(f"experiment_{file.stem}", file)
  if spec is None or spec.loader is None:
    raise ConfigError(f"{file.name} is not a Python file (.py)")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if not callable(getattr(module, "get_config", None)):
    raise ConfigError(f"{file.name} has no function get_config(arg)")
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
    raise ConfigError(f"--config={reference}: {_fault(file, e)}") from e
  if not isinstance(config, ConfigDict) or not config.is_locked:
    raise ConfigError(f"--config={reference}: get_config must return dlsuite.config.finish(config)")
  return config


def _fault(file: pathlib.Path, error: Exception) -> str:
  """Returns where an experiment's file fails, and why."""
  lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if pathlib.Path(frame.filename) == file]
  line = error.lineno if isinstance(error, SyntaxError) else next(reversed(lines), None)
  where = f"{file.name}, line {line}" if line else file.name
  if match := re.match(r"""["']*Key "(\w+)" does not exist""", str(error)):  # what a locked ConfigDict says
    leaves = {key.rpartition(".")[2] for key in config_lib.known_keys()}
    return f"{where}: '{match[1]}' is not a key of this section{nearest(match[1], leaves)}"
  return f"{where} fails: {type(error).__name__}: {first_line(error)}"


def rows() -> list[tuple[str, str, str, str]]:
  """Returns (name, chapter, paper, published number) of every experiment; a broken file says so in its row.

  An experiment whose default is not the published protocol names the argument that is as `PUBLISHED`.
  """
  table = []
  for path in names():
    chapter = path.split("/")[1]
    try:
      arg = getattr(_module(find(path)), "PUBLISHED", "")
      *_, last = config_lib.stages_of(load(f"{path}:{arg}")).values()
      reference = last.reference
    except Exception as e:  # a broken file must not hide the others
      why = e if isinstance(e, ConfigError) else _fault(find(path), e)
      table.append((path, chapter, f"cannot be loaded: {why}", ""))
      continue
    number = "-" if reference.value is None else f"{reference.metric} {reference.value:g} {reference.unit}".strip()
    table.append((f"{path}:{arg}" if arg else path, chapter, reference.paper or "-", number))
  return table


def listing(width: int = 120) -> str:
  """Returns the catalogue as a table of at most `width` columns (or as many as the names and numbers need)."""
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
