"""`--ensemble`: several runs answer together, by the mean of their probabilities."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite.errors import WorkdirError
from dlsuite.runs import files
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record
from dlsuite.strategy import Strategy

Trained = Callable[[ConfigDict, Strategy, Record], tuple[Any, Any]]  # -> the task with its weights, and their checkpoint


def evaluate(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str, others: Sequence[str],
             trained: Trained) -> dict[str, float]:
  """Prints and returns the metrics of the mean probabilities of some runs on a split; writes nothing.

  Each run may have a network, a seed and a training of its own; all are asked about the same examples, those of this
  run's `data.test` and `data.test_name`, with its `evaluate.augment`.

  Args:
    config: of the first run.
    strategy: the process's strategy.
    record: of the first run.
    console: where to print.
    split: `train`, `valid` or `test`.
    others: workdirs of the other runs.
    trained: gives a run's task with its weights.

  Raises:
    WorkdirError: if one of the others is no run, one on other data, or among them twice.
  """
  runs = [(record, config), *(_other(folder, config, strategy) for folder in others)]
  places = [str(member.folder.resolve()) for member, _ in runs]
  if twice := [place for i, place in enumerate(places) if place in places[:i]]:
    raise WorkdirError(f"--ensemble={twice[0]}: is among the runs twice, and would count double")
  shares: list[np.ndarray] = []
  alone: list[dict[str, float]] = []
  first: tuple[Any, np.ndarray] | None = None
  for member, own in runs:
    task, _ = trained(own, strategy, member)
    found = task.answers(split)
    if first is None:
      first = task, found["label"]
    elif not np.array_equal(found["label"], first[1]) or task.num_classes != first[0].num_classes:
      raise WorkdirError(f"--ensemble={member.folder}: its {split} split ({task.data_identity}, {own.data[split]}) is not that "
                         f"of {record.folder} ({first[0].data_identity}, {config.data[split]})")
    shares.append(found["probabilities"])
    alone.append(task.score(found["outputs"], found["label"]))
    keras.utils.clear_session()
  assert first is not None
  values: dict[str, float] = first[0].score(np.log(np.maximum(np.mean(shares, 0), np.finfo(np.float32).tiny)), first[1])
  console.table(f"{len(runs)} runs together, {config_lib.split_text(config, split)}",
                ["metric", "together", *(f"{i + 1}" for i in range(len(runs)))],
                [[name, f"{value:.4f}", *(f"{own[name]:.4f}" for own in alone)] for name, value in values.items()])
  for i, (member, own) in enumerate(runs, 1):
    console.show(f"  {i}: {own.name}, {member.folder}")
  return values


def _other(folder: str, config: ConfigDict, strategy: Strategy) -> tuple[Record, ConfigDict]:
  """Returns the record and the config of another run."""
  stored = files.path(folder) / "config.json"
  try:
    text = stored.read_text() if files.hurried(stored).exists() else ""
    plain = json.loads(text) if text else {}
  except (OSError, ValueError):
    plain = {}
  if not isinstance(plain, dict) or "task" not in plain:
    raise WorkdirError(f"--ensemble={folder} holds no run: there is no {stored} of one")
  if plain["task"] != config.task:
    raise WorkdirError(f"--ensemble={folder}: its task is {plain['task']!r}, not {config.task!r}")
  theirs = ConfigDict(_tuples(plain))
  record = Record(folder, theirs, active=False)
  for key, value in config_lib.flatten(config_lib.defaults(theirs.name, theirs.task)).items():  # what its version had not yet
    section, _, name = key.rpartition(".")
    holder = config_lib.get(theirs, section, None) if section else theirs
    if holder is None:
      theirs.update_from_flattened_dict({key: value})
    elif name not in holder:
      holder[name] = value
  theirs.strategy = config.strategy
  theirs.evaluate.augment = config.evaluate.augment
  if config.data.test_name or theirs.data.name == config.data.name:  # where the name of a split means the same
    for key in ("test", "test_name", *(() if theirs.data.name == "folder" else ("folder", "skip_corrupt"))):
      theirs.data[key] = config.data[key]
  theirs.lock()
  return record, theirs


def _tuples(value: Any) -> Any:
  """Returns what JSON holds with its lists as tuples, as a config has them."""
  if isinstance(value, dict):
    return {key: _tuples(inner) for key, inner in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
