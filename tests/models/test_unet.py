"""U-Net against figure 1 of Ronneberger et al. 2015: shapes, parameters, what a pixel of the output sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.models.vision.unet import build, output_side


@pytest.fixture(scope="module")
def paper():
  return build((572, 572, 1), 2)


def test_the_shapes_are_those_of_the_papers_figure(paper):
  def shape(name):
    _, height, width, channels = paper.get_layer(name).output.shape
    assert height == width
    return height, channels

  down = [("down0_a_relu", "down0_b_relu", "pool0"), ("down1_a_relu", "down1_b_relu", "pool1"),
          ("down2_a_relu", "down2_b_relu", "pool2"), ("down3_a_relu", "down3_b_relu", "pool3")]
  assert [[shape(name) for name in level] for level in down] == [
    [(570, 64), (568, 64), (284, 64)], [(282, 128), (280, 128), (140, 128)],
    [(138, 256), (136, 256), (68, 256)], [(66, 512), (64, 512), (32, 512)]]
  assert [shape("bottom_a_relu"), shape("bottom_b_relu")] == [(30, 1024), (28, 1024)]
  up = [[f"up{level}_{part}" for part in ("crop", "join", "a_relu", "b_relu")] for level in (3, 2, 1, 0)]
  assert [[shape(name) for name in level] for level in up] == [
    [(56, 512), (56, 1024), (54, 512), (52, 512)], [(104, 256), (104, 512), (102, 256), (100, 256)],
    [(200, 128), (200, 256), (198, 128), (196, 128)], [(392, 64), (392, 128), (390, 64), (388, 64)]]
  assert paper.output.shape == (None, 388, 388, 2)


def test_there_are_23_convolutions_and_31_030_658_weights(paper):
  kernels = [layer for layer in paper.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)]
  assert len(kernels) == 23  # the paper, section 2
  widths = [64, 128, 256, 512, 1024]
  down = sum(9 * a * b + b + 9 * b * b + b for a, b in zip([1, *widths], widths, strict=False))
  up = sum(4 * 2 * b * b + b + 9 * 2 * b * b + b + 9 * b * b + b for b in widths[:-1])
  assert (down, up) == (18_842_048, 12_188_480)
  assert paper.count_params() == down + up + 64 * 2 + 2 == 31_030_658


@pytest.mark.parametrize(("side", "depth", "padding", "output"), [
  (572, 4, "valid", 388), (188, 4, "valid", 4), (140, 3, "valid", 52), (512, 4, "same", 512), (16, 4, "same", 16),
])
def test_the_output_has_the_side_that_is_computed(side, depth, padding, output):
  assert output_side(side, depth, padding) == output
  network = build((None, None, 1), 2, sides=(side,), base=1, depth=depth, padding=padding)
  assert network.compute_output_shape((1, side, side, 1)) == (1, output, output, 2)
  if side < 200:
    assert network(np.zeros((1, side, side, 1), np.float32)).shape == (1, output, output, 2)


@pytest.mark.parametrize(("side", "depth", "padding", "layer", "nearest"), [
  (500, 4, "valid", "'pool3' gets 55x55", "492 or 508"), (571, 4, "valid", "'pool0' gets 567x567", "556 or 572"),
  (100, 4, "valid", "'pool3' gets 5x5", "188"), (2, 1, "valid", "after its layer 'down0_a', which gets 2x2", "18"),
  (124, 4, "valid", "nothing is left after its layer 'bottom_b', which gets 2x2", "188"),
  (100, 4, "same", "'pool2' gets 25x25", "96 or 112"), (7, 2, "same", "'pool0' gets 7x7", "4 or 8"),
  (3, 2, "same", "'pool0' gets 3x3", "4"),
])
def test_a_size_that_does_not_fit_is_named_with_the_layer_and_the_nearest_that_do(side, depth, padding, layer, nearest):
  with pytest.raises(ConfigError, match=rf"no input of {side} pixels a side: .*{layer}.*; nearest: {nearest}$"):
    build((None, None, 1), 2, sides=(side,), base=1, depth=depth, padding=padding)


@pytest.mark.parametrize("arguments", [{"padding": "reflect"}, {"depth": 0}, {"base": 0}, {"dropout": 1.0}])
def test_other_arguments_out_of_range_are_named(arguments):
  (name, value), = arguments.items()
  with pytest.raises(ConfigError, match=f"model.{name}={value!r}"):
    build((None, None, 1), 2, **arguments)


@pytest.fixture(scope="module")
def positive():
  """A narrow network without a negative kernel: nothing cancels and no ReLU dies."""
  network = build((None, None, 1), 1, base=2, dropout=0.0)
  for layer in network.layers:
    if hasattr(layer, "kernel"):
      layer.kernel.assign(tf.abs(layer.kernel))
  return network


def test_a_pixel_of_the_output_sees_188_or_204_pixels_a_side_by_where_it_lies(positive):
  # Back through the layers, first and last pixel: 3x3 convolutions twice [a, b + 4], upconvolution [a // 2, b // 2],
  # pooling [2 a, 2 b + 1]. From row 7: [7, 11] [3, 9] [1, 8] [0, 8] and the bottom's [0, 8], then [0, 21] [0, 47] [0, 99]
  # [0, 203]; from column 0: [0, 4] [0, 6] [0, 7] [0, 7] [0, 7], then [0, 19] [0, 43] [0, 91] [0, 187].
  image = tf.Variable(tf.random.stateless_uniform((1, 204, 204, 1), (0, 0), 1, 2))
  with tf.GradientTape() as tape:
    output = positive(image)
    pixel = output[0, 7, 0, 0]
  seen = np.argwhere(tape.gradient(pixel, image)[0, :, :, 0].numpy() > 0)
  assert output.shape == (1, 20, 20, 1)
  assert seen.min(0).tolist() == [0, 0]
  assert ((seen.max(0) >= [200, 184]) & (seen.max(0) <= [203, 187])).all()  # the last ones may not be a pool's largest


def test_the_output_moves_with_the_input_pixel_by_pixel_in_steps_of_16(positive):
  image = np.random.default_rng(0).random((1, 204, 204, 1), np.float32)
  here, there = positive(image[:, :188, :188]).numpy(), positive(image[:, 16:, 16:]).numpy()
  whole = positive(image).numpy()
  np.testing.assert_allclose(whole[:, :4, :4], here, rtol=1e-4)
  np.testing.assert_allclose(whole[:, 16:, 16:], there, rtol=1e-4)


def test_with_same_padding_nothing_is_cropped_and_the_weights_are_as_many():
  valid, same = (build((None, None, 1), 2, base=4, padding=padding) for padding in ("valid", "same"))
  assert valid.count_params() == same.count_params()
  assert not any("crop" in layer.name for layer in same.layers)


def test_dropout_acts_at_the_two_coarsest_resolutions_in_training_alone(paper):
  drops = {layer.name: layer.rate for layer in paper.layers if isinstance(layer, keras.layers.Dropout)}
  assert drops == {"down3_dropout": 0.5, "bottom_dropout": 0.5}
