"""Ten crops against slices made by hand."""

import numpy as np

from dlsuite.data.views import centre, ten_crop

IMAGES = np.arange(2 * 6 * 7 * 3).reshape(2, 6, 7, 3)


def test_ten_crops_are_the_corners_and_the_centre_and_their_mirrors():
  found = [crop.numpy() if hasattr(crop, "numpy") else crop for crop in ten_crop(IMAGES, 4, 3)]
  by_hand = [IMAGES[:, :4, :3], IMAGES[:, :4, -3:], IMAGES[:, -4:, :3], IMAGES[:, -4:, -3:], IMAGES[:, 1:5, 2:5]]
  assert len(found) == 10
  for ours, expected in zip(found, [*by_hand, *(crop[:, :, ::-1] for crop in by_hand)], strict=True):
    np.testing.assert_array_equal(ours, expected)


def test_the_centre_of_an_image_of_that_size_is_the_image():
  assert centre(IMAGES, 6, 7) is IMAGES
