"""Questions asked of a trained network. A module here exposes `draw(task, found, path)` and `NEEDS`.

`NEEDS` names what it reads of `found`, and what it takes of the task that not every task has. What is for classifiers alone
names `probabilities`: `predicted` is also a method of other tasks. `found` is what `task.analysed()` returns; `path` is the
figure's PNG. `draw` returns the numbers that it found, {name: value}, or None if there is nothing to draw for this network;
if there is another reason not to draw, it raises a ConfigError that says it.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from dlsuite.errors import ConfigError, DlsuiteError, first_line
from dlsuite.runs.console import Console
from dlsuite.runs.files import Path

Numbers = dict[str, float]


def run(names: Iterable[str], task: Any, folder: Path | None, console: Console) -> dict[str, Numbers]:
  """Draws `<folder>/<name>.png` for each named analysis and returns their numbers.

  An analysis that the task gives too little for, or that fails, is named and left out: a picture must not cost the run's
  result. The task is asked for what can be looked at only if an analysis needs more than the task itself. Every worker takes
  part in that; those without a folder draw nothing.
  """
  names = list(names)
  if not names or not task.config.data.get("test", True):
    return {}
  modules = {name: importlib.import_module(f"dlsuite.analysis.{name}") for name in names}
  found = task.analysed() if any(not hasattr(task, word) for module in modules.values() for word in module.NEEDS) else {}
  if folder is None:
    return {}
  numbers: dict[str, Numbers] = {}
  for name, module in modules.items():
    missing = [word for word in module.NEEDS if word not in found and not hasattr(task, word)]
    if missing:
      console.line(f"  analysis {name}: not for task={task.config.task!r} on these data, it needs {', '.join(missing)}")
      continue
    try:
      answer = module.draw(task, found, folder / f"{name}.png")
    except ConfigError as e:
      console.line(f"  analysis {name}: {e}")
      continue
    except DlsuiteError:
      raise
    except Exception as e:
      console.line(f"  analysis {name} failed: {type(e).__name__}: {first_line(e)}")
      continue
    if answer is None:
      console.line(f"  analysis {name}: nothing to draw for this network")
    elif answer:
      numbers[name] = answer
  return numbers
