"""The training loop: runs any task on any strategy, drives Keras callbacks, and resumes to the bit."""

import math
import time

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.feed import Feed
from dlsuite.errors import DivergedError, Stopped, WorkdirError
from dlsuite.plan import Plan
from dlsuite.runs import figures
from dlsuite.runs.console import Console, duration_text
from dlsuite.runs.record import Record
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Task
from dlsuite.training import callbacks as callback_lib
from dlsuite.training import checkpoints, optimizers, selection, steps
from dlsuite.training.signals import StopSignal

_CALL_SECONDS = 0.5  # aimed at for one call of the compiled loop
_FEED = "feed/"  # before the names of the feed's arrays in a checkpoint
_WORKERS_STEPS_PER_CALL = 10  # several workers must make the same calls: nothing is tuned by their clocks


class Loop:
  """Trains one task once.

  Args:
    task: built in the strategy's scope.
    config: the run's config.
    strategy: the process's strategy.
    record: the run's folder, opened.
    console: where a person looks.
    callbacks: the caller's own Keras callbacks, after those of the config.
  """

  def __init__(self, task: Task, config: ConfigDict, strategy: Strategy, plan: Plan, record: Record, console: Console,
               callbacks: list[keras.callbacks.Callback] | None = None) -> None:
    self._task, self._config, self._strategy, self._plan = task, config, strategy, plan
    self._record, self._console = record, console
    self.folder = checkpoints.Folder(record.checkpoints, config.checkpoint.keep, record.fingerprint, record.active)
    self._optimizers = {name: learner.optimizer for name, learner in task.learners.items()}
    self._network = callback_lib.model_for(task.networks, next(iter(self._optimizers.values())))
    self._callbacks = callback_lib.build(config, record.folder, callbacks or [], record.active, len(self._optimizers),
                                         task.reported)
    self._feed: Feed | None = None
    self.step = 0
    self._evaluations = 0
    self._stopped = False
    self._sums = np.zeros(len(task.metrics), np.float32)
    self._rows_from = 0  # the step after which the sums began
    monitor = config.checkpoint.monitor
    higher = (selection.is_higher_better("checkpoint.monitor", monitor, config.checkpoint.mode, task.reported)
              if config.checkpoint.select == "best" else False)
    self.best = selection.Best(higher)
    self._saved_at, self._saved_step = time.monotonic(), -1
    self._steps_per_call = 1
    self._calls = 0
    self._clock, self._clock_step = time.monotonic(), 0
    self._waited = 0.0
    self._train_seconds = 0.0

  @property
  def _done(self) -> bool:
    return self.step >= self._plan.total or self._stopped

  # -- state

  def _save(self) -> None:
    if self._saved_step == self.step:
      return
    arrays, paths = checkpoints.collect(self._task.variables())
    self._check_finite(arrays)
    plain, callback_arrays = callback_lib.state(self._callbacks)
    meta = {
      "paths": paths, "callbacks": plain, "evaluations": self._evaluations, "stopped": self._stopped,
      "sums": [float(s) for s in self._sums], "rows_from": self._rows_from,
      "best": {"value": self.best.value, "step": self.best.step}, "train_seconds": self._train_seconds,
      "data": self._task.data_identity,
    }
    self._record.flush()  # no checkpoint stands for rows that could still be lost
    of_feed = {f"{_FEED}{name}": value for name, value in (self._feed.state() if self._feed else {}).items()}
    self.folder.save_state(self.step, {**arrays, **callback_arrays, **of_feed}, meta, self.best.step)
    self._saved_at, self._saved_step = time.monotonic(), self.step

  def _check_finite(self, arrays: checkpoints.Arrays) -> None:
    for name, value in arrays.items():
      if name.startswith("network.") and not np.isfinite(value).all():
        network = name.split("/")[0].removeprefix("network.")
        raise self._diverged(self.step, f"a weight of the {network}" if len(self._task.networks) > 1 else "a weight")

  def _restore(self, state: checkpoints.Checkpoint) -> None:
    meta = state.meta
    if meta.get("data", "") != self._task.data_identity:
      raise WorkdirError(f"{state.path}: was trained on {meta.get('data')}, here the data are {self._task.data_identity}; "
                         "give another --workdir")
    checkpoints.assign(self._task.variables(), state)
    self.step, self._evaluations, self._stopped = state.step, meta["evaluations"], meta["stopped"]
    self._sums, self._rows_from = np.array(meta["sums"], np.float32), meta["rows_from"]
    self.best.value, self.best.step = meta["best"]["value"], meta["best"]["step"]
    self._train_seconds = meta["train_seconds"]
    self._saved_step = state.step

  def _diverged(self, step: int, what: str) -> DivergedError:
    return self._lost(step, f"{what} became NaN or infinite")

  def _lost(self, step: int, what: str) -> DivergedError:
    good = self.folder.latest_state()
    where = f"last good checkpoint: {good.path}" if good else "no checkpoint was written before it"
    rate = optimizers.learning_rate(next(iter(self._optimizers.values())), step - 1)
    return DivergedError(f"{what} at step {step} (learning rate {rate:.3g}); {where}")

  # -- the run

  def run(self) -> None:
    """Trains to the end of the plan, from the newest checkpoint if there is one.

    Raises:
      Stopped: after SIGTERM or SIGINT, the state saved.
      DivergedError: if the loss or a weight is no longer finite.
      WorkdirError: if the folder cannot be written.
    """
    state = self.folder.latest_state()
    if state is not None:
      self._restore(state)
      self._console.line(f"resuming after step {self.step:,} of {self._plan.total:,}")
    self._record.truncate(self.step)
    if self._record.active:
      callback_lib.truncate_csv(self._record.folder, self._evaluations)
    if self._done:
      return
    run_steps = steps.train_steps(self._task, self._strategy)
    feed = self._feed = self._task.feed(self.step)
    if state is not None:
      feed.restore({name.removeprefix(_FEED): value for name, value in state.arrays.items() if name.startswith(_FEED)})
    drive = keras.callbacks.CallbackList(self._callbacks, model=self._network)
    self._network.stop_training = False
    with StopSignal() as signal:
      drive.on_train_begin()
      if state is not None:
        callback_lib.restore(self._callbacks, state.meta["callbacks"], state.arrays)
      self._clock, self._clock_step = time.monotonic(), self.step
      began = True
      while not self._done:
        if began:
          drive.on_epoch_begin(self._evaluations)
          began = False
        drive.on_train_batch_begin(self.step)
        stop = self._advance(run_steps, feed, bool(signal.name))
        drive.on_train_batch_end(self.step - 1)
        if self._strategy.workers == 1:  # several workers stop by the flag that went round in the call
          stop = bool(signal.name)
        at_end = self.step >= self._plan.total
        if self.step % self._plan.log == 0 or self.step % self._plan.evaluate == 0 or at_end:
          logs = self._train_row()
        if self.step % self._plan.evaluate == 0 or at_end:
          logs |= self._evaluate_and_select()
          drive.on_epoch_end(self._evaluations, logs)
          self._evaluations += 1
          self._stopped = bool(self._network.stop_training)
          began = True
        if stop and not self._done:
          self._save()
          self._strategy.barrier()  # a worker that ends may have the chief ended too: not before it has written
          raise Stopped(f"stopped by {signal.name or 'another worker'} after step {self.step:,} of {self._plan.total:,}, "
                        "state saved; the same command goes on")
        if not self._done and self._save_is_due():
          self._save()
      drive.on_train_end()  # EarlyStopping puts its best weights back here; a kill before the save only repeats the end
      self._select_last()
      self._save()

  def _save_is_due(self) -> bool:
    every = self._plan.checkpoint
    minutes = self._config.checkpoint.every_minutes
    return bool(every and self.step % every == 0) or bool(minutes and time.monotonic() - self._saved_at >= 60 * minutes)

  def _advance(self, run_steps: steps.RunSteps, feed: Feed, stop: bool) -> bool:
    """Makes one call of the compiled loop; returns whether to stop after it."""
    count = min(self._call_size(), self._plan.next_stop(self.step) - self.step, feed.limit(self.step))
    before = time.monotonic()
    source = feed.source(self.step, count)
    gathered = time.monotonic() - before
    sums, bad, lost, waited, stops = run_steps(source, tf.constant(self.step, tf.int64), tf.constant(count, tf.int64),
                                         tf.constant(self._sums), tf.constant(float(stop)))
    self._sums = sums.numpy()
    seconds = time.monotonic() - before
    self.step += count
    self._waited += float(waited) + gathered
    self._train_seconds += seconds
    if int(bad) >= 0:
      names = [name for name, value in zip(self._task.metrics, lost.numpy(), strict=True) if not math.isfinite(value)]
      least = any(learner.is_scale_least for learner in self._task.learners.values())
      raise self._diverged(int(bad) + 1, "the loss or a gradient (float16, at a loss scale of 1)" if least
                           else self._task.culprit(names))
    self._calls += 1
    if self._calls > 1:  # the first call compiles: its time says nothing of the rate
      self._steps_per_call = int(np.clip(_CALL_SECONDS * count / max(seconds, 1e-9), 1, 10_000))
      self._show(count, seconds)
    return float(stops) > 0

  def _call_size(self) -> int:
    if self._config.train.steps_per_call:
      return self._config.train.steps_per_call
    return _WORKERS_STEPS_PER_CALL if self._strategy.workers > 1 else self._steps_per_call

  def _show(self, count: int, seconds: float) -> None:
    plan, rate = self._plan, count / max(seconds, 1e-9)
    done = self.step - self._rows_from
    loss = self._sums[0] / (done * self._config.data.batch_size)
    elapsed = max(time.monotonic() - self._clock, 1e-9)
    self._console.progress(
      f"step {self.step:,}/{plan.total:,}  {self._epoch_text(1)}{self._task.metrics[0]} {loss:.4f}  "
      f"{rate * self._config.data.batch_size:,.0f} examples/s  waiting for data {100 * min(1.0, self._waited / elapsed):.0f}%  "
      f"ETA {duration_text((plan.total - self.step) / rate)}", force=self.step >= plan.total)

  def _epoch_text(self, digits: int) -> str:
    epoch = self._plan.steps_per_epoch
    return f"epoch {self.step / epoch:.{digits}f}  " if epoch else ""

  def _row(self, split: str, values: dict[str, float], **more: float) -> None:
    batch, epoch = self._config.data.batch_size, self._plan.steps_per_epoch
    # By the steps that were made: in float16 those whose gradient overflows are not.
    rates = {"learning_rate" if i == 0 else f"{name}_learning_rate":
             optimizers.learning_rate(optimizer, max(0, int(optimizer.iterations.numpy()) - 1))
             for i, (name, optimizer) in enumerate(self._optimizers.items())}
    self._record.append({"split": split, "step": self.step, **({"epoch": self.step / epoch} if epoch else {}),
                         "examples": self.step * batch, **values, **rates, **more})

  def _train_row(self) -> dict[str, float]:
    examples = (self.step - self._rows_from) * self._config.data.batch_size
    if not examples:
      return {}
    now = time.monotonic()
    elapsed = max(now - self._clock, 1e-9)
    means = {name: float(s) / examples for name, s in zip(self._task.metrics, self._sums, strict=True)}
    values = self._task.summarize(means) | (self._feed.logs() if self._feed else {})
    scales = {"loss_scale" if i == 0 else f"{name}_loss_scale": learner.loss_scale
              for i, (name, learner) in enumerate(self._task.learners.items()) if learner.loss_scale is not None}
    since_clock = (self.step - self._clock_step) * self._config.data.batch_size
    self._row("train", values, **scales, examples_per_second=since_clock / elapsed,
              waiting_share=min(1.0, self._waited / elapsed), seconds=self._train_seconds)
    self._sums, self._rows_from, self._waited = np.zeros_like(self._sums), self.step, 0.0
    self._clock, self._clock_step = now, self.step
    return values

  def _evaluate_and_select(self) -> dict[str, float]:
    if not self._plan.validates:
      self._film()
      return {}
    began = time.monotonic()
    found = self._task.evaluate("valid")
    values, rate = found.values, found.count / (time.monotonic() - began)
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
      raise self._diverged(self.step, f"the validation {bad[0]}")
    if fault := self._task.check(values):
      raise self._lost(self.step, fault)
    self._film()
    self._row("valid", values, examples_per_second=rate)
    logs = {f"val_{name}": value for name, value in values.items()}
    text = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
    chosen = self._config.checkpoint.select == "best" and self.best.improves(logs[self._config.checkpoint.monitor], self.step)
    if chosen:
      self._save_selected(values)
    self._console.line(f"step {self.step:,}  {self._epoch_text(2)}valid: {text}" + ("  (best so far)" if chosen else ""))
    self._clock, self._clock_step, self._waited = time.monotonic(), self.step, 0.0
    return logs

  def _film(self) -> None:
    if self._record.active and (picture := self._task.frame()) is not None:
      figures.save_frame(self._record.frames, self.step, picture)

  def _save_selected(self, values: dict[str, float]) -> None:
    arrays, _ = checkpoints.collect(self._task.evaluated_weights())
    self._check_finite(arrays)
    paths = {group: [v.path for v in variables] for group, variables in self._task.weights().items()}
    self.folder.save_selected(self.step, arrays, {"paths": paths, "valid": values})

  def _select_last(self) -> None:
    if self._config.checkpoint.select == "last":
      self.best.step = self.step
      self._save_selected({})

  @property
  def train_seconds(self) -> float:
    """Seconds spent in training steps, over all starts of the run."""
    return self._train_seconds
