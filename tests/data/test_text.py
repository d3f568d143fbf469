"""A text as windows: what an evaluation covers, what stands beside each byte, where a row goes on."""

import types

import numpy as np
import pytest

from dlsuite.data.text import Windows, evaluation_windows, train_windows
from dlsuite.errors import DataError

FIRST = 10_000  # the code before the text
SEED = 3


def text(size):
  """A text in which every place has another code."""
  return np.arange(size, dtype=np.int32)


def strategy(replicas=1):
  """What the windows ask of a strategy: replicas of one process on the CPU, whose batches come stacked."""
  return types.SimpleNamespace(replicas=replicas, local_replicas=replicas, workers=1, worker_index=0, device="cpu")


def batches(iterator, count, replicas=1):
  """Returns the first batches, the replicas' rows one after another."""
  found = [{word: value.numpy() for word, value in next(iterator).items()} for _ in range(count)]
  return found if replicas == 1 else [{word: np.concatenate(value) for word, value in batch.items()} for batch in found]


@pytest.mark.parametrize("size", [1, 29, 60])
@pytest.mark.parametrize(("rows", "window"), [(1, 7), (4, 5), (3, 100), (30, 2)])
@pytest.mark.parametrize("replicas", [1, 2])
def test_an_evaluation_reads_every_byte_once_after_the_byte_before_it(size, rows, window, replicas):
  evaluation = evaluation_windows(Windows(text(size), FIRST, rows, window), strategy(replicas))
  for _ in range(2):  # and so does the next pass
    found = batches(evaluation.batches, evaluation.steps, replicas)
    real = np.concatenate([batch["mask"].ravel() for batch in found]) > 0
    position, inputs, targets = (np.concatenate([batch[word].ravel() for batch in found])[real]
                                 for word in ("position", "inputs", "targets"))
    assert sorted(position) == list(range(size))
    np.testing.assert_array_equal(targets, position)
    np.testing.assert_array_equal(inputs, np.where(position == 0, FIRST, position - 1))
  assert (evaluation.size, evaluation.unit) == (size, "bytes")


def test_rows_of_an_evaluation_begin_anew_at_the_first_window_of_each_pass_alone():
  evaluation = evaluation_windows(Windows(text(60), FIRST, 4, 5), strategy())
  starts = [batch["start"].tolist() for batch in batches(evaluation.batches, 2 * evaluation.steps)]
  assert starts == 2 * [[1.0] * 4, [0.0] * 4, [0.0] * 4]  # 60 bytes in 4 rows of 15, three windows of 5


def test_rows_of_training_go_on_from_window_to_window_and_begin_anew_with_an_epoch():
  windows = Windows(text(64), FIRST, 4, 5)  # rows of 16 bytes: three windows and one byte to spare
  assert windows.steps_per_epoch == 3
  found = batches(train_windows(windows, SEED, strategy(), 0), 12)
  assert [batch["start"].tolist() for batch in found] == 4 * [[1.0] * 4, [0.0] * 4, [0.0] * 4]
  for epoch in range(4):
    rows = np.concatenate([batch["targets"] for batch in found[3 * epoch:3 * epoch + 3]], 1)
    offset = rows[0, 0]
    assert offset in (0, 1)
    np.testing.assert_array_equal(rows, 16 * np.arange(4)[:, None] + offset + np.arange(15))


def test_the_targets_of_training_are_the_bytes_after_the_inputs():
  for batch in batches(train_windows(Windows(text(100), FIRST, 3, 6), SEED, strategy(), 0), 20):
    np.testing.assert_array_equal(batch["inputs"], np.where(batch["targets"] == 0, FIRST, batch["targets"] - 1))


def test_no_byte_is_left_out_of_every_epoch():
  windows = Windows(text(52), FIRST, 4, 5)  # rows of 13 bytes: two windows and three bytes to spare
  found = batches(train_windows(windows, SEED, strategy(), 0), 80)
  assert set(np.concatenate([batch["targets"].ravel() for batch in found])) == set(range(52))


def test_a_run_that_starts_in_the_middle_of_an_epoch_reads_what_it_would_have_read():
  windows = Windows(text(64), FIRST, 4, 5)
  whole, rest = (batches(train_windows(windows, SEED, strategy(), start), 12 - start) for start in (0, 5))
  for ours, theirs in zip(rest, whole[5:], strict=True):
    for word, value in ours.items():
      np.testing.assert_array_equal(value, theirs[word])


def test_replicas_share_the_rows_of_the_global_batch():
  windows = Windows(text(64), FIRST, 4, 5)
  one, two = (batches(train_windows(windows, SEED, strategy(replicas), 0), 6, replicas) for replicas in (1, 2))
  for ours, theirs in zip(two, one, strict=True):
    for word, value in ours.items():
      np.testing.assert_array_equal(value, theirs[word])


def test_a_text_shorter_than_a_window_of_each_row_is_refused():
  with pytest.raises(DataError, match=r"data\.batch_size=4 x data\.window=5 is more than the training text's 19 bytes"):
    _ = Windows(text(19), FIRST, 4, 5).steps_per_epoch
