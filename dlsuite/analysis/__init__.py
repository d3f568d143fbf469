"""Questions asked of a trained network. A module here exposes `draw(task, found, path)` and `NEEDS`.

`NEEDS` names what it reads of `found`, and what it takes of the task that not every task has. `found` is what
`task.analysed()` returns; `path` is the figure's PNG. `draw` returns the numbers that it found, {name: value}, or None if
there is nothing to draw for this network.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from dlsuite.errors import ConfigError
from dlsuite.runs.console import Console
from dlsuite.runs.files import Path

Numbers = dict[str, float]


def run(names: Iterable[str], task: Any, folder: Path | None, console: Console) -> dict[str, Numbers]:
  """Draws `<folder>/<name>.png` for each named analysis and returns their numbers.

  An analysis that the task gives too little for is named and left out. Every worker takes part in what the analyses look
  at; those without a folder draw nothing.
  """
  names = list(names)
  if not names or not task.config.data.get("test", True):
    return {}
  found = task.analysed()
  if folder is None:
    return {}
  numbers: dict[str, Numbers] = {}
  for name in names:
    module = importlib.import_module(f"dlsuite.analysis.{name}")
    missing = [word for word in module.NEEDS if word not in found and not hasattr(task, word)]
    if missing:
      console.line(f"  analysis {name}: not for task={task.config.task!r} on these data, it needs {', '.join(missing)}")
      continue
    try:
      answer = module.draw(task, found, folder / f"{name}.png")
    except ConfigError as e:  # the run's result must not be lost for a picture
      console.line(f"  analysis {name}: {e}")
      continue
    if answer is None:
      console.line(f"  analysis {name}: nothing to draw for this network")
    elif answer:
      numbers[name] = answer
  return numbers
