"""Images that are too small for a network: at which layer nothing is left of them, and which size is enough."""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import keras

from dlsuite.errors import ConfigError

P = ParamSpec("P")
Build = Callable[Concatenate[tuple[int, ...], P], keras.Model]
Shape = tuple[int | None, ...]

_RANKS = {3: "images (H, W, C)", 4: "videos (T, H, W, C)"}
_LARGEST = 1024  # pixels a side; a network that this does not suffice is refused for another reason than the size


def refuses_small_images(build: Build[P]) -> Build[P]:
  """Decorates the `build` of a convolutional network: an image that is too small becomes one clear line.

  Nothing is declared of the network. When Keras refuses a layer, `build` is tried with larger images; from the network
  that this gives, the shapes for smaller ones are computed layer by layer.

  Args:
    build: takes `input_shape`, (H, W, C), first.

  Returns:
    `build`, which raises ConfigError with the layer's name, what arrives there, and the smallest square image that works,
    or if what it is given is no image.
  """

  @functools.wraps(build)
  def checked(input_shape: tuple[int, ...], *args: P.args, **kwargs: P.kwargs) -> keras.Model:
    check_rank(build.__module__.rpartition(".")[2], input_shape, 3)
    try:
      return build(input_shape, *args, **kwargs)
    except ValueError as refused:
      height, width, channels = input_shape
      side = 2 ** min(height, width).bit_length()
      while side <= _LARGEST:
        try:
          network = build((side, side, channels), *args, **kwargs)
        except ValueError as e:
          if str(e) == str(refused):  # a size is said with its pixels: it is something else
            raise
          side *= 2
        else:
          break
      else:
        raise
      if (lost := lost_at(network, input_shape)) is None:
        raise
      name, arriving = lost
      side = smallest_side(network, side)
      while side > 1:  # a network may have smaller windows for smaller images
        try:
          network = build((side - 1, side - 1, channels), *args, **kwargs)
        except ValueError:
          break
        side = smallest_side(network, side - 1)
    raise too_small(network.name, (height, width), name, arriving[1:3], side) from None

  return checked


def check_rank(network: str, input_shape: tuple[int, ...], rank: int) -> None:
  """Raises ConfigError if a network for images, of `rank` 3, or for videos, of 4, is to be built for something else."""
  if len(input_shape) != rank:
    found = _RANKS.get(len(input_shape), "examples").partition(" ")[0]
    raise ConfigError(f"{network} takes {_RANKS[rank]}, but the data are {found} of shape {input_shape}: take another "
                      "model.name")


def too_small(network: str, size: Shape, layer: str, arriving: Shape, smallest: int) -> ConfigError:
  """Returns what is said of images that are too small.

  Args:
    network: its name.
    size: (H, W) of the images.
    layer: the name of the first one that leaves nothing of them.
    arriving: (h, w) that it gets.
    smallest: side of the smallest square image that works.
  """
  return ConfigError(f"images of {size[0]}x{size[1]} are too small for {network}: nothing is left of them after its layer "
                     f"{layer!r}, which gets {arriving[0]}x{arriving[1]}; the smallest that work are {smallest}x{smallest} "
                     "(data.resize)")


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
