"""What is looked at: the network without its auxiliary heads, and which images."""

import types

import keras
import numpy as np
from keras import layers

from dlsuite.probes import drawing
from dlsuite.probes.network import logits, map_layers


def test_of_a_network_with_auxiliary_heads_only_the_main_one_is_looked_at():
  inputs = keras.Input((8, 8, 1))
  x = layers.Conv2D(2, 3, activation="relu", name="body")(inputs)
  aside = layers.Dense(3, name="aside_output")(layers.Flatten(name="aside")(layers.Conv2D(2, 3, name="aside_maps")(x)))
  main = layers.Dense(3, name="output")(layers.Flatten(name="flatten")(x))
  network = keras.Model(inputs, {"auxiliary": aside, "logits": main})
  found = drawing.classifier(types.SimpleNamespace(networks={"classifier": network}))
  images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
  np.testing.assert_allclose(logits(found, images), network(images)["logits"], atol=1e-6)
  assert [layer.name for layer in map_layers(found)] == ["body"]


def test_the_images_chosen_are_the_first_right_one_of_each_class_and_the_surest_mistake():
  found = {"label": np.array([1, 0, 1, 2, 0, 2]), "predicted": np.array([1, 2, 1, 2, 0, 0]),
           "probabilities": np.array([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0], [0.6, 0.2, 0.2],
                                      [0.9, 0.1, 0.0]])}
  assert drawing.chosen(found).tolist() == [4, 0, 3, 5]
  assert drawing.chosen(found, 3).tolist() == [4, 0, 5]
