"""The memory that a run holds does not grow with its epochs."""

import gc
import pathlib
import resource

import pytest

from dlsuite.tasks.classification import Classification

PAGES = resource.getpagesize()
# TensorFlow's allocator keeps some of what was freed. Were the batches after the second look all kept, their images alone would
# be 16 epochs x 37 x 32 KB = 19 MB.
ALLOWED = 8 * 2**20


def resident() -> int:
  gc.collect()
  return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGES


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="reads Linux's own count of memory")
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
