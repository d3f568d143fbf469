"""Autoencoders: sizes counted by hand, what is linear, and what another network can start from."""

import numpy as np
import pytest

from dlsuite.models import mlp
from dlsuite.models.autoencoder import build


def weights(network):
  return {v.path: tuple(v.shape) for v in network.weights}


def test_the_network_of_hinton_and_salakhutdinov_has_the_hand_counted_parameters():
  networks = build((28, 28, 1), code_size=30, widths=(1000, 500, 250))
  there = 784 * 1000 + 1000 + 1000 * 500 + 500 + 500 * 250 + 250 + 250 * 30 + 30
  back = 30 * 250 + 250 + 250 * 500 + 500 + 500 * 1000 + 1000 + 1000 * 784 + 784
  assert {name: network.count_params() for name, network in networks.items()} == {"encoder": there, "decoder": back}


def test_the_decoder_is_the_mirror_image_of_the_encoder():
  networks = build((8, 8, 1), code_size=3, widths=(40, 20))
  there, back = ([v.shape for v in networks[name].weights if len(v.shape) == 2] for name in ("encoder", "decoder"))
  assert [tuple(shape) for shape in there] == [(64, 40), (40, 20), (20, 3)]
  assert [tuple(shape) for shape in back] == [(3, 20), (20, 40), (40, 64)]
  assert networks["decoder"].output_shape == (None, 8, 8, 1)


def test_no_name_of_a_weight_is_in_both_networks():
  networks = build((8, 8, 1), widths=(40, 20))
  assert not weights(networks["encoder"]).keys() & weights(networks["decoder"]).keys()


def test_a_perceptron_of_the_same_widths_can_start_from_the_encoders_hidden_layers():
  encoder, perceptron = build((8, 8, 1), code_size=5, widths=(40, 40))["encoder"], mlp.build((8, 8, 1), 10, width=40, depth=2)
  shared = weights(encoder).items() & weights(perceptron).items()
  assert {path for path, _ in shared} == {f"hidden{i}/{kind}" for i in (1, 2) for kind in ("kernel", "bias")}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_without_hidden_layers_the_reconstruction_is_an_affine_map(activation):
  networks = build((4, 4, 1), code_size=3, widths=(), activation=activation)

  def through(images):
    return networks["decoder"](networks["encoder"](images)).numpy()

  a, b, zero = *np.random.default_rng(0).normal(0, 5, (2, 6, 4, 4, 1)).astype(np.float32), np.zeros((6, 4, 4, 1), np.float32)
  np.testing.assert_allclose(through(a) + through(b), through(a + b) + through(zero), atol=1e-4)
  assert np.linalg.matrix_rank((through(a) - through(zero)).reshape(6, 16), tol=1e-3) == 3


def test_a_variational_encoder_gives_a_mean_and_a_log_variance_of_the_same_size():
  encoder = build((8, 8, 1), code_size=5, widths=(40,), variational=True)["encoder"]
  mean, log_variance = encoder(np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32))
  assert mean.shape == log_variance.shape == (2, 5)
  assert encoder.count_params() == 64 * 40 + 40 + 2 * (40 * 5 + 5)
  assert np.abs(mean - log_variance).min() > 0  # two layers, not one twice
