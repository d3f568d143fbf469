"""Which layers are looked at, on networks whose layers are known."""

import keras
import numpy as np
import pytest
from keras import layers

from dlsuite.models.vision import cifar_resnet, lenet5
from dlsuite.probes import network as probes

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def lenet():
  return lenet5.build((28, 28, 1), 10, dropout=0.4)


def test_the_maps_of_lenet_are_those_of_its_papers_figure(lenet):
  assert [layer.name for layer in probes.map_layers(lenet)] == ["c1", "s2", "c3", "s4"]


def test_of_a_convolution_with_norm_and_relu_only_the_relu_is_shown():
  names = [layer.name for layer in probes.map_layers(cifar_resnet.build((8, 8, 3), 10, depth=8, width=2))]
  assert names[:3] == ["stem_relu", "stage1_block1_a_relu", "stage1_block1_relu"]
  assert not [name for name in names if name.endswith(("_bn", "_pad", "_a", "pool"))]


def test_the_features_are_what_the_last_layer_multiplies(lenet):
  images = RANDOM.normal(size=(3, 28, 28, 1)).astype(np.float32)
  kernel, bias = (np.asarray(weight) for weight in lenet.get_layer("output").get_weights())
  np.testing.assert_allclose(probes.features(lenet, images) @ kernel + bias, probes.logits(lenet, images), atol=1e-4)
  assert probes.features(lenet, images).shape == (3, 84)


def test_many_images_give_the_same_as_each_alone():
  model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
  images = RANDOM.normal(size=(130, 4, 4, 1)).astype(np.float32)  # more than go through at a time
  alone = np.concatenate([probes.logits(model, image[np.newaxis]) for image in images[126:]])
  np.testing.assert_allclose(probes.logits(model, images)[126:], alone, atol=1e-6)
