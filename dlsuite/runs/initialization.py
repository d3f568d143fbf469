"""`--init_from`: starts from another run's weights and says what matched, what did not, and why."""

import pathlib
from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from dlsuite.config import source_stage
from dlsuite.errors import ConfigError, WorkdirError, nearest
from dlsuite.runs.console import Console
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.training.checkpoints import Folder


def check_stages(stages: Mapping[str, ConfigDict], strategy: Strategy, task_of: Callable[..., Task]) -> None:
  """Raises ConfigError if a stage cannot start from the weights of the one that it names.

  Weights are passed on by their path; those that both stages have must agree in shape. Networks are built to see that,
  nothing is trained or written.
  """
  shapes: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}  # {stage: {group: {path: shape}}}
  for name, config in stages.items():
    task = task_of(config, strategy, prepare=False)
    task.build(1, 0)
    shapes[name] = {group: {v.path: tuple(v.shape) for v in values} for group, values in task.weights().items()}
    source, network = source_stage(config)
    if not source:
      continue
    key = f"{name}.init_from={config.init_from!r}"
    if network and f"network.{network}" not in shapes[source]:
      known = [group.removeprefix("network.") for group in shapes[source]]
      raise ConfigError(f"{key}: stage {source} has no network {network!r}{nearest(network, known)}; it has: "
                        f"{', '.join(known)}")
    ours = {path: shape for group in shapes[name].values() for path, shape in group.items()}
    theirs = {path: shape for group, found in shapes[source].items() if _is_of(group, network) for path, shape in found.items()}
    shared = [path for path in ours if path in theirs]
    if not shared:
      raise ConfigError(f"{key}: the stages have no weight in common; {source} has {', '.join(list(theirs)[:4])}, {name} has "
                        f"{', '.join(list(ours)[:4])}")
    for path in shared:
      if ours[path] != theirs[path]:
        raise ConfigError(f"{key}: {path} has shape {theirs[path]} in stage {source}, {ours[path]} in stage {name}: give both "
                          "stages the same model sizes")


def _is_of(group: str, network: str) -> bool:
  """Returns whether a checkpoint's group holds weights of a network, of any if that is empty."""
  return group == f"network.{network}" or (not network and group.startswith("network."))


def init_from(run: str, network: str, task: Task, console: Console) -> None:
  """Copies every weight whose path and shape agree, and prints the rest.

  Args:
    run: another run's workdir; its selected weights are taken, else its newest state.
    network: the only network of that run whose weights are taken, or empty for all.
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
            if _is_of(group, network) for i, path in enumerate(paths)}
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
