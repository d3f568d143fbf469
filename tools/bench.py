"""Times one training step five ways, alternating in one run, on data made in memory.

    python -m tools.bench --cases=lenet5,mlp,resnet20 --precisions=float32,bfloat16 --rounds=5
    python -m tools.bench --cases=resnet50_224 --precisions=bfloat16 --ways=ours,torch,compiled --seconds=10

- ours: the K-step call of the real loop (`training.steps.train_steps`) on the real task with its real input pipeline.
- bare: a compiled step on a constant batch with nothing around it: preprocessing, forward, backward, our optimizer.
- fit: one call of `keras.Model.fit` a turn on the same network, with Keras's batch normalisation and optimizer, on
  ready batches of ready floats from a cached tf.data set, in its favour.
- torch: PyTorch eager, the same architecture and optimizer on a constant batch of ready floats, where it is installed.
- compiled: the same network through `torch.compile`, which needs g++.

Each round times them in turn, each for about the same time; a ratio is the median over the rounds, with the smallest
and largest round in brackets. Ratios of times above 1 mean that the other one is slower, but for ours/bare, which should
be at most 1.03. Rates depend on the machine and its load, ratios much less; PyTorch suffers most from a busy machine.
No regularisation and no augmentation: they cost all the same. Each case and precision runs in a process of its own.
"""

import argparse
import atexit
import importlib.util
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from tools.bench_cases import CASES, Timed, bare_of, config_of, loop_of, noise, task_of

_WAYS = ("ours", "bare", "fit", "torch", "compiled")
_RATIOS = (("ours", "bare"), ("fit", "ours"), ("torch", "ours"), ("compiled", "ours"))


def _fit(task: Any, config: ConfigDict) -> Timed:
  import keras
  import numpy as np
  import tensorflow as tf

  from dlsuite.checks import OPTIMIZERS
  from dlsuite.layers.batch_norm import BatchNorm
  from dlsuite.tasks.images import standardized

  def as_keras_writes_it(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, BatchNorm):
      return keras.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name)
    cls = keras.layers.Conv2D if isinstance(layer, keras.layers.Conv2D) else layer.__class__
    return cls.from_config(layer.get_config())

  network = keras.models.clone_model(task.build_networks()[task.network], clone_function=as_keras_writes_it)
  optimizer = getattr(keras.optimizers, OPTIMIZERS[config.optimizer.name][0])(
    learning_rate=config.optimizer.learning_rate, **config.optimizer.arguments)
  network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
  arrays = noise(task.config.name.removeprefix("bench_"))
  images = np.asarray(standardized(arrays["image"], config.data), np.float32)

  data = tf.data.Dataset.from_tensor_slices((images, arrays["label"])).batch(config.data.batch_size, drop_remainder=True)
  data = data.cache().repeat().prefetch(tf.data.AUTOTUNE)

  def run(count: int) -> None:
    network.fit(data, epochs=1, steps_per_epoch=count, shuffle=False, verbose=0)

  return run


def _torch(case: str, config: ConfigDict, precision: str, compiled: bool) -> Timed:
  """Returns PyTorch in a process of its own: in one process the two libraries' waiting threads get in each other's way."""
  options = {"case": case, "task": CASES[case].task, "precision": precision, "compiled": compiled,
             "optimizer": config.optimizer.to_dict(), "shape": CASES[case].shape, "batch": CASES[case].batch,
             "classes": CASES[case].classes}
  command = [sys.executable, "-m", "tools.bench_torch", json.dumps(options)]
  worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
  atexit.register(worker.kill)

  def run(count: int) -> None:
    assert worker.stdin and worker.stdout
    worker.stdin.write(f"{count}\n")
    worker.stdin.flush()
    if not worker.stdout.readline():
      raise RuntimeError("PyTorch's process ended")

  return run


