"""ZFNet against the sizes of its paper's figure 3 and a count by hand."""

import keras
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.zfnet import build
from tests.models import geometry
from tests.models.step import finite_step


@pytest.fixture(scope="module")
def zfnet() -> keras.Model:
  return build((224, 224, 3), 1000, units=8)


def test_feature_maps_have_the_sizes_of_figure_3(zfnet: keras.Model) -> None:
  names = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
  assert [geometry.size_of(zfnet, name) for name in names] == [
    (110, 110, 96), (55, 55, 96), (26, 26, 256), (13, 13, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256), (6, 6, 256)]


def test_parameters_are_counted_to_the_unit(zfnet: keras.Model) -> None:
  convolutions = 14_208 + 614_656 + 885_120 + 1_327_488 + 884_992  # 7x7x3x96+96, 5x5x96x256+256, ...
  assert zfnet.count_params() == convolutions + (9_216 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 1_000
  assert convolutions + (9_216 + 1) * 4_096 + (4_096 + 1) * 4_096 + (4_096 + 1) * 1_000 == 62_357_608


def test_receptive_field_and_stride_follow_from_figure_3(zfnet: keras.Model) -> None:
  # By hand: 7, 7+2x2=11 behind pool1 (stride 4), 27 (8), 43 behind pool2 (16), 75, 107, 139, and 171 behind pool5 (32).
  assert geometry.fields(zfnet)["pool5"] == (32, 171)


def test_arguments_alone_make_it_fit_small_images() -> None:
  network = build((32, 32, 3), 10, filters=(24, 64, 96, 96, 64), stem_kernel=3, stem_strides=(1, 1), units=64)
  assert geometry.size_of(network, "pool5") == (3, 3, 64)


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  with pytest.raises(ConfigError, match=r"28x28 are too small for zfnet.*'pool5', which gets 1x1; .*that work are 53x53"):
    build((28, 28, 3), 10, units=8)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224)
