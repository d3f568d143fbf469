"""Questions asked of a trained network. A module here exposes `draw(task, predictions, path)`."""

import importlib
import pathlib
from collections.abc import Iterable
from typing import Any

from dlsuite.runs.console import Console


def run(names: Iterable[str], task: Any, folder: pathlib.Path | None, console: Console) -> None:
  """Draws `<folder>/<name>.png` for each named analysis, from one pass over the test split.

  Every worker takes part in the pass; those without a folder draw nothing.
  """
  names = list(names)
  if not names or not task.config.data.test:
    return
  predictions = task.predict("test")
  if folder is None:
    return
  for name in names:
    module = importlib.import_module(f"dlsuite.analysis.{name}")
    if not module.draw(task, predictions, folder / f"{name}.png"):
      console.line(f"  analysis {name}: nothing to draw for this network")
