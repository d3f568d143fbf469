"""The networks for videos: counts, and what they can and cannot see."""

import itertools

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision import conv3d, frame_lstm

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def networks():
  keras.utils.set_random_seed(0)
  small = {"stages": ((4,), (8,)), "units": (16,)}
  return {"lstm": frame_lstm.build((8, 24, 24, 1), 8), "frame": frame_lstm.build((8, 24, 24, 1), 8, one_frame=True),
          "conv3d": conv3d.build((8, 24, 24, 1), 8, **small)}


@pytest.fixture(scope="module")
def videos():
  return RANDOM.normal(size=(2, 8, 24, 24, 1)).astype(np.float32)


def test_the_order_of_the_frames_matters_to_the_networks_for_videos_and_not_to_that_of_one_frame(networks, videos):
  swapped = videos[:, [7, 6, 5, 3, 4, 2, 1, 0]]  # the middle one, the fifth, comes to stand fourth
  for name in ("lstm", "conv3d"):
    assert np.abs(networks[name](videos) - networks[name](swapped)).max() > 1e-4
  elsewhere = videos[:, [7, 6, 5, 3, 4, 2, 1, 0]]
  elsewhere[:, 4] = videos[:, 4]
  np.testing.assert_array_equal(networks["frame"](videos), networks["frame"](elsewhere))


def test_c3d_has_the_shapes_and_the_parameters_of_its_figure():
  """Its fully connected layers are built narrow: the paper's two hold 50 million numbers."""
  widths = [3, 64, 128, 256, 256, 512, 512, 512, 512]
  convolutions = sum(27 * a * b + b for a, b in itertools.pairwise(widths))
  model = conv3d.build((16, 112, 112, 3), 487, units=(4,))
  assert model.get_layer("pool1").output.shape[1:] == (16, 56, 56, 64)
  assert model.get_layer("pool2").output.shape[1:] == (8, 28, 28, 128)
  assert model.get_layer("pool4").output.shape[1:] == (2, 7, 7, 512)
  assert model.get_layer("flatten").output.shape[1:] == (8192,)
  assert model.count_params() == convolutions + 8192 * 4 + 4 + 4 * 487 + 487 == 27_655_936 + 35_207


@pytest.mark.parametrize("build", [frame_lstm.build, conv3d.build])
def test_an_image_is_refused(build):
  with pytest.raises(ConfigError, match=r"takes videos \(T, H, W, C\), but the data are images of shape \(24, 24, 1\)"):
    build((24, 24, 1), 8)


def test_frames_too_small_for_the_poolings_are_refused_with_layer_and_smallest_size():
  assert frame_lstm.build((2, 4, 4, 1), 8).output.shape == (None, 8)
  with pytest.raises(ConfigError, match=r"3x24 are too small for frame_lstm.*'pool2', which gets 1x12; .* that work are 4x4"):
    frame_lstm.build((8, 3, 24, 1), 8)


def test_poolings_over_space_and_time_round_up_so_that_no_video_is_too_small():
  """As the authors' code does: windows begin at the first place, and the last may stand out."""
  network = conv3d.build((1, 3, 5, 1), 8, stages=((2,), (2,)), units=())
  assert [network.get_layer(name).output.shape[1:] for name in ("pool1", "pool2")] == [(1, 2, 3, 2), (1, 1, 2, 2)]
  row = np.arange(7.0).reshape(1, 1, 1, 7, 1)
  np.testing.assert_array_equal(np.ravel(network.get_layer("pool2")(row)), [1, 3, 5, 6])


def test_a_stage_may_have_any_number_of_convolutions():
  network = conv3d.build((2, 4, 4, 1), 8, stages=((1,), (1,) * 5), units=())
  assert [layer.name for layer in network.layers if "conv" in layer.name] == [
    "conv1a", "conv2a", "conv2b", "conv2c", "conv2d", "conv2e"]
