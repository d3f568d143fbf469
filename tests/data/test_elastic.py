"""Elastic deformation against SciPy's interpolation and shifts worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

from dlsuite.data import elastic, randomness

RANDOM = np.random.default_rng(0)


def lines(*starts, size):
  return tf.constant(starts)[:, None] + tf.range(size)


def test_places_beyond_the_border_are_those_of_the_mirror():
  found = elastic.reflected(tf.range(-7, 9, dtype=tf.float32), 4).numpy()
  assert found.tolist() == np.pad(np.arange(4), (7, 5), mode="reflect").tolist()
  np.testing.assert_allclose(elastic.reflected(tf.constant([-0.25, 3.25]), 4), [0.25, 2.75])


def test_without_displacements_a_tile_is_a_crop_of_the_mirrored_image():
  images = RANDOM.integers(256, size=(2, 8, 9, 1), dtype=np.uint8)
  down, right = elastic.places(lines(-3, 2, size=6), lines(4, -2, size=7), (8, 9), None)
  padded = np.pad(images, [(0, 0), (8, 8), (8, 8), (0, 0)], mode="reflect")
  wanted = np.stack([padded[0, 5:11, 12:19], padded[1, 10:16, 6:13]])
  np.testing.assert_array_equal(elastic.nearest(images, down, right), wanted)
  np.testing.assert_array_equal(elastic.bilinear(images, down, right), wanted)


def test_between_pixels_an_image_is_scipys_linear_spline():
  images = RANDOM.random((2, 7, 6, 2), np.float32)
  down, right = RANDOM.uniform(0, 6, (2, 4, 5)).astype("f"), RANDOM.uniform(0, 5, (2, 4, 5)).astype("f")
  found = elastic.bilinear(tf.constant(images), tf.constant(down), tf.constant(right)).numpy()
  for i in range(2):
    for c in range(2):
      wanted = ndimage.map_coordinates(images[i, ..., c], [down[i], right[i]], order=1)
      np.testing.assert_allclose(found[i, ..., c], wanted, atol=1e-5)


def test_equal_displacements_shift_the_whole_image():
  images = RANDOM.integers(256, size=(1, 12, 12, 1), dtype=np.uint8)
  moved = tf.broadcast_to(tf.constant([2.0, -1.0]), [1, 3, 3, 2])
  down, right = elastic.places(lines(3, size=5), lines(4, size=5), (12, 12), moved)
  np.testing.assert_array_equal(elastic.nearest(images, down, right), images[:, 5:10, 3:8])


def test_displacements_are_the_bicubic_enlargement_of_their_grid():
  moved = tf.constant(RANDOM.normal(size=(1, 3, 3, 2)), tf.float32)
  size = (30, 24)
  down, right = elastic.places(lines(0, size=30), lines(0, size=24), size, 0.1 * moved)
  enlarged = 0.1 * tf.image.resize(moved, size, "bicubic").numpy()
  inner = slice(3, -3)  # where no place is mirrored
  wanted = np.mgrid[:30, :24].transpose(1, 2, 0) + enlarged[0]
  np.testing.assert_allclose(down[0, inner, inner], wanted[inner, inner, 0], atol=1e-4)
  np.testing.assert_allclose(right[0, inner, inner], wanted[inner, inner, 1], atol=1e-4)


def test_displacements_are_normal_and_each_examples_own():
  def uniform(draw):
    return randomness.uniform(0, tf.constant(0, tf.int64), tf.range(400, dtype=tf.int64), draw)

  found = elastic.vectors(uniform, 100, 10.0).numpy()
  assert found.shape == (400, 3, 3, 2)
  assert stats.kstest(found.ravel(), "norm", (0, 10)).pvalue > 0.001
  assert np.abs(np.corrcoef(found.reshape(400, 18).T) - np.eye(18)).max() < 5 / 400**0.5


def test_three_coins_lay_a_square_in_eight_ways():
  square = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
  coins = np.array([[[0.2, 0.7][i >> k & 1] for k in range(3)] for i in range(8)], "f")
  found = elastic.turned(tf.constant(np.repeat(square, 8, 0)), tf.constant(coins)).numpy()
  turns = [np.rot90(s, k) for s in (square[0], square[0].T) for k in range(4)]
  assert {f.tobytes() for f in found} == {np.ascontiguousarray(t).tobytes() for t in turns}
  np.testing.assert_array_equal(found[7], square[0])


@pytest.mark.parametrize("size", [3, 16, 512])
def test_the_shares_of_the_grid_in_a_pixel_sum_to_one(size):
  np.testing.assert_allclose(tf.reduce_sum(elastic.bicubic_basis(size), 1), np.ones(size), atol=1e-5)
