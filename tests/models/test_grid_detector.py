"""The grid detector's shapes, its first guess, and what its cells see."""

import keras
import numpy as np
import pytest

from dlsuite.errors import ConfigError
from dlsuite.models.vision import grid_detector


def test_the_grid_has_a_cell_for_each_stride_and_each_predictor_its_numbers():
  network = grid_detector.build((64, 96, 3), 5, 7, widths=(4, 4, 8, 8), blocks=(0, 1, 0, 1), head=8)
  assert network.output_shape == (None, 4, 6, 5, 12)


def test_an_untrained_network_takes_an_object_for_as_likely_as_the_prior():
  keras.utils.set_random_seed(0)
  network = grid_detector.build((32, 32, 3), 2, 3, widths=(8, 8), blocks=(0, 0), head=8)
  raw = network(np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)).numpy()
  np.testing.assert_allclose(1 / (1 + np.exp(-raw[..., 4])), 0.01, atol=0.005)
  assert np.abs(np.delete(raw, 4, -1)).max() < 0.5


@pytest.mark.parametrize(("size", "nearest"), [((250, 320), "(256, 320)"), ((8, 33), "(16, 32)")])
def test_an_image_that_does_not_divide_into_cells_is_refused_with_the_nearest_size(size, nearest):
  with pytest.raises(ConfigError) as error:
    grid_detector.build((*size, 3), 1, 1)
  for words in (f"data.size={size}", "must divide by 16", f"nearest: {nearest}"):
    assert words in str(error.value)


def test_stages_that_disagree_are_refused():
  with pytest.raises(ConfigError, match=r"model\.widths=\(8, 8\) and model\.blocks=\(1,\)"):
    grid_detector.build((32, 32, 3), 1, 1, widths=(8, 8), blocks=(1,))


def test_what_a_cell_sees_lies_around_its_middle():
  network = grid_detector.build((64, 64, 1), 1, 1, widths=(2, 2, 2), blocks=(0, 0, 0), head=2)
  for layer in network.layers:  # so that nothing of the influence is lost
    if isinstance(layer, keras.layers.Conv2D):
      layer.kernel.assign(np.ones(layer.kernel.shape))
  dark = network(np.zeros((1, 64, 64, 1), np.float32)).numpy()[0, 3, 4]
  lines = np.zeros((128, 64, 64, 1), np.float32)
  for i in range(64):
    lines[i, i], lines[64 + i, :, i] = 1, 1
  touched = np.abs(network(lines).numpy()[:, 3, 4] - dark).max((1, 2)) > 1e-6
  rows, columns = np.flatnonzero(touched[:64]), np.flatnonzero(touched[64:])
  # Three strided convolutions see 15 pixels, the head's neighbours 8 more on each side: 31, around pixel 8 x 3 (+ 0 to 7).
  assert (len(rows), len(columns)) == (31, 31)
  assert (rows.mean(), columns.mean()) == (24, 32)
