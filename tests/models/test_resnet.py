"""ResNets for ImageNet against published counts, Keras's own networks and arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.models.vision.resnet import DEPTHS, build
from tests.models import geometry
from tools.convert_keras import APPLICATIONS, convert


def _by_hand(depth: int) -> tuple[int, int]:
  """Returns (kernels and the output, channels of batch norm) for 1,000 classes."""
  counts, deep = DEPTHS[depth]
  weights, channels, c = 7 * 7 * 3 * 64, 64, 64
  for n, width in zip(counts, (64, 128, 256, 512), strict=True):
    out = 4 * width if deep else width
    for i in range(n):
      weights += c * width + 9 * width * width + width * out if deep else 9 * c * width + 9 * width * width
      channels += 2 * width + out if deep else 2 * width
      if not i and c != out:  # the projection
        weights, channels = weights + c * out, channels + out
      c = out
  return weights + c * 1000 + 1000, channels


# Trained parameters: torchvision's documentation of resnet18 to resnet152, whose architecture is this one.
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


@pytest.mark.parametrize("depth", PUBLISHED)
def test_arithmetic_gives_the_published_count(depth: int) -> None:
  weights, channels = _by_hand(depth)
  assert weights + 2 * channels == PUBLISHED[depth]  # a factor and an offset a channel


def test_kerass_count_is_ours_with_biases_and_moving_averages() -> None:
  # keras.io/api/applications: 25.6M, 44.7M and 60.4M. Each convolution there has a bias too, as many as channels of batch norm.
  for depth, theirs in ((50, 25_636_712), (101, 44_707_176), (152, 60_419_944)):
    weights, channels = _by_hand(depth)
    assert weights + 4 * channels + channels == theirs


@pytest.mark.parametrize("depth", [18, 50])
def test_parameters_are_counted_to_the_unit(depth: int) -> None:
  network = build((64, 64, 3), 1000, depth=depth)
  assert geometry.trainable(network) == PUBLISHED[depth]
  assert network.count_params() == PUBLISHED[depth] + 2 * _by_hand(depth)[1]
  projections = sum("shortcut" in layer.name for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
  weighted = sum(isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)) for layer in network.layers)
  assert (weighted - projections, projections) == (depth, 4 if depth > 34 else 3)


@pytest.mark.parametrize(("name", "depth"), [("ResNet50", 50), pytest.param("ResNet101", 101, marks=pytest.mark.slow),
                                             pytest.param("ResNet152", 152, marks=pytest.mark.slow)])
def test_logits_are_those_of_keras_with_the_weights_copied_across(name: str, depth: int, tmp_path) -> None:
  assert APPLICATIONS[name].arguments == {"depth": depth}
  # An odd side: unequal padding would show.
  assert convert(name, None, str(tmp_path / "out"), side=75, classes=10)["difference"] <= 1e-5


# Fields: Araujo, Norris & Sim 2019, table of networks; the stride before or in the last 3x3 convolution makes no difference.
@pytest.mark.parametrize(("depth", "field"), [(50, 483), (152, 1507)])
def test_the_last_features_are_32_pixels_apart_and_see_the_published_field(depth: int, field: int) -> None:
  network = build((64, 64, 3), 10, depth=depth, width=2)
  last = f"conv5_{DEPTHS[depth][0][-1]}_relu"
  assert geometry.fields(network)[last] == (32, field)


def test_a_stride_in_the_3x3_convolution_narrows_the_field() -> None:
  # The first 3x3 convolution of three stages acts before the stride: 2 x (4 + 8 + 16) pixels less.
  network = build((64, 64, 3), 10, width=2, downsample="3x3")
  assert geometry.fields(network)["conv5_3_relu"] == (32, 483 - 56)
  assert network.count_params() == build((64, 64, 3), 10, width=2).count_params()


def test_images_of_224_pixels_pass_the_resolutions_of_table_1() -> None:
  network = build((224, 224, 3), 10, width=2)
  sizes = [geometry.size_of(network, name)[0] for name in (
    "conv1", "pool1", "conv2_3_relu", "conv3_4_relu", "conv4_6_relu", "conv5_3_relu")]
  assert sizes == [112, 56, 56, 28, 14, 7]


def test_the_stem_for_small_images_keeps_their_resolution() -> None:
  network = build((32, 32, 3), 10, depth=18, width=2, stem="cifar")
  assert geometry.size_of(network, "conv2_2_relu") == (32, 32, 2)
  assert geometry.fields(network)["conv5_2_relu"][0] == 8


def test_with_zero_factors_each_block_starts_as_the_identity() -> None:
  network = build((32, 32, 3), 10, width=2, stem="cifar", zero_gamma=True)
  inner = keras.Model(network.input, [network.get_layer(f"conv3_{i}_relu").output for i in (1, 2, 4)])
  first, second, last = inner(tf.random.stateless_normal((2, 32, 32, 3), (1, 2)), training=True)
  np.testing.assert_array_equal(first, second)
  np.testing.assert_array_equal(first, last)
  assert np.ptp(first) > 0


def test_an_unknown_size_is_refused_with_those_that_exist() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=20 must be one of 18, 34, 50, 101, 152"):
    build((32, 32, 3), 10, depth=20)
  with pytest.raises(ConfigError, match=r"model\.stem='cifar10'.*did you mean 'cifar'"):
    build((32, 32, 3), 10, stem="cifar10")
  with pytest.raises(ConfigError, match=r"model\.downsample='2x2'.*allowed: 1x1, 3x3"):
    build((32, 32, 3), 10, downsample="2x2")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  from tests.models.step import finite_step

  finite_step(build, precision, 224)
