"""Images that are too small for a network: at which layer nothing is left of them, and which size is enough."""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import keras

from dlsuite.errors import ConfigError

P = ParamSpec("P")
Build = Callable[Concatenate[tuple[int, ...], P], keras.Model]
Shape = tuple[int | None, ...]

_LARGEST = 1024  # pixels a side; a network that this does not suffice is refused for another reason than the size


def refuses_small_images(build: Build[P]) -> Build[P]:
  """Decorates the `build` of a convolutional network: an image that is too small becomes one clear line.

  Nothing is declared of the network. When Keras refuses a layer, `build` is tried with larger images; from the network
  that this gives, the shapes for smaller ones are computed layer by layer.

  Args:
    build: takes `input_shape`, (H, W, C), first.

  Returns:
    `build`, which raises ConfigError with the layer's name, what arrives there, and the smallest square image that works.
  """

  @functools.wraps(build)
  def checked(input_shape: tuple[int, ...], *args: P.args, **kwargs: P.kwargs) -> keras.Model:
    try:
      return build(input_shape, *args, **kwargs)
    except ValueError:
      height, width, channels = input_shape
      side = 2 ** min(height, width).bit_length()
      while side <= _LARGEST:
        try:
          network = build((side, side, channels), *args, **kwargs)
        except ValueError:
          side *= 2
        else:
          break
      else:
        raise
      if (lost := lost_at(network, input_shape)) is None:
        raise
    name, arriving = lost
    smallest = smallest_side(network, side)
    raise ConfigError(f"images of {height}x{width} are too small for {network.name}: nothing is left of them after its layer "
                      f"{name!r}, which gets {arriving[1]}x{arriving[2]}; the smallest that work are {smallest}x{smallest} "
                      "(data.resize)") from None

  return checked


def smallest_side(network: keras.Model, enough: int) -> int:
  """Returns the smallest side, in pixels, of a square image of which every layer leaves something.

  Args:
    network: takes [B, H, W, C].
    enough: a side that works.
  """
  channels, too_small = network.input_shape[-1], 0
  while enough - too_small > 1:
    middle = (enough + too_small) // 2
    if lost_at(network, (middle, middle, channels)) is None:
      enough = middle
    else:
      too_small = middle
  return enough


def lost_at(network: keras.Model, input_shape: tuple[int, ...]) -> tuple[str, Shape] | None:
  """Returns the first layer that leaves nothing of an image of another size than the network was built for.

  Returns:
    The layer's name and the shape [B, h, w, c] that arrives there; None if every feature map has at least one pixel.
  """
  shapes: dict[int, Shape] = {id(network.input): (None, *input_shape)}
  for layer in network.layers:
    if isinstance(layer, keras.layers.InputLayer):
      continue
    several = isinstance(layer.input, list)
    arriving = [shapes.get(id(tensor)) for tensor in (layer.input if several else [layer.input])]
    first = arriving[0]
    if first is None or len(first) != 4:  # behind the feature maps: vectors, whose sizes are those of the weights
      continue
    try:
      leaving = _leaving(layer, arriving if several else first)
    except ValueError:
      return layer.name, first
    if 0 in leaving[1:3]:
      return layer.name, first
    if len(leaving) == 4:
      shapes[id(layer.output)] = leaving
  return None


def _leaving(layer: keras.layers.Layer, arriving: Any) -> Shape:
  try:
    return tuple(layer.compute_output_shape(arriving))
  except NotImplementedError:  # Keras traces a layer of ours that does not say
    specs = keras.tree.map_shape_structure(keras.KerasTensor, arriving)
    return tuple(layer.compute_output_spec(specs).shape)
