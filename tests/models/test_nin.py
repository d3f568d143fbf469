"""Network in network against the counts of its authors' definitions."""

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision.nin import build
from tests.models import geometry
from tests.models.step import finite_step


def test_the_network_for_cifar_has_966986_parameters() -> None:
  network = build((32, 32, 3), 10)
  # 14,592 + 30,880 + 15,456, 460,992 + 37,056 + 37,056, 331,968 + 37,056 + 1,930: kernels and biases, block by block.
  assert network.count_params() == 60_928 + 535_104 + 370_954 == 966_986
  assert [geometry.size_of(network, name) for name in ("pool1", "pool2", "output")] == [(16, 16, 96), (8, 8, 192), (8, 8, 10)]


def test_the_network_for_imagenet_has_7595176_parameters() -> None:
  network = build((224, 224, 3), 1000, layout="imagenet")
  # 30,380,704 bytes of float32: the size of its authors' published file of weights is 29 MiB.
  assert network.count_params() == 53_568 + 746_240 + 1_180_800 + 5_614_568 == 7_595_176
  assert [geometry.size_of(network, name) for name in ("pool1", "pool2", "pool3", "output")] == [
    (27, 27, 96), (13, 13, 256), (6, 6, 384), (6, 6, 1000)]


def test_a_quarter_of_the_width_has_a_quarter_of_every_hidden_layers_channels() -> None:
  network = build((32, 32, 3), 10, width=0.25)
  assert [layer.filters for layer in network.layers if isinstance(layer, keras.layers.Conv2D)] == [
    48, 40, 24, 48, 48, 48, 48, 48, 10]


def test_a_1x1_convolution_is_a_perceptron_on_each_pixel() -> None:
  network = build((32, 32, 3), 10, width=0.1)
  layer = network.get_layer("mlpconv1_mlp1")
  x = np.random.default_rng(0).normal(0, 1, (1, 4, 4, layer.input.shape[-1])).astype(np.float32)
  pixel = np.maximum(x[0, 2, 3] @ layer.kernel.numpy()[0, 0] + layer.bias.numpy(), 0)
  np.testing.assert_allclose(layer(x)[0, 2, 3], pixel, rtol=1e-4, atol=1e-5)


def test_logits_are_the_means_of_the_last_maps() -> None:
  network = build((32, 32, 3), 10, width=0.1)
  both = keras.Model(network.input, [network.get_layer("output").output, network.output])
  maps, logits = both(np.random.default_rng(0).normal(0, 1, (2, 32, 32, 3)).astype(np.float32), training=False)
  np.testing.assert_allclose(logits, np.mean(maps, (1, 2)), rtol=1e-5, atol=1e-6)


def test_logits_may_be_negative_only_without_the_last_relu() -> None:
  x = np.random.default_rng(0).normal(0, 1, (4, 32, 32, 3)).astype(np.float32)
  lowest = {relu: float(np.min(build((32, 32, 3), 10, width=0.1, last_relu=relu)(x))) for relu in (True, False)}
  assert lowest[True] >= 0 > lowest[False]


def test_an_image_that_is_too_small_is_refused_and_an_unknown_layout_too() -> None:
  with pytest.raises(ConfigError, match=r"32x32 are too small for nin_imagenet.*'pool3', which gets 1x1; .*work are 59x59"):
    build((32, 32, 3), 10, layout="imagenet", width=0.1)
  with pytest.raises(ConfigError, match=r"model\.layout='imagnet' is unknown \(did you mean 'imagenet'"):
    build((32, 32, 3), 10, layout="imagnet")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_at_224_is_finite(precision: str) -> None:
  finite_step(build, precision, 224, layout="imagenet")
