"""What is looked at: the network without its auxiliary heads, and which images."""

import keras
import numpy as np
from keras import layers

from dlsuite.models.vision import lenet5
from dlsuite.probes import drawing
from dlsuite.probes.network import logits, map_layers
from dlsuite.tasks.classification import Classification


def with_head(input_shape, num_outputs):
  x = inputs = keras.Input(input_shape)
  x = layers.Conv2D(2, 3, activation="relu", name="body")(x)
  aside = layers.Flatten(name="aside")(layers.Conv2D(2, 3, name="aside_maps")(x))
  heads = {"auxiliary": layers.Dense(num_outputs, name="aside_output")(aside),
           "logits": layers.Dense(num_outputs, name="output")(layers.Flatten(name="flatten")(x))}
  return keras.Model(inputs, heads)


def test_of_a_network_with_auxiliary_heads_only_the_main_one_is_looked_at(digits_config, strategy, monkeypatch):
  monkeypatch.setattr(lenet5, "build", lambda input_shape, num_outputs, **_: with_head(input_shape, num_outputs))
  digits_config.loss.auxiliary = 0.3
  task = Classification(digits_config, strategy)
  task.open()
  task.build(1, 0)
  images = np.random.default_rng(0).normal(size=(2, *task.input_shape)).astype(np.float32)
  np.testing.assert_allclose(logits(task.main_network, images), task.networks["classifier"](images)["logits"], atol=1e-6)
  assert [layer.name for layer in map_layers(task.main_network)] == ["body"]


def test_the_images_chosen_are_the_first_right_one_of_each_class_and_the_surest_mistake():
  found = {"label": np.array([1, 0, 1, 2, 0, 2]), "predicted": np.array([1, 2, 1, 2, 0, 0]),
           "probabilities": np.array([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0], [0.6, 0.2, 0.2],
                                      [0.9, 0.1, 0.0]])}
  assert drawing.chosen(found).tolist() == [4, 0, 3, 5]
  assert drawing.chosen(found, 3).tolist() == [4, 0, 5]


def test_a_name_that_is_longer_than_a_narrow_column_is_cut_off():
  assert drawing.shortened(["ship", "twelve_chars", "aquarium_fish"]) == ["ship", "twelve_chars", "aquarium_fi…"]


def test_the_first_image_is_one_that_is_right_though_there_is_a_surer_mistake():
  found = {"label": np.array([0, 1]), "predicted": np.array([1, 1]), "probabilities": np.array([[0.1, 0.9], [0.4, 0.6]])}
  assert drawing.first(found) == 1
  assert drawing.first({"image": np.zeros((2, 8, 8, 1))}) == 0
