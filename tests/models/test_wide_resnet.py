"""Wide ResNets against published counts and arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.models.vision.wide_resnet import build
from tests.models import geometry


def _by_hand(depth: int, k: int, classes: int) -> tuple[int, int]:
  """Returns (trainable parameters, moving averages)."""
  n = (depth - 4) // 6
  weights, channels, c = 9 * 3 * 16, 0, 16
  for width in (16 * k, 32 * k, 64 * k):
    weights += c * width if c != width else 0  # the projection
    for _ in range(n):
      weights += 9 * c * width + 9 * width * width
      channels += c + width
      c = width
  channels += c
  return weights + 2 * channels + c * classes + classes, 2 * channels


# Millions: Zagoruyko & Komodakis 2016, tables 4 and 5; to the unit, those of the tests of pytorchcv.
@pytest.mark.parametrize(("depth", "k", "classes", "millions", "exact"), [
  (28, 10, 10, 36.5, 36_479_194), (28, 10, 100, 36.5, 36_536_884), (16, 8, 10, 11.0, None), (40, 4, 10, 8.9, None),
  (40, 8, 10, 35.7, 35_748_314), (16, 10, 10, 17.1, 17_116_634)])
def test_arithmetic_gives_the_published_count(depth: int, k: int, classes: int, millions: float, exact: int | None) -> None:
  count = _by_hand(depth, k, classes)[0]
  assert round(count / 1e6, 1) == millions
  assert exact in (None, count)


@pytest.mark.parametrize(("depth", "k"), [(28, 10), (16, 8), (40, 4)])
def test_parameters_are_counted_to_the_unit(depth: int, k: int) -> None:
  network = build((32, 32, 3), 10, depth=depth, widening=k)
  trained, moving = _by_hand(depth, k, 10)
  assert geometry.trainable(network) == trained
  assert network.count_params() == trained + moving


@pytest.fixture(scope="module")
def thin() -> keras.Model:
  """WRN-28-2 that starts with 4 channels and drops a third."""
  return build((32, 32, 3), 10, widening=2, dropout=0.3, width=4)


def test_blocks_have_the_resolutions_and_widths_of_table_1(thin: keras.Model) -> None:
  assert [geometry.size_of(thin, f"conv{i}_4_add") for i in (2, 3, 4)] == [(32, 32, 8), (16, 16, 16), (8, 8, 32)]


def test_the_field_is_that_of_25_convolutions_of_which_two_have_stride_2(thin: keras.Model) -> None:
  # 1 + 2 of the first; 8 convolutions a stage: 8 x 2, then 1 x 2 + 7 x 4, then 1 x 4 + 7 x 8.
  assert geometry.fields(thin)["last_relu"] == (4, 1 + 2 + 16 + 30 + 60)


def test_the_longest_way_has_28_weighted_layers_with_the_projections(thin: keras.Model) -> None:
  weighted = [layer for layer in thin.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
  # 25 convolutions, 3 projections, and the output, which the paper's 28 does not count.
  assert len(weighted) == 28 + 1


def test_dropout_stands_between_the_convolutions_of_every_block_and_acts_in_training_only(thin: keras.Model) -> None:
  drops = [layer for layer in thin.layers if isinstance(layer, keras.layers.Dropout)]
  assert len(drops) == 12
  assert {layer.input._keras_history.operation.name for layer in drops} == {
    f"conv{s}_{i}_b_relu" for s in (2, 3, 4) for i in (1, 2, 3, 4)}
  inner = keras.Model(thin.input, [drops[0].input, drops[0].output])
  x = tf.random.stateless_normal((4, 32, 32, 3), (1, 2))
  before, after = inner(x, training=False)
  np.testing.assert_array_equal(before, after)
  before, after = (y.numpy() for y in inner(x, training=True))
  assert np.mean(after[before > 0] == 0) == pytest.approx(0.3, abs=0.02)


def test_the_first_projection_sees_the_normalised_input() -> None:
  network = build((32, 32, 3), 10, depth=10, widening=2)
  assert network.get_layer("conv2_1_shortcut").input._keras_history.operation.name == "conv2_1_a_relu"


def test_a_depth_that_is_not_6n_plus_4_is_refused_with_the_nearest() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=26.*nearest: 28"):
    build((32, 32, 3), 10, depth=26)
  with pytest.raises(ConfigError, match=r"model\.widening=0"):
    build((32, 32, 3), 10, widening=0)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  from tests.models.step import finite_step

  finite_step(build, precision, 224, depth=16, widening=4)
