"""The LSTM language model against Keras's own layers, and its state against one long window."""

import keras
import numpy as np
import pytest

from dlsuite.models.sequence.lstm_language_model import build

CODES = np.random.default_rng(0).integers(11, size=(3, 8), dtype=np.int32)


@pytest.fixture(scope="module")
def network():
  return build(11, units=6, depth=2, embedding=4)


def states(random=None):
  shape = (4, 3, 6)  # h and c of two layers
  return list(random.normal(size=shape).astype(np.float32) if random else np.zeros(shape, np.float32))


@pytest.mark.parametrize(("units", "depth", "embedding"), [(512, 1, 64), (7, 3, 5)])
def test_the_parameters_are_counted_by_hand(units, depth, embedding):
  inner = sum(4 * units * ((embedding if i == 0 else units) + units + 1) for i in range(depth))
  assert build(96, units, depth, embedding).count_params() == 96 * embedding + inner + units * 96 + 96


def test_logits_and_states_are_those_of_keras_layers_with_the_same_weights(network):
  embedding, (kernel1, recurrent1, bias1), (kernel2, recurrent2, bias2), (output, bias) = (
    [w.numpy() for w in network.get_layer(name).weights] for name in ("embedding", "lstm1", "lstm2", "output"))
  start = states(np.random.default_rng(1))
  x, after = embedding[0][CODES], []
  for i, weights in enumerate(((kernel1, recurrent1, bias1), (kernel2, recurrent2, bias2))):
    layer = keras.layers.LSTM(6, return_sequences=True, return_state=True)
    layer.build(x.shape)
    layer.set_weights(weights)
    x, *state = layer(x, initial_state=start[2 * i:2 * i + 2])
    after += state
  expected = [x.numpy() @ output + bias, *after]
  for ours, theirs in zip(network([CODES, *start]), expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_two_windows_with_the_state_between_them_are_one_long_window(network):
  logits, *end = network([CODES, *states()])
  first, *between = network([CODES[:, :3], *states()])
  second, *after = network([CODES[:, 3:], *(state.numpy() for state in between)])
  np.testing.assert_allclose(np.concatenate([first, second], 1), logits, atol=1e-5)
  for ours, theirs in zip(after, end, strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_byte_changes_nothing_of_what_was_predicted_before_it(network):
  other = CODES.copy()
  other[:, 5] = (other[:, 5] + 1) % 11
  ours, theirs = (network([codes, *states()])[0].numpy() for codes in (CODES, other))
  np.testing.assert_allclose(ours[:, :5], theirs[:, :5], atol=1e-6)
  assert (np.abs(ours[:, 5] - theirs[:, 5]).max(1) > 1e-4).all()


@pytest.mark.parametrize("sizes", [{"units": 0}, {"depth": 0}, {"embedding": 0}])
def test_a_network_without_a_state_is_refused(sizes):
  with pytest.raises(ValueError, match="at least 1"):
    build(11, **{"units": 6, "depth": 1, "embedding": 4} | sizes)
