"""The fourteen operations against Pillow's, of the same strength."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from dlsuite.data import rand_augment as ours

SMOOTH = np.add.outer(np.arange(24) * 5, np.arange(32) * 4)[..., None].repeat(3, 2) // (1, 2, 3) + 10
NOISE = np.random.default_rng(0).integers(20, 220, (24, 32, 3))
IMAGES = np.stack([SMOOTH, NOISE]).astype(np.uint8)
AFFINE, GREY = Image.Transform.AFFINE, (128, 128, 128)
# What Pillow does at strength +1 and -1 (magnitude 10), in the words of AutoAugment's table 6.
PILLOW = {
  "identity": lambda image, s: image,
  "auto_contrast": lambda image, s: ImageOps.autocontrast(image),
  "equalize": lambda image, s: ImageOps.equalize(image),
  "rotate": lambda image, s: image.rotate(30 * s, fillcolor=GREY),
  "solarize": lambda image, s: ImageOps.solarize(image, 0),
  "color": lambda image, s: ImageEnhance.Color(image).enhance(1 + 0.9 * s),
  "posterize": lambda image, s: ImageOps.posterize(image, 4),
  "contrast": lambda image, s: ImageEnhance.Contrast(image).enhance(1 + 0.9 * s),
  "brightness": lambda image, s: ImageEnhance.Brightness(image).enhance(1 + 0.9 * s),
  "sharpness": lambda image, s: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * s),
  "shear_x": lambda image, s: image.transform(image.size, AFFINE, (1, 0.3 * s, 0, 0, 1, 0), fillcolor=GREY),
  "shear_y": lambda image, s: image.transform(image.size, AFFINE, (1, 0, 0, 0.3 * s, 1, 0), fillcolor=GREY),
  "translate_x": lambda image, s: image.transform(image.size, AFFINE, (1, 0, 15 * s, 0, 1, 0), fillcolor=GREY),  # 150/331 of 32
  "translate_y": lambda image, s: image.transform(image.size, AFFINE, (1, 0, 0, 0, 1, 11 * s), fillcolor=GREY),  # of 24
}


def test_the_operations_are_the_papers_fourteen():
  assert list(ours.OPERATIONS) == list(PILLOW)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", PILLOW)
def test_an_operation_is_pillows(name, sign):
  chosen = tf.fill([2], ours.OPERATIONS.index(name))
  found = ours.apply(tf.constant(IMAGES), chosen, tf.fill([2], float(sign))).numpy()
  expected = np.stack([np.array(PILLOW[name](Image.fromarray(image), sign)) for image in IMAGES])
  if name == "rotate":  # a sine of single precision may fall on the other side of a pixel's edge
    assert (found != expected).any(-1).mean() < 0.01
  else:
    np.testing.assert_array_equal(found, expected)
  if name != "identity":
    assert (found != IMAGES).any()


def test_each_image_gets_its_own_operation():
  chosen = [3, 0, 5, 13, 9, 1]
  strengths = [0.5, 0.5, 1.0, -0.7, 1.2, 0.3]
  images = np.concatenate([IMAGES] * 3)
  together = ours.apply(tf.constant(images), tf.constant(chosen), tf.constant(strengths)).numpy()
  for i, (operation, strength) in enumerate(zip(chosen, strengths, strict=True)):
    alone = ours.apply(tf.constant(images[i:i + 1]), tf.constant([operation]), tf.constant([strength])).numpy()
    np.testing.assert_array_equal(together[i], alone[0])


def test_a_magnitude_of_zero_changes_only_what_has_no_magnitude():
  for i, name in enumerate(ours.OPERATIONS):
    found = ours.apply(tf.constant(IMAGES), tf.fill([2], i), tf.zeros([2])).numpy()
    assert (found == IMAGES).all() == (name not in ("auto_contrast", "equalize")), name


def test_all_operations_are_drawn_equally_often_and_magnitudes_beyond_the_scale_stay_images():
  count = 1400
  random = np.random.default_rng(2).random((4, count)).astype("float32")
  images = tf.constant(np.broadcast_to(IMAGES[:1, :8, :8], (count, 8, 8, 3)))
  found = ours.rand_augment(images, 2, 30.0, lambda draw: tf.constant(random[draw]), 0)
  assert (found.dtype, found.shape) == (tf.uint8, (count, 8, 8, 3))
  counts = np.bincount((random[0] * 14).astype(int), minlength=14)
  assert ((counts - 100) ** 2 / 100).sum() < 34.5  # chi-squared of 13 degrees of freedom, one in a thousand
  unchanged = (ours.rand_augment(images, 1, 10.0, lambda draw: tf.constant(random[draw]), 0).numpy() == images.numpy()
               ).all((1, 2, 3))
  assert unchanged[(random[0] * 14).astype(int) == 0].all()


def test_grey_images_are_augmented_as_colour_images_of_three_equal_channels():
  chosen, strength = tf.range(14), tf.fill([14], 0.6)
  image = tf.repeat(tf.constant(IMAGES[:1, ..., :1]), 14, 0)
  single = ours.apply(image, chosen, strength)
  np.testing.assert_array_equal(tf.repeat(single, 3, -1), ours.apply(tf.repeat(image, 3, -1), chosen, strength))
