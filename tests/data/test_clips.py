"""Clips of a fixed number of frames, and all frames of a video changed alike."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite.data import augment, clips

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("length", "frames", "taken"), [
  (9, 5, [0, 2, 4, 6, 8]), (31, 4, [0, 10, 20, 30]), (3, 5, [0, 0, 1, 2, 2]), (7, 1, [3]), (4, 0, [0, 1, 2, 3]),
])
def test_the_frames_taken_divide_the_video_evenly_and_the_ends_are_among_them(length, frames, taken):
  video = tf.constant(np.arange(length, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8))
  assert clips.clip(video, frames, 0)[:, 0, 0, 0].numpy().tolist() == taken


def test_each_frame_is_resized_by_itself():
  video = RANDOM.integers(256, size=(3, 8, 8, 3), dtype=np.uint8)
  small = clips.clip(tf.constant(video), 0, 4).numpy()
  assert small.shape == (3, 4, 4, 3)
  np.testing.assert_array_equal(small[1], clips.clip(tf.constant(video[1:2]), 0, 4)[0])


def test_a_video_as_an_image_of_many_channels_comes_back_whole():
  videos = RANDOM.integers(256, size=(2, 3, 5, 4, 2), dtype=np.uint8)
  images = clips.as_images(tf.constant(videos))
  assert images.shape == (2, 5, 4, 6)
  np.testing.assert_array_equal(clips.as_videos(images, 3), videos)


def test_all_frames_of_a_video_are_shifted_alike():
  videos = RANDOM.integers(1, 256, size=(4, 3, 6, 6, 1), dtype=np.uint8)
  row, column = tf.constant([0.0, 0.3, 0.6, 0.99]), tf.constant([0.5, 0.1, 0.99, 0.0])
  together = clips.as_videos(augment.pad_crop(clips.as_images(tf.constant(videos)), 2, row, column), 3).numpy()
  for frame in range(3):
    np.testing.assert_array_equal(together[:, frame], augment.pad_crop(tf.constant(videos[:, frame]), 2, row, column))
