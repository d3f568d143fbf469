"""VGG against the counts of its paper, keras.applications and the arithmetic of its layers."""

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.vgg import build
from tests.models import geometry
from tools.convert_keras import APPLICATIONS, convert

# Simonyan & Zisserman 2015, table 2, prints 133, 133, 138 and 144 millions; torchvision's documentation the exact counts.
_COUNTS = {11: 132_863_336, 13: 133_047_848, 16: 138_357_544, 19: 143_667_240}
_TOP = (25_088 + 1) * 4_096 + (4_096 + 1) * 4_096 + (4_096 + 1) * 1_000  # the three fully connected layers


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
  """The paper's network; thin hidden layers stand for the wide ones, whose parameters are counted by hand."""
  return build((224, 224, 3), 1000, units=8)


@pytest.mark.parametrize("depth", _COUNTS)
def test_parameters_are_those_published(depth: int) -> None:
  network = build((224, 224, 3), 1000, depth=depth, units=8)
  thin = (25_088 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 1_000
  assert network.count_params() - thin + _TOP == _COUNTS[depth]
  assert round(_COUNTS[depth] / 1e6) == {11: 133, 13: 133, 16: 138, 19: 144}[depth]


def test_batch_norm_adds_a_factor_and_an_offset_a_channel() -> None:
  plain, normalised = (build((32, 32, 3), 10, units=8, batch_norm=b) for b in (False, True))
  # 4,224 channels; torchvision: 138,365,992 with batch norm, 138,357,544 without.
  assert geometry.trainable(normalised) - geometry.trainable(plain) == 2 * 4_224 == 138_365_992 - 138_357_544


def test_receptive_field_and_stride_of_vgg16_are_those_published(vgg16: keras.Model) -> None:
  assert geometry.fields(vgg16)["pool5"] == (32, 212)  # Araujo, Norris & Sim 2019, table of networks


def test_feature_maps_have_the_sizes_of_table_1(vgg16: keras.Model) -> None:
  sizes = [geometry.size_of(vgg16, f"pool{i}") for i in range(1, 6)]
  assert sizes == [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]


@pytest.mark.parametrize("name", ["VGG16", pytest.param("VGG19", marks=pytest.mark.slow)])
def test_logits_are_those_of_keras_with_the_weights_copied_across(name: str, tmp_path) -> None:
  assert name in APPLICATIONS
  assert convert(name, None, str(tmp_path / "out"), side=32, classes=10)["difference"] <= 1e-5


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  with pytest.raises(ConfigError, match=r"16x16 are too small for vgg16.*'pool5', which gets 1x1.*smallest.* 32x32"):
    build((16, 16, 3), 10, units=8)
  assert build((16, 16, 3), 10, units=8, stages=4).output.shape == (None, 10)


def test_a_depth_that_is_none_is_refused_with_the_nearest() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=18.*nearest: 19"):
    build((32, 32, 3), 10, depth=18)


def test_the_receptive_field_is_the_one_that_gradients_find() -> None:
  import tensorflow as tf

  network = build((128, 128, 1), 2, depth=11, stages=3, width=0.1, units=2)
  features = keras.Model(network.input, network.get_layer("conv3_2").output)
  for variable in features.trainable_variables:
    variable.assign(tf.ones_like(variable) if variable.name == "kernel" else variable * 0)
  x = tf.Variable(tf.ones((1, 128, 128, 1)) + tf.random.stateless_uniform((1, 128, 128, 1), [0, 1]))
  with tf.GradientTape() as tape:
    y = features(x)[0, 16, 16, 0]
  rows = np.flatnonzero(np.abs(tape.gradient(y, x)[0, :, :, 0]).sum(1))
  stride, field = geometry.fields(network)["conv3_2"]
  # Max-pooling lets only one pixel of its window through, so that the field's rim may be hidden from a gradient.
  assert stride == 4 and field - 2 * stride < rows[-1] - rows[0] + 1 <= field


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  from tests.models.step import finite_step

  finite_step(build, precision, 224)
