"""Activation maximisation on a linear classifier, whose answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlsuite.probes.preferred import preferred_inputs


@pytest.fixture(scope="module")
def linear():
  model = keras.Sequential([keras.Input((3, 4, 1)), layers.Flatten(), layers.Dense(2, name="output")])
  kernel = np.random.default_rng(0).uniform(-1, 1, (12, 2)).astype(np.float32)
  model.get_layer("output").set_weights([kernel, np.zeros(2, np.float32)])
  return model, kernel.T.reshape(2, 3, 4, 1)


def test_the_input_that_a_linear_class_likes_best_is_its_weights_over_twice_the_penalty(linear):
  model, weights = linear
  found = preferred_inputs(model, np.array([0, 1]), penalty=0.5, steps=300, rate=0.05)
  np.testing.assert_allclose(found, weights, atol=5e-3)


def test_it_is_found_also_where_averaged_weights_stand_in_for_the_networks_own(linear):
  model, weights = linear
  with keras.StatelessScope([(model.get_layer("output").kernel, tf.constant(2 * weights.reshape(2, 12).T))]):
    found = preferred_inputs(model, np.array([0, 1]), penalty=0.5, steps=300, rate=0.05)
  np.testing.assert_allclose(found, 2 * weights, atol=1e-2)


def test_it_is_the_same_picture_whatever_the_units_of_the_pixels(linear):
  model, _ = linear
  classes, penalty = np.array([0, 1]), 0.5
  expected = preferred_inputs(model, classes, -0.5, 0.5, penalty, steps=100)
  grey_levels = keras.Sequential([keras.Input((3, 4, 1)), layers.Rescaling(1 / 255), model])
  found = preferred_inputs(grey_levels, classes, -0.5 * 255, 0.5 * 255, penalty, steps=100, unit=255.0)
  assert np.abs(expected).max() == 0.5
  np.testing.assert_allclose(found / 255, expected, atol=1e-4)


def test_it_stays_within_the_range_of_the_pixels(linear):
  model, weights = linear
  found = preferred_inputs(model, np.array([1]), low=-0.25, high=0.5, penalty=0.0, steps=30)
  np.testing.assert_allclose(found[0], np.where(weights[1] > 0, 0.5, -0.25))
