"""Times the input pipeline alone, beside the training step that it feeds.

    python -m tools.bench_input --rounds=5

- shifts: batches of 128 images of 32x32 held in memory, shifted and flipped, as CIFAR's recipe asks.
- strong: the same with RandAugment (2 operations), cutout and cutmix.
- step: the compiled step of ResNet-20 on a constant batch of them, in float32 and bfloat16.
- jpeg: JPEG files of 500x375 pixels in a folder, decoded to random crops of 224, 32 a batch; with as many threads as cores,
  and with one (`jpeg one thread`).

Each round times them in turn; a rate is the median over the rounds, a ratio the median with the smallest and largest round.
The pipeline has all cores to itself here; in a training it shares them with the step.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

_FILES, _CLASSES = 256, 4
_STRONG = {"rand_layers": 2, "cutout": 16, "cutmix": 1.0}
Rate = Callable[[], float]  # examples a second, of one turn


def _timed(make: Callable[[], Any], examples: int, seconds: float) -> Rate:
  """Returns the rate of a call that makes that many examples."""
  for _ in range(3):
    make()  # compiles, and fills what runs ahead

  def rate() -> float:
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
      make()
      count += 1
    return count * examples / (time.perf_counter() - began)

  return rate


def _of_cifar(seconds: float) -> dict[str, Rate]:
  from dlsuite.strategy import Strategy
  from tools.bench_cases import bare_of, config_of, task_of

  found: dict[str, Rate] = {}
  for name, augment in (("shifts", {}), ("strong", _STRONG)):
    config = config_of("resnet20", "float32")
    config.data.augment.update({"pad_crop": 4, "flip": True} | augment)
    batches = task_of("resnet20", config, Strategy.from_config(config)).train_batches(0)
    found[name] = _timed(functools.partial(next, batches), config.data.batch_size, seconds)
  for precision in ("float32", "bfloat16"):
    config = config_of("resnet20", precision)
    step = bare_of(task_of("resnet20", config, Strategy.from_config(config)), config)
    found[f"step {precision}"] = _timed(functools.partial(step, 1), config.data.batch_size, seconds)
  return found


def _write_photographs(folder: pathlib.Path) -> None:
  """Writes made-up photographs: smooth colours under a little noise, about as many bytes as ImageNet's."""
  import numpy as np
  import tensorflow as tf

  random = np.random.default_rng(0)
  for i in range(_FILES):
    smooth = tf.image.resize(random.integers(0, 256, (24, 32, 3)), (375, 500), method="bicubic")
    pixels = tf.cast(tf.clip_by_value(smooth + random.normal(0, 6, (375, 500, 3)), 0, 255), tf.uint8)
    path = folder / "train" / f"class{i % _CLASSES}" / f"{i:03}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_jpeg(pixels, quality=90).numpy())


def _of_jpeg(folder: pathlib.Path, seconds: float) -> dict[str, Rate]:
  from dlsuite.config import defaults, finish
  from dlsuite.data import pipeline, sources
  from dlsuite.strategy import Strategy
  from dlsuite.tasks.classification import Classification

  _write_photographs(folder / "photographs")
  sources.use_data_dir(str(folder / "tfds"))
  c = defaults("bench_jpeg", task="classification")
  c.data.name, c.data.folder, c.data.train, c.data.valid, c.data.test = "folder", str(folder / "photographs"), "train", "", ""
  c.data.features = {"image": "image", "label": "label"}
  c.data.crop, c.data.channels, c.data.batch_size = 224, 3, 32
  c.data.augment.flip = True
  c.model.name, c.train.epochs, c.checkpoint.select = "vision.resnet", 1.0, "last"
  config = finish(c)
  found: dict[str, Rate] = {}
  for name, threads in (("jpeg", pipeline.DECODERS), ("jpeg one thread", 1)):
    task = Classification(config, Strategy.from_config(config))
    task.open()
    with _threads(threads):
      batches = task.train_batches(0)
    found[name] = _timed(functools.partial(next, batches), config.data.batch_size, seconds)
  return found


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
  from dlsuite.data import pipeline

  before = pipeline.DECODERS, pipeline.PARALLEL
  pipeline.DECODERS = pipeline.PARALLEL = count
  try:
    yield
  finally:
    pipeline.DECODERS, pipeline.PARALLEL = before


def main() -> None:
  """Prints the rates and how many times faster the pipeline is than the step."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--rounds", type=int, default=5, help="times that they take turns")
  parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
  args = parser.parse_args()
  from dlsuite.quiet import import_tensorflow

  import_tensorflow()
  print(f"{args.rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
  with tempfile.TemporaryDirectory() as folder:
    ways = _of_cifar(args.seconds) | _of_jpeg(pathlib.Path(folder), args.seconds)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
      for name, rate in ways.items():
        rates[name].append(rate())
  for name, found in rates.items():
    print(f"{name:<18}{statistics.median(found):>10,.0f} images/s")
  pairs = [(fast, f"step {precision}") for precision in ("float32", "bfloat16") for fast in ("shifts", "strong")]
  for fast, slow in [*pairs, ("jpeg", "jpeg one thread")]:
    ratios = [a / b for a, b in zip(rates[fast], rates[slow], strict=True)]
    print(f"{fast} / {slow}: {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})")


if __name__ == "__main__":
  main()
