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
import dataclasses
import functools
import importlib.util
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish


@dataclasses.dataclass(frozen=True)
class Case:
  """One network and how it is trained.

  Attributes:
    shape: of an image, (H, W, C).
    model: the config's section.
    optimizer: the config's section.
    batch: images a step.
    classes: number of them.
    batches: how many different ones are held in memory.
    task: `classification`, or `segmentation` with a label for each pixel.
  """

  shape: tuple[int, int, int]
  model: dict[str, Any]
  optimizer: dict[str, Any]
  batch: int = 128
  classes: int = 10
  batches: int = 64
  task: str = "classification"


_SGD = {"name": "sgd", "learning_rate": 0.01, "arguments": {"momentum": 0.9}}
_CASES = {
  "lenet5": Case((28, 28, 1), {"name": "vision.lenet5", "dropout": 0.4}, {"name": "adam", "learning_rate": 1e-3}),
  "mlp": Case((28, 28, 1), {"name": "mlp", "width": 1024, "depth": 3, "dropout": 0.5}, {"name": "adam", "learning_rate": 1e-3}),
  "resnet20": Case((32, 32, 3), {"name": "vision.cifar_resnet", "depth": 20}, _SGD | {"learning_rate": 0.1}),
  "densenet_bc": Case((32, 32, 3), {"name": "vision.cifar_densenet", "depth": 40, "growth": 12}, _SGD, batch=64),
  "resnet50_224": Case((224, 224, 3), {"name": "vision.resnet", "depth": 50}, _SGD, batch=16, classes=1000, batches=4),
  "vgg16_224": Case((224, 224, 3), {"name": "vision.vgg", "depth": 16}, _SGD, batch=8, classes=1000, batches=4),
  "unet": Case((256, 256, 1), {"name": "vision.unet", "base": 32, "padding": "same"},
               {"name": "adam", "learning_rate": 1e-3}, batch=4, classes=2, batches=4, task="segmentation"),
}
_WAYS = ("ours", "bare", "fit", "torch", "compiled")
_RATIOS = (("ours", "bare"), ("fit", "ours"), ("torch", "ours"), ("compiled", "ours"))
Timed = Callable[[int], None]  # makes that many steps and waits until they are done


def _config(case: str, precision: str) -> ConfigDict:
  channels, batch = _CASES[case].shape[-1], _CASES[case].batch
  c = defaults(f"bench_{case}", task=_CASES[case].task)
  c.data.name, c.data.valid, c.data.batch_size, c.data.cache = "synthetic", "", batch, "memory"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = (0.5,) * channels, (0.29,) * channels
  c.train.precision, c.train.epochs, c.checkpoint.select = precision, 1.0, "last"
  c.model.update(_CASES[case].model)
  c.optimizer.update(_CASES[case].optimizer)
  return finish(c)


def _arrays(case: str) -> dict[str, Any]:
  """Returns noise in the shape of the case's images: image uint8 [N, H, W, C], label int64 [N] or uint8 [N, H, W, 1]."""
  import numpy as np

  random = np.random.default_rng(0)
  examples = _CASES[case].batch * _CASES[case].batches
  images = random.integers(0, 256, (examples, *_CASES[case].shape), np.uint8)
  if _CASES[case].task == "segmentation":
    return {"image": images, "label": random.integers(0, _CASES[case].classes, (*images.shape[:-1], 1), np.uint8)}
  return {"image": images, "label": random.integers(0, _CASES[case].classes, examples)}


def _ours(case: str, config: ConfigDict, strategy: Any) -> tuple[Timed, Any]:
  """Returns the loop's own call, and its task."""
  import numpy as np
  import tensorflow as tf

  from dlsuite.data.pipeline import Split
  from dlsuite.tasks.classification import Classification
  from dlsuite.tasks.segmentation import Segmentation
  from dlsuite.training import steps

  class Memory(Split):
    """A split that needs no tfds builder."""

    def arrays(self, most: int = -1) -> dict[str, np.ndarray]:
      return {word: values[:most] if most >= 0 else values for word, values in _arrays(case).items()}

  kind: Any = Segmentation if _CASES[case].task == "segmentation" else Classification

  class Synthetic(kind):
    """The real task on made-up data."""

    num_classes, input_shape = _CASES[case].classes, _CASES[case].shape

    def open(self, prepare: bool = True) -> None:
      pass

    @functools.cached_property
    def _train_split(self) -> Split:
      return Memory(None, "train", _CASES[case].batch * _CASES[case].batches, dict(config.data.features), 0, True)

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

  from dlsuite.tasks.images import standardized
  from dlsuite.training import optimizers

  network = task.build_networks()[task.network]
  variables = network.trainable_variables
  optimizer = optimizers.build(config.optimizer, variables, 1_000_000, 0)
  arrays, batch = _arrays(task.config.name.removeprefix("bench_")), config.data.batch_size
  images, labels = tf.constant(arrays["image"][:batch]), tf.constant(arrays["label"][:batch].astype("int64"))

  @tf.function
  def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      logits = tf.cast(network(standardized(images, config.data), training=True), tf.float32)
      labels = tf.reshape(labels, tf.shape(logits)[:-1])
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
  arrays = _arrays(task.config.name.removeprefix("bench_"))
  images = np.asarray(standardized(arrays["image"], config.data), np.float32)

  data = tf.data.Dataset.from_tensor_slices((images, arrays["label"])).batch(config.data.batch_size, drop_remainder=True)
  data = data.cache().repeat().prefetch(tf.data.AUTOTUNE)

  def run(count: int) -> None:
    network.fit(data, epochs=1, steps_per_epoch=count, shuffle=False, verbose=0)

  return run


def _torch(case: str, config: ConfigDict, precision: str, compiled: bool) -> Timed:
  """Returns PyTorch in a process of its own: in one process the two libraries' waiting threads get in each other's way."""
  options = {"case": case, "task": _CASES[case].task, "precision": precision, "compiled": compiled,
             "optimizer": config.optimizer.to_dict(), "shape": _CASES[case].shape, "batch": _CASES[case].batch,
             "classes": _CASES[case].classes}
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

  config = _config(case, precision)
  ours, task = _ours(case, config, Strategy.from_config(config))
  ways = {"ours": ours} if "ours" in chosen else {}
  ways |= {name: make(task, config) for name, make in (("bare", _bare), ("fit", _fit)) if name in chosen}
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
  parser.add_argument("--cases", default=",".join(_CASES), help=f"comma-separated, of: {', '.join(_CASES)}")
  parser.add_argument("--precisions", default="float32,bfloat16", help="comma-separated")
  parser.add_argument("--rounds", type=int, default=5, help="times that the ways take turns")
  parser.add_argument("--ways", default=",".join(_WAYS), help=f"comma-separated, of: {', '.join(_WAYS)}")
  parser.add_argument("--seconds", type=float, default=2.0, help="about how long a turn lasts")
  parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
  args = parser.parse_args()
  cases, precisions, ways = args.cases.split(","), args.precisions.split(","), args.ways.split(",")
  if unknown := [c for c in cases if c not in _CASES]:
    parser.error(f"--cases={','.join(unknown)}: allowed are {', '.join(_CASES)}")
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
