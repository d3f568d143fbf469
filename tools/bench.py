"""Times one training step four ways, alternating in one run, on data made in memory.

    python -m tools.bench --cases=lenet5,mlp,resnet20 --precisions=float32,bfloat16 --rounds=5

- ours: the K-step call of the real loop (`training.steps.train_steps`) on the real task with its real input pipeline.
- bare: a compiled step on a constant batch with nothing around it: preprocessing, forward, backward, our optimizer.
- fit: one call of `keras.Model.fit` a turn on the same network, with Keras's batch normalisation and optimizer, on
  ready batches of ready floats from a cached tf.data set, in its favour.
- torch: PyTorch eager, the same architecture and optimizer on a constant batch of ready floats, where it is installed.

Each round times the four in turn, each for about the same time; a ratio is the median over the rounds, with the smallest
and largest round in brackets. Ratios of times above 1 mean that the other one is slower, but for ours/bare, which should
be at most 1.03. Rates depend on the machine and its load, ratios much less; PyTorch suffers most from a busy machine.
No regularisation and no augmentation: they cost all four the same. Each case and precision runs in a process of its own.
"""

import argparse
import atexit
import functools
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish

_BATCH = 128
_EXAMPLES = 128 * 64
# input shape, model section, optimizer section
_CASES: dict[str, tuple[tuple[int, int, int], dict[str, Any], dict[str, Any]]] = {
  "lenet5": ((28, 28, 1), {"name": "vision.lenet5", "dropout": 0.4}, {"name": "adam", "learning_rate": 1e-3}),
  "mlp": ((28, 28, 1), {"name": "mlp", "width": 1024, "depth": 3, "dropout": 0.5}, {"name": "adam", "learning_rate": 1e-3}),
  "resnet20": ((32, 32, 3), {"name": "vision.cifar_resnet", "depth": 20},
               {"name": "sgd", "learning_rate": 0.1, "arguments": {"momentum": 0.9}}),
}
_RATIOS = (("ours", "bare"), ("fit", "ours"), ("torch", "ours"))
Timed = Callable[[int], None]  # makes that many steps and waits until they are done


def _config(case: str, precision: str) -> ConfigDict:
  (_, _, channels), model, optimizer = _CASES[case]
  c = defaults(f"bench_{case}", task="classification")
  c.data.name, c.data.valid, c.data.batch_size, c.data.cache = "synthetic", "", _BATCH, "memory"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = (0.5,) * channels, (0.29,) * channels
  c.train.precision, c.train.epochs, c.checkpoint.select = precision, 1.0, "last"
  c.model.update(model)
  c.optimizer.update(optimizer)
  return finish(c)


def _arrays(case: str) -> dict[str, Any]:
  """Returns noise of MNIST's or CIFAR's shape: image uint8 [N, H, W, C], label int64 [N]."""
  import numpy as np

  random = np.random.default_rng(0)
  shape = (_EXAMPLES, *_CASES[case][0])
  return {"image": random.integers(0, 256, shape, np.uint8), "label": random.integers(0, 10, _EXAMPLES)}


def _ours(case: str, config: ConfigDict, strategy: Any) -> tuple[Timed, Any]:
  """Returns the loop's own call, and its task."""
  import numpy as np
  import tensorflow as tf

  from dlsuite.data.pipeline import Split
  from dlsuite.tasks.classification import Classification
  from dlsuite.training import steps

  class Memory(Split):
    """A split that needs no tfds builder."""

    def arrays(self) -> dict[str, np.ndarray]:
      return _arrays(case)

  class Synthetic(Classification):
    """The real task on made-up data."""

    num_classes, input_shape = 10, _CASES[case][0]  # type: ignore[assignment]

    def open(self, prepare: bool = True) -> None:
      pass

    @functools.cached_property
    def _train_split(self) -> Split:
      return Memory(None, "train", _EXAMPLES, dict(config.data.features), 0, True)

  task = Synthetic(config, strategy)
  task.build(total_steps=1_000_000, warmup_steps=0)
  run_steps, batches = steps.train_steps(task, strategy), task.train_batches(0)
  done = 0

  def run(count: int) -> None:
    nonlocal done
    sums = tf.zeros([len(task.metrics)])
    run_steps(batches, tf.constant(done, tf.int64), tf.constant(count, tf.int64), sums, tf.constant(0.0))[0].numpy()
    done += count

  return run, task


def _bare(task: Any, config: ConfigDict) -> Timed:
  import tensorflow as tf

  from dlsuite.training import optimizers

  network = task.build_networks()["classifier"]
  variables = network.trainable_variables
  optimizer = optimizers.build(config.optimizer, variables, 1_000_000, 0)
  arrays = _arrays(task.config.name.removeprefix("bench_"))
  images, labels = tf.constant(arrays["image"][:_BATCH]), tf.constant(arrays["label"][:_BATCH])

  @tf.function
  def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      logits = tf.cast(network(task.preprocess(images), training=True), tf.float32)
      loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    return loss

  def run(count: int) -> None:
    for _ in range(count):
      loss = step(images, labels)
    loss.numpy()

  return run


