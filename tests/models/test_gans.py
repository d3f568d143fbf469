"""Generators and discriminators: sizes counted by hand, the range of images, where batch norm is."""

import keras
import numpy as np
import pytest

from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.models import gan_mlp
from dlsuite.models.vision import dcgan, maxout_gan

RANDOM = np.random.default_rng(0)


def counts(networks):
  return {name: network.count_params() for name, network in networks.items()}


def test_the_networks_for_points_have_the_hand_counted_parameters():
  networks = gan_mlp.build((2,), latent_size=16, width=128, depth=2)
  generator = 16 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2
  discriminator = 2 * 128 + 128 + 128 * 128 + 128 + 128 + 1
  assert counts(networks) == {"generator": generator, "discriminator": discriminator}


def test_the_networks_for_images_have_the_hand_counted_parameters():
  networks = dcgan.build((28, 28, 1), latent_size=64, width=32)
  # Dense to 7 x 7 x 64 and two convolutions of 5 x 5 without bias, but for the last; four numbers a channel of batch norm.
  generator = 64 * 7 * 7 * 64 + 4 * 64 + 25 * 64 * 32 + 4 * 32 + 25 * 32 * 1 + 1
  discriminator = 25 * 1 * 32 + 32 + 25 * 32 * 64 + 64 + 7 * 7 * 64 + 1
  assert counts(networks) == {"generator": generator, "discriminator": discriminator}


def test_the_first_networks_for_images_have_the_hand_counted_parameters():
  networks = maxout_gan.build((28, 28, 1))
  generator = 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
  discriminator = 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
  assert counts(networks) == {"generator": generator, "discriminator": discriminator}


def test_a_maxout_unit_is_the_largest_of_its_own_pieces():
  discriminator = maxout_gan.build((2, 2, 1), units=2, pieces=3)["discriminator"]
  kernel = RANDOM.normal(size=(4, 6)).astype(np.float32)
  discriminator.get_layer("pieces1").set_weights([kernel, np.zeros(6, np.float32)])
  upto = keras.Model(discriminator.input, discriminator.get_layer("maxout1").output)
  image = RANDOM.normal(size=(5, 2, 2, 1)).astype(np.float32)
  np.testing.assert_allclose(upto(image), (image.reshape(5, 4) @ kernel).reshape(5, 2, 3).max(2), rtol=1e-5)


@pytest.mark.parametrize(("build", "shape"), [(gan_mlp.build, (2,)), (gan_mlp.build, (8, 8, 1)), (dcgan.build, (8, 12, 3)),
                                              (maxout_gan.build, (8, 12, 3))])
def test_noise_becomes_samples_and_samples_one_logit_each(build, shape):
  networks = build(shape, latent_size=5)
  samples = networks["generator"](RANDOM.normal(size=(3, 5)).astype(np.float32))
  assert samples.shape == (3, *shape)
  assert networks["discriminator"](samples).shape == (3, 1)


def test_generated_images_lie_between_minus_one_and_one_and_vectors_anywhere():
  noise = 1e4 * RANDOM.normal(size=(50, 5)).astype(np.float32)
  *images, points = (build(shape, latent_size=5)["generator"](noise).numpy()
                     for build, shape in ((dcgan.build, (8, 8, 1)), (maxout_gan.build, (8, 8, 1)), (gan_mlp.build, (2,))))
  assert all(0.9 < np.abs(found).max() <= 1 for found in images)
  assert np.abs(points).max() > 100


def test_batch_norm_is_in_the_generator_alone_and_not_before_its_output():
  networks = dcgan.build((8, 8, 1))
  kinds = {name: [type(layer) for layer in network.layers] for name, network in networks.items()}
  assert BatchNorm not in kinds["discriminator"]
  assert kinds["generator"].count(BatchNorm) == 2
  assert kinds["generator"][-2:] == [keras.layers.Conv2DTranspose, keras.layers.Activation]


@pytest.mark.parametrize(("shape", "says"), [((28, 30, 1), "divide by 4"), ((2,), "images")])
def test_images_that_two_strides_do_not_divide_and_vectors_are_refused(shape, says):
  with pytest.raises(ValueError, match=says):
    dcgan.build(shape)
