"""`--init_from`: starts from another run's weights and says what matched, what did not, and why."""

import pathlib

from dlsuite.errors import WorkdirError
from dlsuite.runs.console import Console
from dlsuite.tasks.base import Task
from dlsuite.training.checkpoints import Folder


def init_from(run: str, task: Task, console: Console) -> None:
  """Copies every weight whose path and shape agree, and prints the rest.

  Args:
    run: another run's workdir; its selected weights are taken, else its newest state.
    task: built; only the networks' weights are set.

  Raises:
    WorkdirError: if there is no such run, or nothing matches.
  """
  folder = pathlib.Path(run).expanduser() / "checkpoints"
  if not folder.is_dir():
    raise WorkdirError(f"--init_from={run} is not a run: there is no {folder}")
  other = Folder(folder, keep=1, fingerprint="", active=False)
  found = other.selected() or other.newest_of_any_config()
  if found is None:
    raise WorkdirError(f"--init_from={run} holds no whole checkpoint")
  values = {path: found.arrays[f"{group}/{i:04d}"] for group, paths in found.meta["paths"].items()
            if group.startswith("network.") for i, path in enumerate(paths)}
  matched, reasons = 0, []
  for variables in task.weights().values():
    for variable in variables:
      value = values.pop(variable.path, None)
      if value is None:
        reasons.append(f"{variable.path} {tuple(variable.shape)}: not in the other run")
      elif tuple(value.shape) != tuple(variable.shape):
        reasons.append(f"{variable.path}: shape {tuple(value.shape)} there, {tuple(variable.shape)} here")
      else:
        variable.assign(value)
        matched += 1
  reasons += [f"{path} {tuple(value.shape)}: not in this network" for path, value in values.items()]
  if not matched:
    raise WorkdirError(f"--init_from={run}: no weight agrees in path and shape; first: {reasons[0]}")
  for learner in task.learners.values():
    learner.reset_averages()
  console.line(f"started from {found.path}: {matched} weights matched, {len(reasons)} did not")
  for reason in reasons:
    console.line(f"  {reason}")
