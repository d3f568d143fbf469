"""GoogLeNet against table 1 of its paper and the published counts."""

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.googlenet import MODULES, build
from tests.models import geometry
from tests.models.step import finite_step

# Table 1: side, channels that arrive; #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj; parameters in thousands; and how
# many more thousands (of 1,024) follow from these channels, which the table's own count disagrees with from 4a on.
_TABLE = {
  "3a": (28, 192, (64, 96, 128, 16, 32, 32), 159, 0.5), "3b": (28, 256, (128, 128, 192, 32, 96, 64), 380, -1.0),
  "4a": (14, 480, (192, 96, 208, 16, 48, 64), 364, 2.75), "4b": (14, 512, (160, 112, 224, 24, 64, 64), 437, 1.0),
  "4c": (14, 512, (128, 128, 256, 24, 64, 64), 463, 34.5), "4d": (14, 512, (112, 144, 288, 32, 64, 64), 580, 10.5),
  "4e": (14, 528, (256, 160, 320, 32, 128, 128), 840, 7.0), "5a": (7, 832, (256, 160, 320, 32, 128, 128), 1072, -54.0),
  "5b": (7, 832, (384, 192, 384, 48, 128, 128), 1388, 21.0),
}


@pytest.fixture(scope="module")
def googlenet() -> keras.Model:
  return build((224, 224, 3), 1000)


def _kernels(network: keras.Model, prefix: str) -> int:
  return sum(int(np.prod(v.shape)) for v in network.trainable_variables if v.path.startswith(prefix) and v.name == "kernel")


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_the_size_and_to_the_unit_the_parameters_that_follow_from_table_1(googlenet: keras.Model, module: str
                                                                                         ) -> None:
  side, c, (one, reduce3, three, reduce5, five, pool), thousands, more = _TABLE[module]
  assert geometry.size_of(googlenet, f"inception_{module}_output") == (side, side, one + three + five + pool)
  count = c * (one + reduce3 + reduce5 + pool) + 9 * reduce3 * three + 25 * reduce5 * five
  assert _kernels(googlenet, f"inception_{module}_") == count == 1024 * (thousands + more)


def test_stem_and_classifier_have_size_and_parameters_of_table_1(googlenet: keras.Model) -> None:
  assert [geometry.size_of(googlenet, name) for name in ("conv1", "pool1", "conv2", "pool2", "pool3", "pool4")] == [
    (112, 112, 64), (56, 56, 64), (56, 56, 192), (28, 28, 192), (14, 14, 480), (7, 7, 832)]
  assert _kernels(googlenet, "conv2") == 112 * 1024 and _kernels(googlenet, "output") == 1000 * 1024


def test_parameters_are_the_6998552_of_the_usual_reading_and_6379728_in_the_auxiliary_heads(googlenet: keras.Model) -> None:
  heads = sum(int(np.prod(v.shape)) for v in googlenet.trainable_variables if v.path.startswith("auxiliary"))
  # 1x1: 512x128+128 and 528x128+128; each 2048x1024+1024 and 1024x1000+1000.
  assert heads == 65_664 + 67_712 + 2 * (2_098_176 + 1_025_000) == 6_379_728
  assert googlenet.count_params() - heads == 6_998_552


def test_batch_norm_instead_of_biases_would_be_torchvisions_but_for_its_3x3_instead_of_5x5(googlenet: keras.Model) -> None:
  # torchvision: 6,624,904 without auxiliary heads. It has no biases but a factor and an offset a channel, and 3x3 where the
  # paper has 5x5.
  heads = sum(int(np.prod(v.shape)) for v in googlenet.trainable_variables if v.path.startswith("auxiliary"))
  biases = sum(layer.filters for layer in googlenet.layers
               if isinstance(layer, keras.layers.Conv2D) and not layer.name.startswith("auxiliary"))
  smaller = sum((25 - 9) * module[3] * module[4] for module in MODULES.values())
  assert googlenet.count_params() - heads + biases - smaller == 6_624_904


def test_it_is_22_layers_deep(googlenet: keras.Model) -> None:
  # Section 5: "22 layers deep when counting only layers with parameters": 3 in the stem, 2 a module, the classifier.
  depth: dict[int, int] = {id(googlenet.input): 0}
  for layer in googlenet.layers[1:]:
    arriving = layer.input if isinstance(layer.input, list) else [layer.input]
    depth[id(layer.output)] = max(depth[id(tensor)] for tensor in arriving) + bool(layer.weights)
  assert depth[id(googlenet.output["logits"])] == 22


def test_auxiliary_heads_pool_to_4x4_and_leave_the_logits_alone() -> None:
  full = build((224, 224, 3), 10, width=0.1)
  plain = build((224, 224, 3), 10, width=0.1, auxiliary=False)
  assert list(full.output) == ["logits", "auxiliary1", "auxiliary2"]
  assert geometry.size_of(full, "auxiliary1_pool")[:2] == geometry.size_of(full, "auxiliary2_pool")[:2] == (4, 4)
  theirs = {v.path: v for v in full.variables}
  for v in plain.weights:
    v.assign(theirs[v.path])
  x = np.random.default_rng(0).normal(0, 1, (1, 224, 224, 3)).astype(np.float32)
  np.testing.assert_allclose(plain(x, training=False), full(x, training=False)["logits"], atol=1e-6)


def test_arguments_alone_make_it_fit_small_images() -> None:
  network = build((32, 32, 3), 10, width=0.25, stem_stride=1, stem_pool=False, batch_norm=True, auxiliary_units=64)
  assert [geometry.size_of(network, f"inception_{name}_output")[0] for name in ("3b", "4e", "5b")] == [32, 16, 8]


def test_an_image_that_is_too_small_is_refused_with_layer_and_smallest_size() -> None:
  # 65 -> 33 -> 17 -> 9 -> 5, which is what the 5x5 pooling of a head needs; 64 -> 32 -> 16 -> 8 -> 4.
  with pytest.raises(ConfigError, match=r"64x64 are too small for googlenet.*'auxiliary1_pool', which gets 4x4.*are 65x65"):
    build((64, 64, 3), 10, width=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224)
