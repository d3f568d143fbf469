"""DenseNets for ImageNet and for CIFAR against published counts, Keras's own networks and arithmetic."""

import keras
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision import cifar_densenet, densenet
from tests.models import geometry
from tools.convert_keras import APPLICATIONS, convert


def _by_hand(counts: tuple[int, ...], k: int, c: int, stem: int, classes: int, bottleneck: bool = True,
             theta: float = 0.5, norms: int = 0) -> tuple[int, int]:
  """Returns (trainable parameters, moving averages) of blocks behind a stem of `stem` weights that makes c channels."""
  weights, channels = stem, norms
  for i, count in enumerate(counts):
    for _ in range(count):
      weights += c * 4 * k + 9 * 4 * k * k if bottleneck else 9 * c * k
      channels += c + 4 * k if bottleneck else c
      c += k
    if i < len(counts) - 1:
      out = int(theta * c)
      weights, channels, c = weights + c * out, channels + c, out
  channels += c
  return weights + 2 * channels + c * classes + classes, 2 * channels


def _imagenet(depth: int) -> tuple[int, int]:
  counts, k = densenet.DEPTHS[depth]
  return _by_hand(counts, k, 2 * k, 49 * 3 * 2 * k, 1000, norms=2 * k)


def _cifar(depth: int, k: int, bc: bool) -> tuple[int, int]:
  c = 2 * k if bc else 16
  return _by_hand(((depth - 4) // (6 if bc else 3),) * 3, k, c, 27 * c, 10, bc, 0.5 if bc else 1.0)


# Trained parameters: torchvision's documentation of densenet121 to densenet201, whose architecture is this one.
PUBLISHED = {121: 7_978_856, 169: 14_149_480, 201: 20_013_928, 161: 28_681_000}


@pytest.mark.parametrize("depth", PUBLISHED)
def test_arithmetic_gives_the_published_count(depth: int) -> None:
  assert _imagenet(depth)[0] == PUBLISHED[depth]


def test_kerass_count_is_ours_with_moving_averages() -> None:
  # What `keras.applications` counts: 8,062,504, 14,307,880 and 20,242,984.
  for depth, theirs in ((121, 8_062_504), (169, 14_307_880), (201, 20_242_984)):
    assert sum(_imagenet(depth)) == theirs


@pytest.mark.parametrize("depth", [121, 161])
def test_parameters_are_counted_to_the_unit(depth: int) -> None:
  network = densenet.build((32, 32, 3), 1000, depth=depth)
  assert geometry.trainable(network) == PUBLISHED[depth]
  assert network.count_params() == sum(_imagenet(depth))
  weighted = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
  assert len(weighted) == depth


# Millions: Huang et al. 2017, table 2.
@pytest.mark.parametrize(("depth", "k", "bc", "millions"), [
  (40, 12, False, 1.0), (100, 12, False, 7.0), (100, 24, False, 27.2),
  (100, 12, True, 0.8), (250, 24, True, 15.3), (190, 40, True, 25.6)])
def test_arithmetic_gives_the_counts_of_table_2(depth: int, k: int, bc: bool, millions: float) -> None:
  assert round(_cifar(depth, k, bc)[0] / 1e6, 1) == millions


@pytest.mark.parametrize(("depth", "bc", "exact"), [(40, False, 1_019_722), (100, True, 769_162), (40, True, 176_122)])
def test_parameters_of_the_cifar_networks_are_counted_to_the_unit(depth: int, bc: bool, exact: int) -> None:
  network = cifar_densenet.build((32, 32, 3), 10, depth=depth, bottleneck=bc, compression=0.5 if bc else 1.0)
  assert (exact, sum(_cifar(depth, 12, bc))) == (geometry.trainable(network), network.count_params())
  weighted = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
  assert len(weighted) == depth


@pytest.mark.parametrize("name", ["DenseNet121", pytest.param("DenseNet169", marks=pytest.mark.slow),
                                  pytest.param("DenseNet201", marks=pytest.mark.slow)])
def test_logits_are_those_of_keras_with_the_weights_copied_across(name: str, tmp_path) -> None:
  assert APPLICATIONS[name].arguments == {"depth": int(name.removeprefix("DenseNet"))}
  # An odd side: unequal padding would show.
  assert convert(name, None, str(tmp_path / "out"), side=75, classes=10)["difference"] <= 1e-5


@pytest.fixture(scope="module")
def thin() -> keras.Model:
  """DenseNet-121 of growth rate 2 at the paper's size."""
  return densenet.build((224, 224, 3), 10, growth=2)


def test_images_of_224_pixels_pass_the_resolutions_of_table_1(thin: keras.Model) -> None:
  sizes = [geometry.size_of(thin, name)[0] for name in (
    "conv1", "pool1", "transition1", "transition1_pool", "transition2_pool", "transition3_pool", "last_relu")]
  assert sizes == [112, 56, 56, 28, 14, 7, 7]


def test_stride_and_field_are_those_of_the_layers_one_after_the_other(thin: keras.Model) -> None:
  # 7x7 and 3x3 of stride 2: 11 pixels; 6, 12, 24, 16 3x3 convolutions at 4, 8, 16, 32; poolings of 2 at 4, 8, 16.
  assert geometry.fields(thin)["last_relu"] == (32, 11 + 2 * (6 * 4 + 12 * 8 + 24 * 16 + 16 * 32) + 4 + 8 + 16)


def test_each_layer_sees_all_that_came_before_it(thin: keras.Model) -> None:
  assert [thin.get_layer(f"block1_layer{i}_a").input.shape[-1] for i in (1, 2, 6)] == [4, 6, 14]


def test_dropout_follows_every_convolution_but_the_first() -> None:
  network = cifar_densenet.build((32, 32, 3), 10, depth=40, bottleneck=False, compression=1.0, dropout=0.2)
  convolutions = sum(isinstance(layer, keras.layers.Conv2D) for layer in network.layers)
  assert sum(isinstance(layer, keras.layers.Dropout) for layer in network.layers) == convolutions - 1


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  with pytest.raises(ConfigError, match=r"3x3 are too small for densenet_bc_L10_k2.*'transition2_pool'.*smallest.* 4x4"):
    cifar_densenet.build((3, 3, 1), 10, depth=10, growth=2)


def test_impossible_sizes_are_refused_with_the_nearest() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=120 must be one of 121, 169, 201, 161"):
    densenet.build((32, 32, 3), 10, depth=120)
  with pytest.raises(ConfigError, match=r"model\.depth=98.*6n \+ 4 with bottlenecks.*nearest: 100"):
    cifar_densenet.build((32, 32, 3), 10, depth=98)
  with pytest.raises(ConfigError, match=r"model\.compression=1\.5"):
    cifar_densenet.build((32, 32, 3), 10, compression=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  from tests.models.step import finite_step

  finite_step(densenet.build, precision, 224)
