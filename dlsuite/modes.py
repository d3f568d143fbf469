"""What one command does: train, evaluate, predict, analyse or describe."""

import csv
import importlib
import io
import math
import time
from collections.abc import Sequence
from typing import Any

import keras
from ml_collections import ConfigDict

from dlsuite import analysis, modules
from dlsuite import config as config_lib
from dlsuite.data import sources
from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.flags import Options
from dlsuite.plan import Plan
from dlsuite.runs import ensemble, figures, initialization
from dlsuite.runs.console import Console, duration_text
from dlsuite.runs.description import describe
from dlsuite.runs.files import Path, write_text
from dlsuite.runs.provenance import code, provenance
from dlsuite.runs.record import Record
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.training import checkpoints
from dlsuite.training.loop import Loop


def run_all(options: Options, strategy: Strategy) -> None:
  """Runs the mode on every stage in turn.

  Raises:
    DlsuiteError: whatever a user can mend; its message is one line.
  """
  if options.data_dir:
    sources.use_data_dir(options.data_dir)
  if len(options.stages) > 1:
    initialization.check_stages(options.stages, strategy, task_of)
  folders = {name: folder for name, (folder, _) in zip(options.stages, options.runs(), strict=True)}
  for name, config in options.stages.items():
    if name and options.mode != "describe":
      Console(strategy.is_chief).line(f"stage {name}")
    source, _ = config_lib.source_stage(config)
    start = folders.get(source, config.init_from) if source else config.init_from  # evaluate knows one stage's folder alone
    run(options.mode, config, strategy, folders[name], options.split, options.prompt, start, options.ensemble)


def run(mode: str, config: ConfigDict, strategy: Strategy, workdir: str, split: str, prompt: str | None = None,
        start: str = "", others: Sequence[str] = ()) -> None:
  """Runs one mode on one config.

  `start` is the folder of the run whose weights a training starts from; `others` are those of the runs that are evaluated
  together with this one.

  Raises:
    DlsuiteError: whatever a user can mend; its message is one line.
  """
  console = Console(strategy.is_chief)
  if mode == "describe":
    describe(task_of(config, strategy, prepare=False), config, strategy, console)
    return
  if not workdir:
    evaluate_weights(config, strategy, console, split, start)
    return
  record = Record(workdir, config, strategy.is_chief)
  record.check(mode)
  if mode == "train":
    train(config, strategy, record, console, start=start)
  elif others:
    ensemble.evaluate(config, strategy, record, console, split, others, _trained)
  elif mode == "evaluate":
    evaluate(config, strategy, record, console, split)
  elif mode == "analyse":
    analyse(config, strategy, record, console)
  elif prompt is not None:
    write(config, strategy, record, console, prompt)
  else:
    predict(config, strategy, record, console, split)


def task_of(config: ConfigDict, strategy: Strategy, prepare: bool = True) -> Task:
  """Returns the config's task with its data found, and prepared unless `prepare` is False; nothing is built yet."""
  strategy.jit(config)
  task: Task = importlib.import_module(f"dlsuite.tasks.{config.task}").TASK(config, strategy)
  if prepare and not strategy.is_chief:  # the chief prepares the data first: where all share a disk, the others find them there
    strategy.barrier()
  task.open(prepare)
  if prepare and strategy.is_chief:
    strategy.barrier()
  return task


def train(config: ConfigDict, strategy: Strategy, record: Record, console: Console,
          callbacks: list[keras.callbacks.Callback] | None = None, start: str = "") -> dict[str, Any]:
  """Trains to the end (from the newest checkpoint if there is one), tests once, draws, and returns the result.

  `start` is the folder of the run whose weights a new training starts from, by default `config.init_from`.
  """
  start = start or config.init_from
  task = task_of(config, strategy)
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  loop = Loop(task, config, strategy, plan, record, console, callbacks)
  finished = record.result()
  if start and not finished and loop.folder.latest_state() is None:
    initialization.init_from(start, config_lib.source_stage(config)[1], task, console)
  record.open(provenance(strategy.description, strategy.precision(config)))
  try:
    _header(config, strategy, task, plan, record, console)
    if finished is None:
      loop.run()
      finished = _test(config, strategy, task, loop, record)
    else:
      console.line("the run is complete; its result:")
    if "analyses" not in finished:  # what was tested once is not lost for a picture, nor tested again
      finished = _draw(config, task, finished, loop.folder, record, console)
    _closing(config, finished, record, console)
  finally:
    record.close()
  return finished


