"""Inception-v3 against keras.applications, torchvision's count and the sizes of its paper."""

import keras
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.inception_v3 import build
from tests.models import geometry
from tests.models.step import finite_step
from tools.convert_keras import convert


@pytest.fixture(scope="module")
def inception() -> keras.Model:
  return build((299, 299, 3), 1000)


def test_parameters_are_those_of_keras_and_torchvision(inception: keras.Model) -> None:
  heads = [v for v in inception.weights if v.path.startswith("auxiliary")]
  # Auxiliary: 768x128 + 3x128, 128x5x5x768 + 3x768, 768x1000 + 1000; 3 an output channel are offset, mean and variance.
  assert sum(v.shape.num_elements() for v in (w.value for w in heads)) == 98_688 + 2_459_904 + 769_000
  channels = sum(layer.filters for layer in inception.layers if isinstance(layer, keras.layers.Conv2D))
  assert inception.count_params() - 3_327_592 == 23_851_784  # keras.applications' documentation: 23.9M; to the unit its summary
  assert geometry.trainable(inception) + channels == 27_161_264  # torchvision's documentation; its batch norms have factors


def test_logits_are_those_of_keras_with_the_weights_copied_across(tmp_path) -> None:
  assert convert("InceptionV3", None, str(tmp_path / "out"), side=107, classes=10)["difference"] <= 1e-5


def test_feature_maps_have_the_sizes_of_table_1(inception: keras.Model) -> None:
  names = ("conv1", "conv2", "conv3", "pool1", "pool2", "mixed2", "mixed3", "mixed7", "mixed8", "mixed10")
  assert [geometry.size_of(inception, name) for name in names] == [
    (149, 149, 32), (147, 147, 32), (147, 147, 64), (73, 73, 64), (35, 35, 192), (35, 35, 288), (17, 17, 768), (17, 17, 768),
    (8, 8, 1280), (8, 8, 2048)]
  assert geometry.size_of(inception, "auxiliary_pool") == (5, 5, 768)
  assert geometry.size_of(inception, "auxiliary_conv") == (1, 1, 768)


def test_receptive_field_and_stride_are_those_published(inception: keras.Model) -> None:
  assert geometry.fields(inception)["mixed10"] == (32, 1311)  # Araujo, Norris & Sim 2019, table of networks


def test_arguments_alone_make_it_fit_small_images() -> None:
  network = build((32, 32, 3), 10, width=0.1, stem_stride=1, stem_pool=False)
  assert [geometry.size_of(network, name)[:2] for name in ("mixed2", "mixed7", "mixed10")] == [(26, 26), (12, 12), (5, 5)]


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  # 75 pixels are the least that keras.applications takes.
  with pytest.raises(ConfigError, match=r"74x74 are too small for inception_v3.*'mixed8.*smallest that work are 75x75"):
    build((74, 74, 3), 10, width=0.05, auxiliary=False)


@pytest.mark.slow
def test_the_smallest_size_that_is_told_is_right_for_the_auxiliary_head_too() -> None:
  arguments = {"width": 0.02, "stem_stride": 1, "stem_pool": False}
  with pytest.raises(ConfigError, match="smallest that work are 17x17"):
    build((16, 16, 1), 10, **arguments)
  assert build((17, 17, 1), 10, **arguments).output["auxiliary"].shape == (None, 10)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224)
