"""What one command does: train, evaluate, predict or describe."""

import csv
import importlib
import math
import time
from typing import Any

import keras
from ml_collections import ConfigDict

from dlsuite import analysis
from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.runs import figures, initialization
from dlsuite.runs.console import Console, duration_text
from dlsuite.runs.description import describe
from dlsuite.runs.provenance import provenance
from dlsuite.runs.record import Record
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.training import checkpoints
from dlsuite.training.loop import Loop, Plan


def run(mode: str, config: ConfigDict, strategy: Strategy, workdir: str, split: str) -> None:
  """Runs one mode.

  Raises:
    DlsuiteError: whatever a user can mend; its message is one line.
  """
  console = Console(strategy.is_chief)
  if mode == "describe":
    describe(task_of(config, strategy, prepare=False), config, strategy, console)
    return
  record = Record(workdir, config, strategy.is_chief)
  record.check(must_exist=mode != "train")
  if mode == "train":
    train(config, strategy, record, console)
  elif mode == "evaluate":
    evaluate(config, strategy, record, console, split)
  else:
    predict(config, strategy, record, console, split)


def task_of(config: ConfigDict, strategy: Strategy, prepare: bool = True) -> Task:
  """Returns the config's task with its data found, and prepared unless `prepare` is False; nothing is built yet."""
  strategy.jit(config)
  task: Task = importlib.import_module(f"dlsuite.tasks.{config.task}").TASK(config, strategy)
  task.open(prepare)
  return task


def train(config: ConfigDict, strategy: Strategy, record: Record, console: Console,
          callbacks: list[keras.callbacks.Callback] | None = None) -> dict[str, Any]:
  """Trains to the end (from the newest checkpoint if there is one), tests once, draws, and returns the result."""
  task = task_of(config, strategy)
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  loop = Loop(task, config, strategy, plan, record, console, callbacks)
  finished = record.result()
  if config.init_from and not finished and loop.folder.latest_state() is None:
    initialization.init_from(config.init_from, task, console)
  record.open(provenance(strategy.description))
  try:
    _header(config, strategy, task, plan, record, console)
    if finished is None:
      loop.run()
      finished = _finish(config, strategy, task, loop, record, console)
    else:
      console.line("the run is complete; its result:")
    _closing(config, finished, record, console)
  finally:
    record.close()
  return finished


def _header(config: ConfigDict, strategy: Strategy, task: Task, plan: Plan, record: Record, console: Console) -> None:
  parameters = sum(network.count_params() for network in task.networks.values())
  jit = ", jit" if strategy.jit(config) else ""
  console.line(f"{config.name} ({record.fingerprint})  on {strategy.description}, {strategy.precision(config)}{jit}")
  console.line(f"  data {config.data.name}: train {config.data.train}, valid {config.data.valid or '-'}, "
               f"test {config.data.test}; batch {config.data.batch_size}")
  console.line(f"  {parameters:,} parameters; {plan.total:,} steps of {plan.steps_per_epoch:,} an epoch; "
               f"workdir {record.folder}")
  if plan.warmup >= plan.total:
    console.line(f"  note: the run ends within its warm-up of {plan.warmup:,} steps: the learning rate never peaks")


def _load_selected(task: Task, folder: checkpoints.Folder) -> checkpoints.Checkpoint:
  found = folder.selected()
  if found is None and (state := folder.latest_state()) is not None:
    checkpoints.assign(task.variables(), state)
    return state
  if found is None:
    raise WorkdirError(f"{folder.path}: no whole checkpoint to evaluate; train first with --mode=train")
  checkpoints.assign(task.weights(), found)
  for learner in task.learners.values():
    learner.reset_averages()  # the chosen weights are the averages already
  return found


def _finish(config: ConfigDict, strategy: Strategy, task: Task, loop: Loop, record: Record, console: Console) -> dict[str, Any]:
  """Tests the selected weights once, writes result.json and draws the figures."""
  strategy.barrier()  # the chief has written what it and the others now read
  chosen = _load_selected(task, loop.folder)
  test = loop.evaluate("test") if config.data.test else {}
  if not all(math.isfinite(v) for v in test.values()):
    raise WorkdirError(f"{chosen.path}: gives a loss that is not finite on the test split")
  reference = config.reference
  value = test.get(reference.metric)
  result = {
    "name": config.name, "metric": reference.metric, "value": value, "unit": reference.unit,
    "reference": reference.value, "paper": reference.paper, "table": reference.table,
    "difference": None if value is None or reference.value is None else value - reference.value,
    "selected_step": chosen.step, "valid": chosen.meta.get("valid", {}), "test": test,
    "steps": loop.step, "train_seconds": loop.train_seconds, "seed": config.seed, "fingerprint": record.fingerprint,
    "starts": len(record.provenance()),
  }
  if record.active:
    figures.learning_curves(record.rows(), config, chosen.step, record.figures / "learning_curves.png")
  analysis.run(config.analyses, task, record.figures if record.active else None, console)
  record.save_result(result)
  return result


def _closing(config: ConfigDict, result: dict[str, Any], record: Record, console: Console) -> None:
  def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

  if result["value"] is not None:
    unit = f" ({result['unit']})" if result["unit"] else ""
    console.table(f"{config.name}, test split", ["metric", "ours", "published", "difference", "source"],
                  [[result["metric"] + unit, number(result["value"]), number(result["reference"]), number(result["difference"]),
                    result["paper"] or "-"]])
  others = {k: v for k, v in result["test"].items() if k != result["metric"]}
  console.line("  test: " + "  ".join(f"{k} {v:.4f}" for k, v in others.items())
               + f"; weights of step {result['selected_step']:,}; trained {duration_text(result['train_seconds'])}")
  written = ["result.json", "metrics.jsonl", *sorted(f"figures/{p.name}" for p in record.figures.glob("*.png"))]
  console.line(f"  in {record.folder}: {', '.join(written)}")


def evaluate(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str) -> dict[str, float]:
  """Prints and returns the metrics of the selected weights on a split; writes nothing."""
  task, loop, chosen = _trained(config, strategy, record, console, split)
  begin = time.monotonic()
  values = loop.evaluate(split)
  console.table(f"{config.name}, {split} split, weights of step {chosen.step:,}", ["metric", "value"],
                [[name, f"{value:.4f}"] for name, value in values.items()])
  size = task.evaluation(split).size
  console.show(f"  {size:,} examples in {duration_text(time.monotonic() - begin)}")
  return values


def _trained(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str) -> tuple[Task, Loop, Any]:
  if not config.data[split]:
    raise ConfigError(f"--split={split}: the config has no data.{split}")
  task = task_of(config, strategy)
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  loop = Loop(task, config, strategy, plan, record, console)
  return task, loop, _load_selected(task, loop.folder)


def predict(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str) -> None:
  """Writes predictions_<split>.csv: a row an example, in the split's order."""
  task, _, _ = _trained(config, strategy, record, console, split)
  columns, rows = task.prediction_table(task.predict(split))
  path = record.folder / f"predictions_{split}.csv"
  if record.active:
    try:
      with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(columns)
        writer.writerows(rows)
    except OSError as e:
      raise WorkdirError(f"{path} cannot be written: {e.strerror}") from e
  console.table(f"{config.name}, {split} split, the first predictions", columns[:6], [row[:6] for row in rows[:8]])
  console.show(f"  {len(rows):,} rows in {path}")
