"""SE-ResNets and SE-ResNeXts against published counts and arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.models.vision import resnet
from dlsuite.models.vision.se_resnext import DEPTHS, build
from tests.models import geometry
from tests.models.step import finite_step


def _by_hand(depth: int, groups: int, group_width: int) -> tuple[int, int]:
  """Returns (parameters without gates, parameters of the gates) for 1,000 classes."""
  weights, channels, gates, c = 49 * 3 * 64, 64, 0, 64
  for stage, n in enumerate(DEPTHS[depth]):
    inner, out = groups * group_width * 2**stage, 256 * 2**stage
    weights, channels = weights + c * out, channels + out  # the projection
    for _ in range(n):
      weights += c * inner + 9 * inner * inner // groups + inner * out
      channels += 2 * inner + out
      gates += 2 * out * out // 16 + out // 16 + out
      c = out
  return weights + 2 * channels + c * 1000 + 1000, gates


# To the unit without gates: torchvision's documentation of resnet50, resnet101, resnet152 and resnext50_32x4d. With gates: the
# tests of pytorchcv, and Hu et al. 2017, table 2 and section 4: 2.5M more than ResNet-50.
@pytest.mark.parametrize(("depth", "groups", "width", "plain", "gated"), [
  (50, 1, 64, 25_557_032, 28_088_024), (101, 1, 64, 44_549_160, 49_326_872), (50, 32, 4, 25_028_904, 27_559_896),
  (152, 1, 64, 60_192_808, 66_821_848), (101, 32, 4, 44_177_704, 48_955_416)])
def test_arithmetic_gives_the_published_count(depth: int, groups: int, width: int, plain: int, gated: int) -> None:
  without, gates = _by_hand(depth, groups, width)
  assert (without, without + gates) == (plain, gated)


@pytest.fixture(scope="module")
def resnext() -> keras.Model:
  """SE-ResNeXt-50 (32x4d)."""
  return build((64, 64, 3), 1000)


def test_parameters_are_counted_to_the_unit(resnext: keras.Model) -> None:
  assert geometry.trainable(resnext) == 27_559_896
  assert geometry.trainable(build((64, 64, 3), 1000, groups=1, group_width=64)) == 28_088_024


def test_without_gates_and_groups_it_is_resnet50() -> None:
  ours = build((64, 64, 3), 10, groups=1, group_width=8, se_ratio=0, width=8, downsample="1x1")
  theirs = resnet.build((64, 64, 3), 10, width=8)
  assert [tuple(v.shape) for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]
  ours.set_weights(theirs.get_weights())
  x = tf.random.stateless_normal((2, 64, 64, 3), (1, 2))
  np.testing.assert_array_equal(ours(x, training=False), theirs(x, training=False))


def test_the_3x3_convolutions_have_32_groups_of_4_to_32_channels(resnext: keras.Model) -> None:
  for stage in range(4):
    layer = resnext.get_layer(f"conv{stage + 2}_1_b")
    assert (layer.groups, layer.kernel.shape) == (32, (3, 3, 4 * 2**stage, 128 * 2**stage))


def test_stride_and_field_are_those_of_the_strides_in_the_3x3_convolutions(resnext: keras.Model) -> None:
  # 483 pixels with strides in the first convolutions (Araujo, Norris & Sim 2019), less 2 x (4 + 8 + 16).
  assert geometry.fields(resnext)["conv5_3_relu"] == (32, 483 - 56)


def test_a_gate_scales_the_branch_before_the_addition(resnext: keras.Model) -> None:
  added = resnext.get_layer("conv3_2_add").input
  assert [tensor._keras_history.operation.name for tensor in added] == ["conv3_1_relu", "conv3_2_scale"]
  branch, gate = resnext.get_layer("conv3_2_scale").input
  assert branch._keras_history.operation.name == "conv3_2_c_bn"
  assert gate.shape == (None, 1, 1, 512)


def test_a_step_with_four_groups_is_finite() -> None:
  finite_step(build, "float32", 32, groups=4, group_width=4, se_ratio=8, width=8, stem="cifar")


def test_impossible_sizes_are_refused() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=18 must be one of 50, 101, 152"):
    build((32, 32, 3), 10, depth=18)
  with pytest.raises(ConfigError, match=r"model\.groups=0"):
    build((32, 32, 3), 10, groups=0)
  with pytest.raises(ConfigError, match=r"model\.downsample='3'.*did you mean '3x3'"):
    build((32, 32, 3), 10, downsample="3")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224)
