"""Augmentation against shifts and mirrors worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.data.augment import augment, cutout, flip, pad_crop

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


def options(**changes):
  found = config_lib.defaults("fixture", task="classification").data.augment
  found.update(changes)
  return found


@pytest.mark.parametrize(("changes", "draws"), [
  ({}, []),
  ({"pad_crop": 1}, [0, 1]),
  ({"flip": True}, [2]),
  ({"pad_crop": 1, "flip": True}, [0, 1, 2]),
  ({"brightness": 0.5, "saturation": 0.5}, [5, 7]),
])
def test_each_use_has_draws_of_its_own_and_none_is_made_for_what_is_off(changes, draws):
  asked = []

  def uniform(draw):
    asked.append(draw)
    return places(0.5)  # the middle place, no flip, and a factor of 1

  np.testing.assert_array_equal(augment(tf.constant(NINE), options(**changes), uniform), NINE)
  assert asked == draws


def test_no_two_augmentations_share_a_random_number():
  asked = []

  def uniform(draw):
    asked.append(draw)
    return places(0.3)

  everything = {"pad_crop": 1, "flip": True, "cutout": 1, "rand_layers": 3, "brightness": 0.5, "contrast": 0.5,
                "saturation": 0.5, "lighting": 0.1}
  augment(tf.constant(NINE.repeat(3, -1)), options(**everything), uniform)
  assert len(asked) == len(set(asked)) == 3 + 2 + 6 + 3 + 6
  assert not set(asked) & set(range(16, 21))  # of the mixing
  assert not set(asked) & set(range(32, 72))  # of the crops


def test_cutout_covers_a_square_round_the_drawn_pixel_and_what_of_it_lies_in_the_image():
  # Of three rows the places 0.0, 0.5 and 0.9 are those of centre 0, 1 and 2; a square of 2 begins one pixel before it.
  images = np.concatenate([NINE, NINE, NINE])
  fill = tf.constant([100], tf.uint8)
  covered = cutout(tf.constant(images), 2, fill, places(0.0, 0.5, 0.9), places(0.0, 0.5, 0.4)).numpy()[..., 0]
  assert covered[0].tolist() == [[100, 2, 3], [4, 5, 6], [7, 8, 9]]
  assert covered[1].tolist() == [[100, 100, 3], [100, 100, 6], [7, 8, 9]]
  assert covered[2].tolist() == [[1, 2, 3], [100, 100, 6], [100, 100, 9]]


def test_the_cover_has_the_colour_of_the_mean():
  covered = augment(tf.constant(NINE.repeat(3, -1)), options(cutout=3), lambda _: places(0.5), (0.2, 0.4, 0.6)).numpy()
  assert covered.reshape(-1, 3).tolist() == [[51, 102, 153]] * 9
