"""The simulated videos: one frame tells nothing of the direction, two tell it."""

import itertools

import numpy as np
import pytest

from dlsuite.data.builders.moving_digits.moving_digits_dataset_builder import SIDE, SPLITS, WAYS, Builder, video
from dlsuite.data.clips import is_video

DIGIT = np.arange(1, 65, dtype=np.uint8).reshape(8, 8)


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
  made = Builder(data_dir=tmp_path_factory.mktemp("moving_digits"))
  made.download_and_prepare()
  return made


def test_every_frame_is_the_frame_before_moved_on_a_closed_canvas():
  for way, (down, right) in enumerate(WAYS.values()):
    frames = video(DIGIT, way, 3, 20, 22)[..., 0]
    assert frames.shape == (8, 24, 24)
    for before, after in itertools.pairwise(frames):
      np.testing.assert_array_equal(after, np.roll(before, (3 * down, 3 * right), (0, 1)))


def test_a_frame_is_equally_likely_in_every_direction():
  """Over all starts the frames of one place in time are the same set whatever the direction and the speed."""
  sets = []
  for way, speed in ((0, 1), (0, 3), (3, 2), (6, 3)):
    frames = [video(DIGIT, way, speed, row, column)[5].tobytes() for row in range(SIDE) for column in range(SIDE)]
    sets.append(set(frames))
    assert len(sets[-1]) == SIDE * SIDE
  assert sets[0] == sets[1] == sets[2] == sets[3]


def test_rows_count_downwards_so_that_north_moves_up():
  top = [int(np.flatnonzero(frame[..., 0].any(1)).min()) for frame in video(DIGIT, list(WAYS).index("north"), 2, 15, 0)]
  assert top == [15, 13, 11, 9, 7, 5, 3, 1]


def test_the_splits_share_no_scan_and_have_each_way_about_equally_often(builder):
  ink = {}
  for split, count in SPLITS.items():
    part = list(builder.as_dataset(split=f"{split}[:200]").as_numpy_iterator())
    ink[split] = {tuple(sorted(example["video"][0].ravel()[example["video"][0].ravel() > 0])) for example in part}
    assert builder.info.splits[split].num_examples == count
    ways = np.bincount([example["label"] for example in part], minlength=8)
    assert ways.min() >= 10  # of 200, each a binomial number of mean 25 and deviation 4.7
  assert not (ink["train"] & ink["test"] or ink["train"] & ink["valid"] or ink["valid"] & ink["test"])
  assert is_video(builder.info.features["video"])


def test_the_videos_of_a_seed_are_always_the_same(builder):
  images, targets = np.stack([DIGIT, DIGIT.T]), np.array([3, 4])
  first, again, other = (list(builder._generate_examples(images, targets, 5, seed)) for seed in (1, 1, 2))
  for (_, one), (_, two) in zip(first, again, strict=True):
    np.testing.assert_array_equal(one["video"], two["video"])
    assert (one["label"], one["digit"]) == (two["label"], two["digit"])
  assert any((a["video"] != b["video"]).any() for (_, a), (_, b) in zip(first, other, strict=True))
