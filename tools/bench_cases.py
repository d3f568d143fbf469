"""The networks that the benchmarks time, on data made in memory, and the real loop and task around them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish

Timed = Callable[[int], None]  # makes that many steps and waits until they are done


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
CASES = {
  "lenet5": Case((28, 28, 1), {"name": "vision.lenet5", "dropout": 0.4}, {"name": "adam", "learning_rate": 1e-3}),
  "mlp": Case((28, 28, 1), {"name": "mlp", "width": 1024, "depth": 3, "dropout": 0.5}, {"name": "adam", "learning_rate": 1e-3}),
  "resnet20": Case((32, 32, 3), {"name": "vision.cifar_resnet", "depth": 20}, _SGD | {"learning_rate": 0.1}),
  "densenet_bc": Case((32, 32, 3), {"name": "vision.cifar_densenet", "depth": 40, "growth": 12}, _SGD, batch=64),
  "resnet50_224": Case((224, 224, 3), {"name": "vision.resnet", "depth": 50}, _SGD, batch=16, classes=1000, batches=4),
  "vgg16_224": Case((224, 224, 3), {"name": "vision.vgg", "depth": 16}, _SGD, batch=8, classes=1000, batches=4),
  "unet": Case((256, 256, 1), {"name": "vision.unet", "base": 32, "padding": "same"},
               {"name": "adam", "learning_rate": 1e-3}, batch=4, classes=2, batches=4, task="segmentation"),
}


def config_of(case: str, precision: str) -> ConfigDict:
  """Returns how a case is trained: without regularisation and augmentation."""
  channels, batch = CASES[case].shape[-1], CASES[case].batch
  c = defaults(f"bench_{case}", task=CASES[case].task)
  c.data.name, c.data.valid, c.data.batch_size, c.data.cache = "synthetic", "", batch, "memory"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = (0.5,) * channels, (0.29,) * channels
  c.train.precision, c.train.epochs, c.checkpoint.select = precision, 1.0, "last"
  c.model.update(CASES[case].model)
  c.optimizer.update(CASES[case].optimizer)
  return finish(c)


def noise(case: str) -> dict[str, Any]:
  """Returns noise in the shape of the case's images: image uint8 [N, H, W, C], label int64 [N] or uint8 [N, H, W, 1]."""
  import numpy as np

  random = np.random.default_rng(0)
  examples = CASES[case].batch * CASES[case].batches
  images = random.integers(0, 256, (examples, *CASES[case].shape), np.uint8)
  if CASES[case].task == "segmentation":
    return {"image": images, "label": random.integers(0, CASES[case].classes, (*images.shape[:-1], 1), np.uint8)}
  return {"image": images, "label": random.integers(0, CASES[case].classes, examples)}


def task_of(case: str, config: ConfigDict, strategy: Any) -> Any:
  """Returns the real task of a case on made-up data, not yet built."""
  import numpy as np

  from dlsuite.data.pipeline import Split
  from dlsuite.tasks.classification import Classification
  from dlsuite.tasks.segmentation import Segmentation

  class Memory(Split):
    """A split that needs no tfds builder."""

    def arrays(self, most: int = -1) -> dict[str, np.ndarray]:
      return {word: values[:most] if most >= 0 else values for word, values in noise(case).items()}

  kind: Any = Segmentation if CASES[case].task == "segmentation" else Classification

  class Synthetic(kind):
    """The real task on made-up data."""

    num_classes, input_shape = CASES[case].classes, CASES[case].shape

    def open(self, prepare: bool = True) -> None:
      pass

    @functools.cached_property
    def _train_split(self) -> Split:
      return Memory(None, "train", CASES[case].batch * CASES[case].batches, dict(config.data.features), 0, True)

  return Synthetic(config, strategy)


def loop_of(task: Any, strategy: Any) -> Timed:
  """Builds a task and returns the training loop's own call, on batches of the task's input pipeline."""
  import tensorflow as tf

  from dlsuite.training import steps

  task.build(total_steps=1_000_000, warmup_steps=0)
  run_steps, batches = steps.train_steps(task, strategy), task.train_batches(0)
  done = 0

  def run(count: int) -> None:
    nonlocal done
    sums = tf.zeros([len(task.metrics)])
    run_steps(batches, tf.constant(done, tf.int64), tf.constant(count, tf.int64), sums, tf.constant(0.0))[0].numpy()
    done += count

  return run


def bare_of(task: Any, config: ConfigDict) -> Timed:
  """Returns a compiled step of a task's network on a constant batch: preprocessing, forward, backward, our optimizer."""
  import tensorflow as tf

  from dlsuite.tasks.images import standardized
  from dlsuite.training import optimizers

  network = task.build_networks()[task.network]
  variables = network.trainable_variables
  optimizer = optimizers.build(config.optimizer, variables, 1_000_000, 0)
  batch = {word: values[:config.data.batch_size] for word, values in noise(config.name.removeprefix("bench_")).items()}
  images, labels = tf.constant(batch["image"]), tf.constant(batch["label"].astype("int64"))

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