def _header(config: ConfigDict, strategy: Strategy, task: Task, plan: Plan, record: Record, console: Console) -> None:
  parameters = sum(network.count_params() for network in task.networks.values())
  jit = ", jit" if strategy.jit(config) else ""
  console.line(f"{config.name} ({record.fingerprint})  on {strategy.description}, {strategy.precision(config)}{jit}")
  data, splits = task.describe_data()
  console.line(f"  data {data}: {', '.join(f'{name} {reads}' for name, reads, _ in splits)}; batch {config.data.batch_size}")
  epochs = f" of {plan.steps_per_epoch:,} an epoch" if plan.steps_per_epoch else ""
  console.line(f"  {parameters:,} parameters; {plan.total:,} steps{epochs}; workdir {record.folder}")
  if plan.warmup >= plan.total:
    console.line(f"  note: the run ends within its warm-up of {plan.warmup:,} steps: the learning rate never peaks")
  precisions = [start["precision"] for start in record.provenance() if "precision" in start]
  if len(set(precisions[-2:])) > 1:
    console.line(f"  note: the run began in {precisions[-2]} and goes on in {precisions[-1]}, which train.precision='auto' "
                 "stands for here: it will not end in the bits of one device")


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


def _test(config: ConfigDict, strategy: Strategy, task: Task, loop: Loop, record: Record) -> dict[str, Any]:
  """Tests the selected weights once and writes result.json."""
  strategy.barrier()  # the chief has written what it and the others now read
  chosen = _load_selected(task, loop.folder)
  test = task.measure("test").values if config.data.get("test", True) else {}
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
    "data": task.data_identity, "precision": strategy.precision(config), "starts": len(record.provenance()),
  }
  record.save_result(result)
  return result


def _draw(config: ConfigDict, task: Task, result: dict[str, Any], folder: checkpoints.Folder, record: Record,
          console: Console) -> dict[str, Any]:
  """Draws the figures of the selected weights and adds the analyses' numbers to result.json."""
  chosen = _load_selected(task, folder)
  if record.active:
    metrics = task.curves or tuple(dict.fromkeys((task.reported[0], config.reference.metric or task.reported[0])))
    units = {name: config.reference.unit if name == config.reference.metric else task.units.get(name, "") for name in metrics}
    figures.learning_curves(record.rows(), config, units, chosen.step, record.figures / "learning_curves.png")
    pictures: list[Path] = sorted(record.frames.glob("step_*.png"), key=str)
    if pictures:
      figures.film(pictures, record.figures / "training.gif")
  found = analysis.run(config.analyses, task, record.figures if record.active else None, console)
  result = _with_analyses(result, found)
  record.save_result(result)
  return result


def _with_analyses(result: dict[str, Any], found: dict[str, analysis.Numbers]) -> dict[str, Any]:
  """Returns the result with the analyses' numbers, and which code made each: `--mode=analyse` comes later than the run."""
  return result | {"analyses": result.get("analyses", {}) | found,
                   "analysed_by": result.get("analysed_by", {}) | dict.fromkeys(found, code())}


def _closing(config: ConfigDict, result: dict[str, Any], record: Record, console: Console) -> None:
  def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

  if result["value"] is not None:
    unit = f" ({result['unit']})" if result["unit"] else ""
    console.table(f"{config.name}, {config_lib.split_text(config, 'test')}",
                  ["metric", "ours", "published", "difference", "source"],
                  [[result["metric"] + unit, number(result["value"]), number(result["reference"]), number(result["difference"]),
                    result["paper"] or "-"]])
  _numbers(result.get("analyses", {}), console)
  others = {k: v for k, v in result["test"].items() if k != result["metric"]}
  shown = "test: " + "  ".join(f"{k} {v:.4f}" for k, v in others.items()) + "; " if others else ""
  console.line(f"  {shown}weights of step {result['selected_step']:,}; trained {duration_text(result['train_seconds'])}")
  written = ["result.json", "metrics.jsonl", *sorted(f"figures/{p.name}" for p in record.figures.glob("*.*"))]
  console.line(f"  in {record.folder}: {', '.join(written)}")


