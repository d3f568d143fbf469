"""The networks for videos: counts, and what they can and cannot see."""

import itertools

import keras
import numpy as np
import pytest

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
  with pytest.raises(ValueError, match="takes videos"):
    build((24, 24, 1), 8)


def test_videos_too_small_for_the_poolings_are_refused_with_the_least_size():
  with pytest.raises(ValueError, match="at least 16 frames of 32 pixels"):
    conv3d.build((8, 112, 112, 3), 10)
  with pytest.raises(ValueError, match="below 4 pixels"):
    frame_lstm.build((8, 3, 24, 1), 8)
