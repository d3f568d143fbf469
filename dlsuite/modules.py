"""Finds models, tasks and analyses by their files and reads what they declare from their source, without importing them."""

import ast
import dataclasses
import functools
import pathlib
from typing import Any

from dlsuite.errors import ConfigError, one_of

_PACKAGE = pathlib.Path(__file__).parent


def modules(folder: str) -> list[str]:
  """Returns the dotted names of the modules below `dlsuite/<folder>`, e.g. `vision.lenet5`."""
  root = _PACKAGE / folder
  paths = (path.relative_to(root).with_suffix("") for path in root.rglob("*.py") if path.name != "__init__.py")
  return sorted(".".join(path.parts) for path in paths)


def tasks() -> list[str]:
  """Returns the modules below `dlsuite/tasks` that define a task, as their source shows without an import."""
  def defines_task(module: str) -> bool:
    assignments = (node for node in _source("tasks", module).body if isinstance(node, ast.Assign))
    return any(ast.unparse(node.targets[0]) == "TASK" for node in assignments)

  return list(filter(defines_task, modules("tasks")))


@functools.cache
def _source(folder: str, module: str) -> ast.Module:
  path = (_PACKAGE / folder).joinpath(*module.split(".")).with_suffix(".py")
  return ast.parse(path.read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True)
class Argument:
  """One argument of a model's `build`.

  Attributes:
    annotation: its type as written, e.g. `tuple[int, ...]`; empty if it has none.
    required: whether it has no default.
  """

  annotation: str
  required: bool


def builder_arguments(model_name: str) -> dict[str, Argument]:
  """Returns what a model's `build` takes, read from its source without importing it.

  Raises:
    ConfigError: if there is no such model, or it has no function `build`.
  """
  if model_name not in (known := modules("models")):
    raise ConfigError(one_of("model.name", model_name, known))
  for node in _source("models", model_name).body:
    if isinstance(node, ast.FunctionDef) and node.name == "build":
      a = node.args
      with_default = {arg.arg for arg in (a.posonlyargs + a.args)[len(a.posonlyargs + a.args) - len(a.defaults):]}
      with_default |= {arg.arg for arg, value in zip(a.kwonlyargs, a.kw_defaults, strict=True) if value is not None}
      return {arg.arg: Argument(ast.unparse(arg.annotation) if arg.annotation else "", arg.arg not in with_default)
              for arg in a.posonlyargs + a.args + a.kwonlyargs}
  raise ConfigError(f"model.name={model_name!r}: its module has no function `build`")


def model_arguments(model_name: str, task: str) -> dict[str, Argument]:
  """Returns the arguments of a model that a config may set: those that the task does not give.

  Raises:
    ConfigError: if there is no such model, or it does not take what the task gives.
  """
  arguments, given = builder_arguments(model_name), _declared(task, "GIVES", ())
  for name in given:
    if name not in arguments:
      raise ConfigError(f"model.name={model_name!r} is no model for task={task!r}: its `build` takes no {name}")
  return {name: argument for name, argument in arguments.items() if name not in given}


def task_options(task: str) -> dict[str, tuple[Any, Any]]:
  """Returns what a task adds to a config: {dotted key: (default, what is allowed)}.

  What is allowed is one of the texts of `checks.DEMANDS`, a tuple of choices, or None for anything of the type.

  Raises:
    ConfigError: if there is no such task.
  """
  if task not in (known := tasks()):
    raise ConfigError(one_of("task", task, known))
  return dict(_declared(task, "OPTIONS", {}))


def _declared(task: str, name: str, default: Any) -> Any:
  """Returns the literal that a task's module assigns to a name."""
  for node in _source("tasks", task).body:
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
      return ast.literal_eval(node.value)
  return default
