"""Evidence for a class, on networks whose evidence is known pixels, and against finite differences."""

import keras
import numpy as np
import pytest
from keras import layers

from dlsuite.probes import evidence
from dlsuite.probes.network import logits

RANDOM = np.random.default_rng(0)
TOP, LEFT, SIDE = 6, 3, 3  # the block of pixels that decides
BLOCK = (0, slice(TOP, TOP + SIDE), slice(LEFT, LEFT + SIDE))


@pytest.fixture(scope="module")
def counter():
  """Class 0 gets the mean of the bright pixels, class 1 of the dark ones: a 1x1 convolution, their mean over the image."""
  inputs = keras.Input((12, 12, 1))
  x = layers.Conv2D(2, 1, activation="relu", name="signs")(inputs)
  model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="output")(layers.GlobalAveragePooling2D()(x)))
  model.get_layer("signs").set_weights([np.array([[[[1.0, -1.0]]]], np.float32), np.zeros(2, np.float32)])
  model.get_layer("output").set_weights([np.eye(2, dtype=np.float32)])
  return model


@pytest.fixture
def block():
  image = np.zeros((1, 12, 12, 1), np.float32)
  image[BLOCK] = 2.0
  return image


def test_grad_cam_points_at_the_pixels_that_decide_and_at_no_other(counter, block):
  heat = evidence.grad_cam(counter, block, np.array([0]))
  expected = np.zeros((1, 12, 12))
  expected[BLOCK] = 2.0 / 144  # a map of twos there, times the mean slope of a mean over 144 places
  np.testing.assert_allclose(heat, expected, atol=1e-7)


def test_grad_cam_shows_nothing_where_all_speaks_against_the_class(counter, block):
  counter.get_layer("output").set_weights([np.float32([[1, -1], [-1, 1]])])
  assert not evidence.grad_cam(counter, block, np.array([1])).any()
  counter.get_layer("output").set_weights([np.eye(2, dtype=np.float32)])


def test_grad_cam_needs_a_layer_with_maps():
  model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
  with pytest.raises(ValueError, match="no layer with feature maps"):
    evidence.grad_cam(model, np.zeros((1, 4, 4, 1)), np.array([0]))


def test_hiding_the_pixels_that_decide_costs_what_they_gave_and_hiding_others_nothing(counter, block):
  heat = evidence.occlusion(counter, block, np.array([0]), size=3, stride=3)
  expected = np.zeros((1, 12, 12))
  expected[BLOCK] = 9 * 2.0 / 144  # with two classes the log odds are the difference of the logits
  np.testing.assert_allclose(heat, expected, atol=1e-6)
  np.testing.assert_allclose(evidence.occlusion(counter, block, np.array([1]), size=3, stride=3), -expected, atol=1e-6)


def test_squares_that_do_not_divide_the_image_end_at_its_border(counter):
  full = np.ones((1, 12, 12, 1), np.float32)
  np.testing.assert_allclose(evidence.occlusion(counter, full, np.array([0]), size=5, stride=4), 25 / 144, atol=1e-6)


def test_saliency_is_the_slope_that_finite_differences_find():
  keras.utils.set_random_seed(1)
  model = keras.Sequential([keras.Input((6, 5, 2)), layers.Conv2D(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(4)])
  image, step = RANDOM.normal(size=(1, 6, 5, 2)).astype(np.float32), np.float32(0.02)
  moved = step * np.eye(60, dtype=np.float32).reshape(60, 6, 5, 2)
  slopes = (logits(model, image + moved) - logits(model, image - moved))[:, 3] / (2 * step)
  expected = np.abs(slopes.reshape(6, 5, 2)).max(-1)
  np.testing.assert_allclose(evidence.saliency(model, image, np.array([3]))[0], expected, atol=2e-3)
  assert expected.max() > 0.1


def test_without_the_pixels_that_decide_two_classes_are_equally_likely(counter, block):
  heats = np.zeros((1, 12, 12))
  heats[BLOCK] = 1.0
  bright = 400 * block
  assert evidence.without_top_pixels(counter, bright, np.array([0]), heats, share=9 / 144) == pytest.approx(0.5)
  assert evidence.without_top_pixels(counter, bright, np.array([0]), -heats, share=9 / 144) == pytest.approx(1.0)
