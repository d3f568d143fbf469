"""What is said of an image that is too small for a network."""

import re

import keras
import pytest
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.image_size import lost_at, refuses_small_images, smallest_side


@refuses_small_images
def build(input_shape: tuple[int, ...], units: int = 4) -> keras.Model:
  """Two paths that leave nothing of a side below 9: (9 - 3) // 2 + 1 = 4, a mean of 4, and 4 -> 2 -> 1."""
  x = inputs = keras.Input(input_shape)
  x = layers.Conv2D(2, 3, 2, name="conv")(x)
  y = layers.AveragePooling2D(4, name="mean")(x)
  z = layers.MaxPool2D(2, name="pool2")(layers.MaxPool2D(2, name="pool1")(x))
  x = layers.Flatten()(layers.Concatenate()([y, z]))
  return keras.Model(inputs, layers.Dense(units)(x), name="two_paths")


def test_the_smallest_size_works_and_the_one_below_is_refused_with_the_layer():
  assert build((9, 9, 1)).output.shape == (None, 4)
  with pytest.raises(ConfigError, match=r"images of 8x8 are too small for two_paths: nothing is left of them after its layer "
                                        r"'mean', which gets 3x3; the smallest that work are 9x9 \(data\.resize\)"):
    build((8, 8, 1))


@refuses_small_images
def adapting(input_shape: tuple[int, ...], rate: float = 0.5) -> keras.Model:
  """A stride of 2, and a window of up to 5, smaller where less is left, that needs 2 of the pixels: 5x5 are enough."""
  x = inputs = keras.Input(input_shape)
  x = layers.Conv2D(2, 3, 2, name="conv")(x)
  x = layers.Conv2D(2, max(2, min(5, x.shape[1])), name="window")(x)
  return keras.Model(inputs, layers.Dropout(rate)(layers.Flatten()(x)), name="adapting")


def test_the_smallest_size_of_a_network_whose_windows_adapt_is_that_which_builds():
  assert adapting((5, 5, 1)).output.shape == (None, 2)
  with pytest.raises(ConfigError, match=r"images of 4x4 are too small for adapting.*'window'.*smallest that work are 5x5"):
    adapting((4, 4, 1))


def test_an_error_that_is_the_same_for_larger_images_is_told_without_building_still_larger_ones(monkeypatch):
  sides = []
  monkeypatch.setattr(keras, "Input", lambda shape: sides.append(shape[0]) or keras.KerasTensor((None, *shape)))
  with pytest.raises(ValueError, match="Invalid value received for argument `rate`"):
    adapting((32, 32, 1), rate=1.5)
  assert sides == [32, 64]


@pytest.mark.parametrize(("shape", "kind"), [((8, 24, 24, 1), "videos"), ((64,), "examples")])
def test_what_is_no_image_is_refused(shape, kind):
  with pytest.raises(ConfigError, match=rf"takes images \(H, W, C\), but the data are {kind} of shape {re.escape(str(shape))}"):
    build(shape)


def test_one_short_side_is_enough_to_be_refused():
  with pytest.raises(ConfigError, match=r"images of 40x8 are too small"):
    build((40, 8, 1))


@pytest.mark.parametrize(("side", "layer"), [(1, "conv"), (2, "conv"), (3, "pool1"), (8, "mean"), (9, None), (50, None)])
def test_the_layer_is_the_first_that_leaves_nothing(side, layer):
  network = build((16, 16, 1))
  lost = lost_at(network, (side, side, 1))
  # Paths are looked at in the network's order, in which the poolings may come before the mean.
  assert (lost and lost[0]) in ({layer} if layer != "pool1" else {"pool1", "mean"})


def test_the_search_agrees_with_building_every_size():
  network, builds = build((16, 16, 1)), []
  for side in range(1, 17):
    try:
      builds.append(bool(build.__wrapped__((side, side, 1))))
    except ValueError:
      builds.append(False)
  assert builds.index(True) + 1 == smallest_side(network, 16) == 9 and all(builds[8:])


class Halves(keras.layers.Layer):
  """Does not say what shape it gives."""

  def call(self, x):
    return keras.ops.max_pool(x, 2)


def test_a_layer_that_does_not_say_its_shape_is_traced():
  x = inputs = keras.Input((16, 16, 1))
  network = keras.Model(inputs, Halves(name="b")(Halves(name="a")(x)))
  assert smallest_side(network, 16) == 4
  assert lost_at(network, (3, 3, 1)) == ("b", (None, 1, 1, 1))


def test_another_mistake_is_not_taken_for_a_small_image():
  with pytest.raises(ValueError, match="units"):
    build((16, 16, 1), units=-1)
