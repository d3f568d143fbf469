"""Colours against Pillow's own, and AlexNet's noise against its distribution."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from dlsuite.data import colour

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)
FACTORS = (0.3, 1.0, 1.7)


def test_grey_is_pillows():
  ours = colour.grey(IMAGES).numpy()[..., 0]
  np.testing.assert_array_equal(ours, [np.array(Image.fromarray(image).convert("L")) for image in IMAGES])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_jitter_enhances_as_pillow_does(name):
  given = dict.fromkeys(("brightness", "contrast", "saturation")) | {name: tf.constant(FACTORS)}
  enhancer = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}[name]
  expected = [np.array(enhancer(Image.fromarray(image)).enhance(factor)) for image, factor in zip(IMAGES, FACTORS, strict=True)]
  np.testing.assert_array_equal(colour.jitter(tf.constant(IMAGES), **given), expected)


def test_lighting_shifts_all_pixels_of_an_image_alike_along_the_published_components():
  count = 4000
  random = np.random.default_rng(1).random((6, count)).astype("float32")
  images = np.full((count, 1, 2, 3), 128, np.uint8)
  shift = colour.lighting(tf.constant(images), 0.1, lambda draw: tf.constant(random[draw - 8]), 8).numpy().astype(float) - 128
  np.testing.assert_array_equal(shift[:, :, 0], shift[:, :, 1])
  # fb.resnet.torch: components in columns and their deviations; 0.1 is the paper's.
  components = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
  covariance = 25.5**2 * components @ np.diag(np.square([0.2175, 0.0188, 0.0045])) @ components.T
  found = np.cov(shift[:, 0, 0].T)
  np.testing.assert_allclose(found, covariance + np.eye(3) / 12, rtol=0.12)  # rounding adds a twelfth to each variance
