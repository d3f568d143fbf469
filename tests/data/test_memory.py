"""The memory that a run holds does not grow with its epochs."""

import gc
import pathlib
import resource

import keras
import pytest

from dlsuite import config as config_lib
from dlsuite import modes
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record
from dlsuite.tasks.classification import Classification

PAGES = resource.getpagesize()
# TensorFlow's allocator keeps some of what was freed. Were the batches after the second look all kept, their images alone would
# be 16 epochs x 37 x 32 KB = 19 MB.
ALLOWED = 8 * 2**20


def resident() -> int:
  gc.collect()
  return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGES


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(),
                                                   reason="reads Linux's own count of memory")]


class Sizes(keras.callbacks.Callback):
  """Notes the memory at the end of each epoch."""

  def __init__(self):
    super().__init__()
    self.found = []

  def on_epoch_end(self, epoch, logs=None):
    self.found.append(resident())


def test_memory_is_flat_over_the_epochs_of_a_whole_run(digits_config, strategy, tmp_path):
  """Evaluations, checkpoints, curves of TensorBoard and all: 40 epochs, of which those before the tenth fill caches."""
  config_lib.set_duration(digits_config, "train", "train.epochs", 40.0)
  config_lib.set_duration(digits_config, "evaluate", "evaluate.every_epochs", 1.0)
  digits_config.callbacks.update(tensorboard=True, csv=True)
  sizes, record = Sizes(), Record(str(tmp_path / "run"), digits_config)
  record.check()
  modes.train(digits_config, strategy, record, Console(False), [sizes])
  assert len(sizes.found) == 40
  assert max(sizes.found[30:]) - max(sizes.found[:10]) < ALLOWED, [size // 2**20 for size in sizes.found]


@pytest.mark.parametrize("cache", ["memory", "stream"])
def test_memory_is_flat_over_epochs_of_batches_with_every_augmentation(digits_config, strategy, cache):
  digits_config.data.update(batch_size=32, cache=cache)
  digits_config.data.augment.update(pad_crop=2, flip=True, cutout=4, rand_layers=2, brightness=0.4, cutmix=1.0, mixup=0.4)
  task = Classification(digits_config, strategy)
  task.open()
  batches, sizes = task.train_batches(0), []
  for _ in range(6):
    for _ in range(4 * task.steps_per_epoch):  # of 32 images of 1 KB, 37 an epoch
      next(batches)
    sizes.append(resident())
  assert max(sizes[3:]) - sizes[1] < ALLOWED, [size // 2**20 for size in sizes]