def _fit(task: Any, config: ConfigDict) -> Timed:
  import keras
  import numpy as np
  import tensorflow as tf

  from dlsuite.checks import OPTIMIZERS
  from dlsuite.layers.batch_norm import BatchNorm

  def as_keras_writes_it(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, BatchNorm):
      return keras.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name)
    cls = keras.layers.Conv2D if isinstance(layer, keras.layers.Conv2D) else layer.__class__
    return cls.from_config(layer.get_config())

  network = keras.models.clone_model(task.build_networks()["classifier"], clone_function=as_keras_writes_it)
  optimizer = getattr(keras.optimizers, OPTIMIZERS[config.optimizer.name][0])(
    learning_rate=config.optimizer.learning_rate, **config.optimizer.arguments)
  network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
  arrays = _arrays(task.config.name.removeprefix("bench_"))
  images = np.asarray(task.preprocess(arrays["image"]), np.float32)

  data = tf.data.Dataset.from_tensor_slices((images, arrays["label"])).batch(_BATCH, drop_remainder=True)
  data = data.cache().repeat().prefetch(tf.data.AUTOTUNE)

  def run(count: int) -> None:
    network.fit(data, epochs=1, steps_per_epoch=count, verbose=0)

  return run


def _torch(case: str, config: ConfigDict, precision: str) -> Timed:
  """Returns PyTorch in a process of its own: in one process the two libraries' waiting threads get in each other's way."""
  command = [sys.executable, "-m", "tools.bench_torch", case, precision, json.dumps(config.optimizer.to_dict())]
  worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
  atexit.register(worker.kill)

  def run(count: int) -> None:
    assert worker.stdin and worker.stdout
    worker.stdin.write(f"{count}\n")
    worker.stdin.flush()
    if not worker.stdout.readline():
      raise RuntimeError("PyTorch's process ended")

  return run


def measure(case: str, precision: str, rounds: int, seconds: float) -> dict[str, list[float]]:
  """Returns examples per second of each way in each round."""
  from dlsuite.strategy import Strategy

  config = _config(case, precision)
  ours, task = _ours(case, config, Strategy.from_config(config))
  ways = {"ours": ours, "bare": _bare(task, config), "fit": _fit(task, config)}
  if importlib.util.find_spec("torch"):
    ways["torch"] = _torch(case, config, precision)

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
      rates[name].append(counts[name] * _BATCH / timed(run, counts[name]))
  return rates


def _print(results: list[tuple[str, str, dict[str, list[float]]]]) -> None:
  ways = ("ours", "bare", "fit", "torch")
  print(f"{'case':<10}{'precision':<11}" + "".join(f"{w + ' ex/s':>13}" for w in ways)
        + "".join(f"{f'{a}/{b} time':>26}" for a, b in _RATIOS))
  for case, precision, rates in results:
    line = f"{case:<10}{precision:<11}"
    line += "".join(f"{statistics.median(rates[w]):>13,.0f}" if w in rates else f"{'-':>13}" for w in ways)
    for slow, fast in _RATIOS:  # time of a / time of b = rate of b / rate of a
      pairs = zip(rates.get(slow, ()), rates.get(fast, ()), strict=False)
      ratios = [b / a for a, b in pairs]
      cell = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})" if ratios else "-"
      line += f"{cell:>26}"
    print(line, flush=True)


def main() -> None:
  """Starts a process for each case and precision and prints the table."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--cases", default=",".join(_CASES), help=f"comma-separated, of: {', '.join(_CASES)}")
  parser.add_argument("--precisions", default="float32,bfloat16", help="comma-separated")
  parser.add_argument("--rounds", type=int, default=5, help="times that the four ways take turns")
  parser.add_argument("--seconds", type=float, default=2.0, help="about how long a turn lasts")
  parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
  args = parser.parse_args()
  cases, precisions = args.cases.split(","), args.precisions.split(",")
  if unknown := [c for c in cases if c not in _CASES]:
    parser.error(f"--cases={','.join(unknown)}: allowed are {', '.join(_CASES)}")
  if unknown := [p for p in precisions if p not in ("float32", "bfloat16")]:
    parser.error(f"--precisions={','.join(unknown)}: allowed are float32, bfloat16")
  if args.child:
    from dlsuite.quiet import import_tensorflow

    import_tensorflow()
    print(json.dumps(measure(cases[0], precisions[0], args.rounds, args.seconds)))
    return
  print(f"batch {_BATCH}, {args.rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
  results = []
  for case in cases:
    for precision in precisions:
      command = [sys.executable, "-m", "tools.bench", "--child", f"--cases={case}", f"--precisions={precision}",
                 f"--rounds={args.rounds}", f"--seconds={args.seconds}"]
      root = pathlib.Path(__file__).parents[1]
      output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout
      results.append((case, precision, json.loads(output.splitlines()[-1])))
      _print(results[-1:])
  print()
  _print(results)


if __name__ == "__main__":
  main()
