"""AlexNet and its single-tower successor against their published counts, sizes and towers."""

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.alexnet import build
from tests.models import geometry
from tests.models.step import finite_step

ONE_TOWER = (64, 192, 384, 256, 256)


def _count(filters: tuple[int, ...], towers: int, response_norm: bool = True) -> int:
  """Counts at the paper's sizes, with thin hidden layers, and exchanges these for those of the paper."""
  thin = build((224, 224, 3), 1000, filters=filters, towers=towers, units=8, response_norm=response_norm).count_params()
  features = 6 * 6 * filters[-1]
  return thin + sum((n + 1) * m for n, m in ((features, 4096), (4096, 4096), (4096, 1000))) - sum(
    (n + 1) * m for n, m in ((features, 8), (8, 8), (8, 1000)))


@pytest.fixture(scope="module")
def alexnet() -> keras.Model:
  return build((224, 224, 3), 1000, units=8)


def test_parameters_are_the_60_million_of_the_paper_to_the_unit() -> None:
  # Section 3: "60 million parameters". 34,944 + 307,456 + 885,120 + 663,936 + 442,624 in the convolutions, whose second,
  # fourth and fifth see one tower; 37,752,832 + 16,781,312 + 4,097,000 in the dense layers.
  assert _count((96, 256, 384, 384, 256), 2) == 60_965_224


def test_without_towers_it_has_the_62378344_parameters_of_the_usual_reading() -> None:
  # 307,200 + 663,552 + 442,368 more: the other tower's half of the second, fourth and fifth kernel.
  assert _count((96, 256, 384, 384, 256), 1) == 60_965_224 + 307_200 + 663_552 + 442_368 == 62_378_344


def test_the_single_tower_of_2014_has_the_61100840_parameters_that_torchvision_counts() -> None:
  assert _count(ONE_TOWER, 1, response_norm=False) == 61_100_840


def test_the_single_tower_has_the_two_thousandths_more_parameters_of_its_paper() -> None:
  """Section 5.1; not so with the 384 filters that its footnote gives the fourth convolution."""
  towers = _count((96, 256, 384, 384, 256), 2)
  assert round(_count(ONE_TOWER, 1) / towers, 3) == 1.002
  assert round(_count((64, 192, 384, 384, 256), 1) / towers, 3) == 1.014


def test_the_response_norm_can_be_left_out_as_later_readings_do() -> None:
  with_norm, without = ([layer.name for layer in build((63, 63, 3), 10, units=8, response_norm=norm).layers[1:]]
                        for norm in (True, False))
  assert [name for name in with_norm if name not in ("norm1", "norm2")] == without
  assert len(with_norm) == len(without) + 2


def test_neurons_of_each_layer_are_those_of_figure_2(alexnet: keras.Model) -> None:
  # "253,440-186,624-64,896-64,896-43,264": the first is 55x55x96 = 290,400 by its own filters and stride.
  sizes = [int(np.prod(geometry.size_of(alexnet, f"conv{i}"))) for i in range(1, 6)]
  assert sizes == [290_400, 186_624, 64_896, 64_896, 43_264]
  assert geometry.size_of(alexnet, "pool5") == (6, 6, 256)


def test_padded_224_and_bare_227_pixels_give_the_same_sizes(alexnet: keras.Model) -> None:
  bare = build((227, 227, 3), 1000, stem_padding=0, units=8)
  assert [layer.output.shape for layer in bare.layers[2:]] == [layer.output.shape for layer in alexnet.layers[3:]]


def test_receptive_field_and_stride_are_those_published(alexnet: keras.Model) -> None:
  assert geometry.fields(alexnet)["pool5"] == (32, 195)  # Araujo, Norris & Sim 2019, table of networks


def test_towers_do_not_see_each_other_but_in_the_third_convolution() -> None:
  network = build((63, 63, 3), 10, units=8)
  for name, divided in (("conv2", True), ("conv3", False), ("conv4", True), ("conv5", True)):
    layer = network.get_layer(name)
    layer.bias.assign(layer.bias * 0 + 1)
    channels = layer.input.shape[-1]
    x = np.random.default_rng(0).normal(0, 1, (1, 5, 5, channels)).astype(np.float32)
    changed = x.copy()
    changed[..., channels // 2:] += 1
    same = np.array(layer(x) == layer(changed)).all((0, 1, 2))
    assert same[:len(same) // 2].all() == divided and not same[len(same) // 2:].any()


def test_arguments_alone_make_it_fit_small_images() -> None:
  network = build((32, 32, 3), 10, filters=(24, 64, 96, 96, 64), stem_kernel=5, stem_stride=1, units=64)
  assert geometry.size_of(network, "pool5") == (3, 3, 64)


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  with pytest.raises(ConfigError, match=r"32x32 are too small for alexnet.*'pool5', which gets 1x1; .*that work are 63x63"):
    build((32, 32, 3), 10, units=8)


def test_filters_that_the_towers_do_not_divide_are_refused() -> None:
  with pytest.raises(ConfigError, match=r"model\.towers=2 must divide"):
    build((224, 224, 3), 10, filters=(95, 256, 384, 384, 256))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224)
