"""ResNets for CIFAR against the numbers of He et al. 2015 and a count by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.layers.shortcut import PaddedShortcut
from dlsuite.models.vision.cifar_resnet import build


def _by_hand(depth: int) -> tuple[int, int]:
  """Returns (trainable parameters, moving averages)."""
  n = (depth - 2) // 6
  convolutions = 9 * (3 * 16 + 16 * 16 * 2 * n + 16 * 32 + 32 * 32 * (2 * n - 1) + 32 * 64 + 64 * 64 * (2 * n - 1))
  channels = 16 * (2 * n + 1) + 32 * 2 * n + 64 * 2 * n  # each with a factor, an offset, a mean and a variance
  return convolutions + 2 * channels + 64 * 10 + 10, 2 * channels


# Millions of parameters: He et al. 2015, table 6.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_are_those_of_table_6(depth: int, millions: float) -> None:
  network = build((32, 32, 3), 10, depth=depth)
  trainable = sum(v.shape.num_elements() for v in map(tf.convert_to_tensor, network.trainable_variables))
  assert trainable == _by_hand(depth)[0]
  assert round(trainable / 1e6, 2 if millions < 1 else 1) == millions


def test_resnet20_has_269722_trainable_parameters_and_1376_moving_averages() -> None:
  # 267,696 in kernels, 2 x 688 in batch norm, 650 in the output: the count of the common option-A implementations.
  assert _by_hand(20) == (269_722, 1_376)
  assert build((32, 32, 3), 10).count_params() == 269_722 + 1_376


def test_resnet20_has_20_weighted_layers_at_three_resolutions() -> None:
  network = build((32, 32, 3), 10)
  weighted = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
  assert len(weighted) == 20
  assert [network.get_layer(f"stage{i}_block3_relu").output.shape[1:] for i in (1, 2, 3)] == [
    (32, 32, 16), (16, 16, 32), (8, 8, 64)]


def test_depth_that_is_not_6n_plus_2_is_refused_with_the_nearest() -> None:
  with pytest.raises(ConfigError, match=r"model\.depth=18.*nearest: 20"):
    build((32, 32, 3), 10, depth=18)


def test_shortcut_keeps_every_second_pixel_and_appends_zero_channels() -> None:
  x = np.arange(2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)
  y = PaddedShortcut(5, 2)(x).numpy()
  np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
  np.testing.assert_array_equal(y[..., 3:], np.zeros((2, 2, 2, 2)))


def test_preactivated_resnet110_has_the_published_count() -> None:
  # preresnet110_cifar10 in the tests of pytorchcv, which has 1x1 convolutions on its two shortcuts with a stride.
  assert _by_hand(110)[0] + 16 * 32 + 32 * 64 == 1_730_522
  assert build((32, 32, 3), 10, depth=20, preactivation=True).count_params() == sum(_by_hand(20))


def _bottlenecks_by_hand(depth: int) -> int:
  """Returns trainable parameters: per stage of n blocks of w inner channels 1x1, 3x3 and 1x1 to 4w, and one projection."""
  n = (depth - 2) // 9
  weights, channels, c = 9 * 3 * 16, 16, 16
  for w in (16, 32, 64):
    weights += c * 4 * w + c * w + (n - 1) * 4 * w * w + n * (9 * w * w + 4 * w * w)
    channels += n * 2 * w + (n - 1) * 4 * w + (c if w > 16 else 0)
    c = 4 * w
  return weights + 2 * (channels + c) + 256 * 10 + 10


@pytest.mark.parametrize(("depth", "bottleneck"), [(20, False), (29, True)])
def test_a_preactivated_block_adds_to_its_untouched_input_and_nothing_stands_behind_the_sum(depth: int, bottleneck: bool
                                                                                           ) -> None:
  # He et al. 2016, equation 4 and figure 1 (b): the shortcut is the identity, and so is what follows the addition.
  network = build((32, 32, 3), 10, depth=depth, preactivation=True, bottleneck=bottleneck)
  last = "c" if bottleneck else "b"
  for stage in (1, 2, 3):
    for block in (2, 3):  # whose branches then add nothing
      kernel = network.get_layer(f"stage{stage}_block{block}_{last}").kernel
      kernel.assign(tf.zeros_like(kernel))
  sums = [network.get_layer(f"stage{stage}_block{block}_add").output for stage in (1, 2, 3) for block in (1, 2, 3)]
  image = np.random.default_rng(0).normal(0, 1, (1, 32, 32, 3)).astype(np.float32)
  found = keras.Model(network.input, sums)(image, training=False)
  for stage in range(3):
    assert float(tf.reduce_min(found[3 * stage])) < 0
    for block in (1, 2):
      np.testing.assert_array_equal(found[3 * stage + block], found[3 * stage])


def test_bottlenecks_make_resnet164() -> None:
  assert round(_bottlenecks_by_hand(164) / 1e6, 1) == 1.7  # He et al. 2016, table 4
  assert _bottlenecks_by_hand(164) == 1_703_258  # preresnet164bn_cifar10 in the tests of pytorchcv
  network = build((32, 32, 3), 10, depth=29, preactivation=True, bottleneck=True)
  trained = sum(v.shape.num_elements() for v in map(tf.convert_to_tensor, network.trainable_variables))
  assert trained == _bottlenecks_by_hand(29)
  weighted = [layer for layer in network.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
  assert len(weighted) == 29 + 3  # and three projections


def test_bottlenecks_need_preactivation_and_a_depth_of_9n_plus_2() -> None:
  with pytest.raises(ConfigError, match=r"model\.bottleneck=True needs model\.preactivation=True"):
    build((32, 32, 3), 10, depth=164, bottleneck=True)
  with pytest.raises(ConfigError, match=r"model\.depth=112.*9n \+ 2, e\.g\. 164, 1001; nearest: 110"):
    build((32, 32, 3), 10, depth=112, preactivation=True, bottleneck=True)
