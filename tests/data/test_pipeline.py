"""Batches of both caches on the embedded digits, whose 1,797 scans all differ: an image's bytes name its example."""

import collections

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from dlsuite.data import pipeline, sources
from dlsuite.errors import DataError

BATCH, STEPS = 100, 11  # 1197 // 100


@pytest.fixture(scope="module")
def digits():
  return sources.open_builder("optical_digits")


@pytest.fixture(params=["memory", "stream"])
def config(request, digits_config):
  digits_config.data.cache = request.param
  digits_config.data.resize = 0
  digits_config.data.batch_size = BATCH
  return digits_config


def with_draw(batch, uniform):
  """Augments by writing an example's random number beside it."""
  return batch | {"draw": uniform(0)}


def train(digits, config, strategy, first, count):
  """Returns `count` batches from step `first` on."""
  split = pipeline.Split.open(digits, config, "train")
  batches = pipeline.train_batches(split, config, strategy, first, with_draw)
  return [{word: value.numpy() for word, value in next(batches).items()} for _ in range(count)]


def names(batches):
  return [image.tobytes() for batch in batches for image in batch["image"]]


def test_an_epoch_visits_each_example_at_most_once_and_another_epoch_goes_another_way(digits, config, strategy):
  batches = train(digits, config, strategy, 0, 2 * STEPS)
  known = {example["image"].tobytes() for example in tfds.as_numpy(digits.as_dataset(split="train"))}
  assert len(known) == 1197
  epochs = [names(batches[:STEPS]), names(batches[STEPS:])]
  for epoch in epochs:
    assert len(epoch) == len(set(epoch)) == STEPS * BATCH
    assert set(epoch) <= known
  assert set(epochs[0]) != set(epochs[1])  # the examples that are left over differ
  assert sum(a == b for a, b in zip(*epochs, strict=True)) < 20  # by chance one


def test_another_seed_has_another_order(digits, config, strategy):
  first = names(train(digits, config, strategy, 0, 1))
  config.seed = 1
  assert len(set(first) & set(names(train(digits, config, strategy, 0, 1)))) < 40  # by chance 8 of 100


@pytest.mark.parametrize("start", [7, STEPS, STEPS + 4])
def test_batches_from_a_step_on_are_those_of_the_whole_run_also_across_an_epochs_end(digits, config, strategy, start):
  whole = train(digits, config, strategy, 0, 2 * STEPS + 2)
  for ours, theirs in zip(train(digits, config, strategy, start, len(whole) - start), whole[start:], strict=True):
    assert ours.keys() == theirs.keys() == {"image", "label", "draw"}
    for word, value in ours.items():
      np.testing.assert_array_equal(value, theirs[word], word)


def test_images_stay_bytes_and_labels_stay_with_their_images(digits, config, strategy):
  (batch,) = train(digits, config, strategy, 3, 1)
  assert (batch["image"].dtype, batch["image"].shape) == (np.uint8, (BATCH, 8, 8, 1))
  scans = load_digits()
  pixels = np.round(scans.images * 255 / 16).reshape(-1, 64)
  distances = ((batch["image"].reshape(BATCH, 1, 64) - pixels) ** 2).sum(-1)
  assert distances.min(1).max() == 0
  np.testing.assert_array_equal(scans.target[distances.argmin(1)], batch["label"])


@pytest.mark.parametrize("size", [1, 7, 64, 200, 300])
def test_evaluation_visits_each_example_once_in_order_pass_after_pass(digits, config, strategy, size):
  evaluation = pipeline.evaluation_batches(pipeline.Split.open(digits, config, "valid"), size, strategy)
  read = tfds.ReadConfig(interleave_cycle_length=1)
  order = [example["image"].tobytes() for example in tfds.as_numpy(digits.as_dataset(split="valid", read_config=read))]
  assert (evaluation.steps, evaluation.size) == (-(-200 // size), 200)
  for _ in range(2):
    batches = [{word: value.numpy() for word, value in next(evaluation.batches).items()} for _ in range(evaluation.steps)]
    assert {len(batch["image"]) for batch in batches} == {size}
    masks = np.concatenate([batch["mask"] for batch in batches])
    assert masks.tolist() == [1.0] * 200 + [0.0] * (evaluation.steps * size - 200)
    assert names(batches)[:200] == order


def test_a_batch_larger_than_the_training_split_is_refused(digits, config, strategy):
  config.data.batch_size = 1198
  with pytest.raises(DataError, match=r"data\.batch_size=1198 is larger than data\.train='train' \(1197 examples\)"):
    train(digits, config, strategy, 0, 1)


def test_images_are_resized_to_the_pixels_asked_for_as_bytes(digits, config, strategy):
  config.data.resize = 32
  (batch,) = train(digits, config, strategy, 0, 1)
  assert (batch["image"].dtype, batch["image"].shape) == (np.uint8, (BATCH, 32, 32, 1))
  config.data.resize = 0
  (small,) = train(digits, config, strategy, 0, 1)
  means = batch["image"].mean((1, 2, 3)), small["image"].mean((1, 2, 3))
  np.testing.assert_allclose(*means, atol=5)  # resizing keeps the ink


def test_the_three_splits_are_scikit_learns_digits_each_once_with_its_label(digits):
  ours = collections.Counter(
    (example["image"].tobytes(), int(example["label"]))
    for split in ("train", "valid", "test") for example in tfds.as_numpy(digits.as_dataset(split=split)))
  scans = load_digits()
  pixels = np.round(scans.images * 255 / 16).astype(np.uint8)
  assert ours == collections.Counter((image.tobytes(), int(label)) for image, label in zip(pixels, scans.target, strict=True))
  assert {name: split.num_examples for name, split in digits.info.splits.items()} == {"train": 1197, "valid": 200, "test": 400}


def test_percentages_that_overlap_are_found_with_the_number_of_shared_examples(digits):
  # 60% of 1197 is 718.2 and 50% is 598.5, which tfds rounds to 718 and 598 (halves to even).
  with pytest.raises(DataError, match=r"data\.train='train\[:60%\]' and data\.valid='train\[50%:\]' share 120 examples"):
    sources.check_disjoint(digits, {"train": "train[:60%]", "valid": "train[50%:]", "test": "test"})