def measure(case: str, precision: str, rounds: int, seconds: float, chosen: Sequence[str] = _WAYS) -> dict[str, list[float]]:
  """Returns examples per second of each chosen way in each round."""
  from dlsuite.strategy import Strategy

  config = config_of(case, precision)
  strategy = Strategy.from_config(config)
  task = task_of(case, config, strategy)
  ways = {"ours": loop_of(task, strategy)} if "ours" in chosen else {}
  ways |= {name: make(task, config) for name, make in (("bare", bare_of), ("fit", _fit)) if name in chosen}
  if importlib.util.find_spec("torch"):
    ways |= {name: _torch(case, config, precision, name == "compiled") for name in ("torch", "compiled") if name in chosen}

  def timed(run: Timed, count: int) -> float:
    began = time.perf_counter()
    run(count)
    return time.perf_counter() - began

  counts = {}
  for name, run in ways.items():
    run(2)  # compiles, and fills caches
    counts[name] = max(3, round(seconds / (timed(run, 3) / 3)))
  rates: dict[str, list[float]] = {name: [] for name in ways}
  for _ in range(rounds):
    for name, run in ways.items():
      rates[name].append(counts[name] * config.data.batch_size / timed(run, counts[name]))
  return rates


def _print(results: list[tuple[str, str, dict[str, list[float]]]]) -> None:
  ways = [way for way in _WAYS if any(way in rates for _, _, rates in results)]
  print(f"{'case':<13}{'precision':<11}" + "".join(f"{w + ' ex/s':>14}" for w in ways)
        + "".join(f"{f'{a}/{b} time':>26}" for a, b in _RATIOS if a in ways and b in ways))
  for case, precision, rates in results:
    line = f"{case:<13}{precision:<11}"
    for way in ways:
      rate = statistics.median(rates[way]) if way in rates else math.nan
      line += f"{rate:>14,.{0 if rate >= 100 else 1}f}" if way in rates else f"{'-':>14}"
    for slow, fast in ((a, b) for a, b in _RATIOS if a in ways and b in ways):  # time of a / time of b = rate of b / rate of a
      pairs = zip(rates.get(slow, ()), rates.get(fast, ()), strict=False)
      ratios = [b / a for a, b in pairs]
      cell = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})" if ratios else "-"
      line += f"{cell:>26}"
    print(line, flush=True)


def main() -> None:
  """Starts a process for each case and precision and prints the table."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--cases", default=",".join(CASES), help=f"comma-separated, of: {', '.join(CASES)}")
  parser.add_argument("--precisions", default="float32,bfloat16", help="comma-separated")
  parser.add_argument("--rounds", type=int, default=5, help="times that the ways take turns")
  parser.add_argument("--ways", default=",".join(_WAYS), help=f"comma-separated, of: {', '.join(_WAYS)}")
  parser.add_argument("--seconds", type=float, default=2.0, help="about how long a turn lasts")
  parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
  args = parser.parse_args()
  cases, precisions, ways = args.cases.split(","), args.precisions.split(","), args.ways.split(",")
  if unknown := [c for c in cases if c not in CASES]:
    parser.error(f"--cases={','.join(unknown)}: allowed are {', '.join(CASES)}")
  if unknown := [p for p in precisions if p not in ("float32", "bfloat16")]:
    parser.error(f"--precisions={','.join(unknown)}: allowed are float32, bfloat16")
  if unknown := [w for w in ways if w not in _WAYS]:
    parser.error(f"--ways={','.join(unknown)}: allowed are {', '.join(_WAYS)}")
  if args.child:
    from dlsuite.quiet import import_tensorflow

    import_tensorflow()
    print(json.dumps(measure(cases[0], precisions[0], args.rounds, args.seconds, ways)))
    return
  print(f"{args.rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
  results = []
  for case in cases:
    for precision in precisions:
      command = [sys.executable, "-m", "tools.bench", "--child", f"--cases={case}", f"--precisions={precision}",
                 f"--rounds={args.rounds}", f"--seconds={args.seconds}", f"--ways={args.ways}"]
      root = pathlib.Path(__file__).parents[1]
      output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout
      results.append((case, precision, json.loads(output.splitlines()[-1])))
      _print(results[-1:])
  print()
  _print(results)


if __name__ == "__main__":
  main()