def _numbers(found: dict[str, analysis.Numbers], console: Console) -> None:
  for name, numbers in found.items():
    console.line(f"  {name}: " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()))


def analyse(config: ConfigDict, strategy: Strategy, record: Record, console: Console) -> dict[str, analysis.Numbers]:
  """Draws what `analyses` names of the selected weights; its numbers are added to the result of a run that has ended.

  Raises:
    ConfigError: if it names nothing, or there is no test split to look at.
  """
  if not config.analyses or not config.data.get("test", True):
    raise ConfigError("--mode=analyse has nothing to do: " + (
      "data.test is empty" if config.analyses else f"analyses is empty; there are: {', '.join(modules.modules('analysis'))}"))
  task, chosen = _trained(config, strategy, record)
  found = analysis.run(config.analyses, task, record.figures if record.active else None, console)
  if result := record.result():
    record.save_result(_with_analyses(result, found))
  console.line(f"{config.name}, weights of step {chosen.step:,}; figures in {record.figures}")
  _numbers(found, console)
  return found


def evaluate(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str) -> dict[str, float]:
  """Prints and returns the metrics of the selected weights on a split; writes nothing."""
  task, chosen = _trained(config, strategy, record)
  return _measured(task, split, f"weights of step {chosen.step:,}", console)


def evaluate_weights(config: ConfigDict, strategy: Strategy, console: Console, split: str, start: str) -> dict[str, float]:
  """Prints and returns what the weights of another folder score under this config, untrained; writes nothing.

  Raises:
    WorkdirError: if there is no such folder, or a weight of the config's networks is not in it.
  """
  task = _built(config, strategy)
  if anew := initialization.init_from(start, "", task, console):
    raise WorkdirError(f"--init_from={start} lacks {len(anew)} of the weights that --mode=evaluate needs: {anew[0]}")
  return _measured(task, split, f"weights of {start}", console)


def _measured(task: Task, split: str, weights: str, console: Console) -> dict[str, float]:
  begin = time.monotonic()
  found = task.measure(split)
  console.table(f"{task.config.name}, {config_lib.split_text(task.config, split)}, {weights}", ["metric", "value"],
                [[name, f"{value:.4f}"] for name, value in found.values.items()])
  console.show(f"  {found.count:,} {found.unit} in {duration_text(time.monotonic() - begin)}")
  return found.values


def _built(config: ConfigDict, strategy: Strategy) -> Task:
  task = task_of(config, strategy)
  plan = Plan.of(config, task.steps_per_epoch)
  task.build(plan.total, plan.warmup)
  return task


def _trained(config: ConfigDict, strategy: Strategy, record: Record) -> tuple[Task, checkpoints.Checkpoint]:
  task = _built(config, strategy)
  folder = checkpoints.Folder(record.checkpoints, config.checkpoint.keep, record.fingerprint, active=False)
  return task, _load_selected(task, folder)


def write(config: ConfigDict, strategy: Strategy, record: Record, console: Console, prompt: str) -> None:
  """Prints what the selected weights of a language model write after a text."""
  task, chosen = _trained(config, strategy, record)
  text = task.generate(prompt)
  console.show(f"{config.name}, weights of step {chosen.step:,}:\n{prompt}{text}")


def predict(config: ConfigDict, strategy: Strategy, record: Record, console: Console, split: str) -> None:
  """Writes predictions_<split>.csv: a row an example, in the split's order."""
  task, _ = _trained(config, strategy, record)
  columns, rows = task.prediction_table(task.predict(split))
  path = record.folder / f"predictions_{split}.csv"
  if record.active:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
  console.table(f"{config.name}, {config_lib.split_text(config, split)}, the first predictions", columns[:6],
                [row[:6] for row in rows[:8]])
  console.show(f"  {len(rows):,} rows in {path}")
