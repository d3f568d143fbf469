"""PilotNet against its paper."""

import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision import pilotnet

FIGURE = {"conv1": (31, 98, 24), "conv2": (14, 47, 36), "conv3": (5, 22, 48), "conv4": (3, 20, 64), "conv5": (1, 18, 64),
          "fc1": (100,), "fc2": (50,), "fc3": (10,), "output": (1,)}


@pytest.fixture(scope="module")
def network():
  return pilotnet.build((66, 200, 3))


def test_the_layers_have_the_shapes_of_figure_4(network):
  assert {name: tuple(network.get_layer(name).output.shape[1:]) for name in FIGURE} == FIGURE


def test_it_has_27_million_connections_and_250_thousand_parameters(network):
  """Section 4 says so of the network; a connection is one use of a weight, without biases."""
  connections = 0
  for name, shape in FIGURE.items():
    kernel = network.get_layer(name).kernel
    places = shape[0] * shape[1] if len(shape) == 3 else 1
    connections += places * int(kernel.shape.num_elements())
  assert round(connections / 1e6) == 27
  assert round(network.count_params() / 1e4) == 25


def test_images_below_61_pixels_are_refused_with_the_layer():
  """By hand from the end: 1 of 3, 3 of 5, 5 of 13, 13 of 29 and 29 of 61."""
  assert pilotnet.build((61, 61, 1)).output.shape[1:] == (1,)
  with pytest.raises(ConfigError, match=r"60x200 are too small for pilotnet.*'conv5', which gets 2x20; .* that work are 61x61"):
    pilotnet.build((60, 200, 3))
