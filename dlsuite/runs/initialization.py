"""`--init_from`: starts from another run's weights and says what matched, what did not, and why."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from dlsuite.config import source_stage
from dlsuite.errors import ConfigError, WorkdirError, nearest
from dlsuite.runs import files
from dlsuite.runs.console import Console
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.training import fine_tuning
from dlsuite.training.checkpoints import Folder


def check_stages(stages: Mapping[str, ConfigDict], strategy: Strategy, task_of: Callable[..., Task]) -> None:
  """Raises ConfigError if a stage cannot start from the weights of the one that it names.

  Weights are passed on by their path; those that both stages have must agree in shape, but for the layers that give the
  outputs and those of `init_fresh`, which begin anew. Networks are built to see that, nothing is trained or written.
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
    theirs = {group: found for group, found in shapes[source].items() if _is_of(group, network)}
    fresh = fine_tuning.fresh(task.networks, config.init_fresh)
    taken = {group: {v.path: tuple(v.shape) for v in values if id(v) not in fresh} for group, values in task.weights().items()}
    shared = [(shape, theirs[there][path], path) for group, found in taken.items() for path, shape in found.items()
              if (there := _group_of(group, path, theirs))]
    new = _heads(task)
    for shape_here, shape_there, path in shared:
      if shape_here != shape_there and path.split("/")[0] not in new:
        raise ConfigError(f"{key}: {path} has shape {shape_there} in stage {source}, {shape_here} in stage {name}: give both "
                          "stages the same model sizes")
    if not any(shape_here == shape_there for shape_here, shape_there, _ in shared):
      raise ConfigError(f"{key}: the stages have no weight in common; {source} has {_first_paths(theirs)}, {name} has "
                        f"{_first_paths(taken) or 'none'}{' beside those of init_fresh' if fresh else ''}")


def _heads(task: Task) -> set[str]:
  """Returns the names of the layers that give the outputs of a task's networks."""
  return {name for network in task.networks.values() for name in fine_tuning.heads(network)}


def _first_paths(groups: Mapping[str, Mapping[str, Any]]) -> str:
  return ", ".join([path for paths in groups.values() for path in paths][:4])


def _group_of(group: str, path: str, theirs: Mapping[str, Collection[str]]) -> str:
  """Returns the group of another run in which to look for a weight, or an empty text.

  Networks of one name go together. A network that the other run has not takes a weight from the only network that has one
  of that path.
  """
  if group in theirs:
    return group if path in theirs[group] else ""
  holders = [name for name, paths in theirs.items() if path in paths]
  return holders[0] if len(holders) == 1 else ""


def _is_of(group: str, network: str) -> bool:
  """Returns whether a checkpoint's group holds weights of a network, of any if that is empty."""
  return group == f"network.{network}" or (not network and group.startswith("network."))


def init_from(run: str, network: str, task: Task, console: Console) -> list[str]:
  """Copies every weight whose path and shape agree, and prints the rest.

  Args:
    run: another run's workdir; its selected weights are taken, else its newest state.
    network: the only network of that run whose weights are taken, or empty for all.
    task: built; only the networks' weights are set.

  Returns:
    A line for each weight of the task that begins anew, and why.

  Raises:
    WorkdirError: if there is no such run, or nothing matches.
  """
  folder = files.path(run) / "checkpoints"
  try:
    found_there = files.hurried(folder).is_dir()
  except OSError as e:
    raise WorkdirError(f"--init_from={run} cannot be read: {e.strerror}") from None
  if not found_there:
    raise WorkdirError(f"--init_from={run} is not a run: there is no {folder}")
  other = Folder(folder, keep=1, fingerprint="", active=False)
  found = other.selected() or other.newest_of_any_config()
  if found is None:
    raise WorkdirError(f"--init_from={run} holds no whole checkpoint")
  values = {group: {path: found.arrays[f"{group}/{i:04d}"] for i, path in enumerate(paths)}
            for group, paths in found.meta["paths"].items() if _is_of(group, network)}
  fresh = fine_tuning.fresh(task.networks, task.config.init_fresh)
  matched, anew, left = 0, [], {(group, path) for group, paths in values.items() for path in paths}
  for group, variables in task.weights().items():
    for variable in variables:
      there = _group_of(group, variable.path, values)
      value = values[there][variable.path] if there else None
      left.discard((there, variable.path))
      if id(variable) in fresh:
        anew.append(f"{variable.path} {tuple(variable.shape)}: begins anew, as init_fresh says")
      elif value is None:
        anew.append(f"{variable.path} {tuple(variable.shape)}: not in the other run")
      elif tuple(value.shape) != tuple(variable.shape):
        head = "; the head begins anew" if variable.path.split("/")[0] in _heads(task) else ""
        anew.append(f"{variable.path}: shape {tuple(value.shape)} there, {tuple(variable.shape)} here{head}")
      else:
        variable.assign(value)
        matched += 1
  reasons = anew + [f"{path} {tuple(values[group][path].shape)}: not in this network" for group, path in sorted(left)]
  if not matched:
    raise WorkdirError(f"--init_from={run}: no weight agrees in path and shape; first: {reasons[0]}")
  for learner in task.learners.values():
    learner.reset_averages()
  console.line(f"started from {found.path}: {matched} weights matched, {len(reasons)} did not")
  for reason in reasons:
    console.line(f"  {reason}")
  return anew
