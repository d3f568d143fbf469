"""Augmentation against shifts and mirrors worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.augment import augment, flip, pad_crop

NINE = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)


def places(*values):
  return tf.constant(values, tf.float32)


def test_pad_crop_shifts_each_image_by_its_own_draw():
  images = np.concatenate([NINE, NINE])
  # Padding 1 has three places, [0, 1/3) to [2/3, 1): the first image goes down and left, the second up and right.
  cropped = pad_crop(images, 1, places(0.0, 0.99), places(0.99, 0.0)).numpy()
  assert cropped.dtype == np.uint8
  assert cropped[0, ..., 0].tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]
  assert cropped[1, ..., 0].tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]


@pytest.mark.parametrize("padding", [1, 2, 4])
def test_the_middle_place_returns_the_image(padding):
  np.testing.assert_array_equal(pad_crop(NINE, padding, places(0.5), places(0.5)), NINE)


def test_all_channels_move_together():
  image = np.concatenate([NINE, NINE + 10], -1)
  cropped = pad_crop(image, 1, places(0.5), places(0.0)).numpy()
  assert cropped[0, 0].tolist() == [[0, 0], [1, 11], [2, 12]]


def test_flip_mirrors_left_and_right_the_images_whose_coin_is_below_one_half():
  flipped = flip(np.concatenate([NINE, NINE, NINE]), places(0.49, 0.5, 0.0)).numpy()
  mirrored = [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
  assert flipped[..., 0].tolist() == [mirrored, NINE[0, ..., 0].tolist(), mirrored]


@pytest.mark.parametrize(("options", "draws"), [
  ({"pad_crop": 0, "flip": False}, []),
  ({"pad_crop": 1, "flip": False}, [0, 1]),
  ({"pad_crop": 0, "flip": True}, [2]),
  ({"pad_crop": 1, "flip": True}, [0, 1, 2]),
])
def test_row_column_and_coin_are_three_draws_and_none_is_made_for_what_is_off(options, draws):
  asked = []

  def uniform(draw):
    asked.append(draw)
    return places(0.5)  # the middle place, and no flip

  np.testing.assert_array_equal(augment(tf.constant(NINE), ConfigDict(options), uniform), NINE)
  assert asked == draws
