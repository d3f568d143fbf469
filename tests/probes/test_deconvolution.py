"""Deconvolution on networks whose single filter is known."""

import keras
import numpy as np
import pytest
from keras import layers

from dlsuite.models.vision import cifar_resnet
from dlsuite.probes.deconvolution import deconvnet, deconvolve

RANDOM = np.random.default_rng(0)
FILTER = RANDOM.normal(size=(3, 3)).astype(np.float32)
TOP, LEFT = 5, 2


def single(pooled):
  inputs = keras.Input((12, 12, 1))
  x = layers.Conv2D(1, 3, activation="relu", use_bias=False, name="maps")(inputs)
  x = layers.MaxPool2D(2, name="pool")(x) if pooled else x
  model = keras.Model(inputs, layers.Dense(2, name="output")(layers.Flatten()(x)))
  model.get_layer("maps").set_weights([FILTER[:, :, None, None]])
  return model


@pytest.mark.parametrize("layer", ["maps", "pool"])
def test_the_pattern_of_a_single_filter_is_the_filter_where_the_image_holds_it(layer):
  image = np.zeros((1, 12, 12, 1), np.float32)
  image[0, TOP:TOP + 3, LEFT:LEFT + 3, 0] = FILTER
  pattern = deconvolve(deconvnet(single(pooled=True)), layer, image, np.array([0]))[0, ..., 0]
  answer = np.square(FILTER).sum()  # of the filter to itself
  np.testing.assert_allclose(pattern[TOP:TOP + 3, LEFT:LEFT + 3], answer * FILTER, rtol=1e-5)
  pattern[TOP:TOP + 3, LEFT:LEFT + 3] = 0
  assert not pattern.any()


def test_the_network_itself_computes_what_it_did():
  keras.utils.set_random_seed(0)
  model = cifar_resnet.build((8, 8, 3), 10, depth=8, width=2)
  images = RANDOM.normal(size=(2, 8, 8, 3)).astype(np.float32)
  np.testing.assert_allclose(deconvnet(model)(images), model(images), atol=1e-5)


def test_what_comes_down_is_rectified_though_the_unit_was_on():
  """A second filter of -1 would send a negative value down through the ReLU of the first, which is cut."""
  inputs = keras.Input((2, 2, 1))
  x = layers.Conv2D(1, 1, activation="relu", use_bias=False, name="first")(inputs)
  x = layers.Conv2D(1, 1, name="second")(x)
  model = keras.Model(inputs, layers.Dense(2, name="output")(layers.Flatten()(x)))
  model.get_layer("first").set_weights([np.ones((1, 1, 1, 1), np.float32)])
  model.get_layer("second").set_weights([-np.ones((1, 1, 1, 1), np.float32), np.full(1, 9, np.float32)])
  assert not deconvolve(deconvnet(model), "second", np.ones((1, 2, 2, 1), np.float32), np.array([0])).any()
