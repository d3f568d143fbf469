"""The layers of 1998 against the paper (LeCun et al. 1998, section II and appendix A) and hand-worked numbers."""

import collections
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlsuite.errors import ConfigError
from dlsuite.layers.lenet import C3_TABLE, RadialBasis, ScaledTanh, Subsampling, TableConvolution, digit_codes
from dlsuite.models.vision import lenet5

# Table I of the paper as printed: a row for each map of S2, a column for each map of C3.
TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def test_c3_is_connected_as_in_table_i():
  printed = [tuple(s2 for s2, row in enumerate(TABLE_I.split()) if row[c3] == "X") for c3 in range(16)]
  assert list(C3_TABLE) == printed
  assert collections.Counter(map(len, C3_TABLE)) == {3: 6, 4: 9, 6: 1}
  assert sum(map(len, C3_TABLE)) == 60


def test_c3_has_the_papers_1516_trainable_parameters():
  layer = TableConvolution(16, 5, table=C3_TABLE)
  layer.build((None, 14, 14, 6))
  assert layer.count_params() == 1516


@pytest.mark.parametrize("table", [None, ((0, 1, 2),) * 4])
def test_a_full_table_is_keras_convolution(table):
  ours, theirs = TableConvolution(4, 3, table=table, dtype="float32"), keras.layers.Conv2D(4, 3, dtype="float32")
  ours.build((None, 7, 8, 3))
  theirs.build((None, 7, 8, 3))
  random = np.random.default_rng(0)
  kernel, bias = random.normal(size=(3, 3, 3, 4)), random.normal(size=4)
  theirs.set_weights([kernel, bias])
  ours.set_weights([kernel.transpose(0, 1, 3, 2).reshape(3, 3, 12), bias])  # a kernel a connection, output by output
  x = tf.constant(random.normal(size=(2, 7, 8, 3)), tf.float32)
  np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize("changed", range(6))
def test_an_input_map_changes_exactly_the_outputs_it_is_connected_to(changed):
  layer = TableConvolution(16, 5, table=C3_TABLE, dtype="float32")
  x = np.random.default_rng(0).normal(size=(1, 5, 5, 6)).astype("float32")
  other = x.copy()
  other[..., changed] += 1
  moved = np.abs(layer(x) - layer(other)).max((0, 1, 2)) > 0
  assert [i for i, row in enumerate(C3_TABLE) if changed in row] == np.flatnonzero(moved).tolist()


def test_weights_start_within_2_4_over_the_fan_in():
  layer = TableConvolution(16, 5, table=C3_TABLE, dtype="float32")
  layer.build((None, 14, 14, 6))
  first, last = np.abs(layer.kernel.numpy()[..., :3]), np.abs(layer.kernel.numpy()[..., -6:])
  for largest, inputs in ((first.max(), 3), (last.max(), 6)):
    assert 0.9 * 2.4 / (25 * inputs) < largest <= 2.4 / (25 * inputs)


def test_the_original_is_refused_for_other_than_ten_classes_and_small_images_by_their_layer():
  with pytest.raises(ConfigError, match="the network of 1998 knows 10 classes, the data have 5"):
    lenet5.build((28, 28, 1), 5, original=True)
  with pytest.raises(ConfigError, match=r"(?s)8.*smallest"):
    lenet5.build((8, 8, 1), 10)


def test_subsampling_adds_times_a_coefficient_plus_a_bias_squashed():
  layer = Subsampling(dtype="float32")
  x = np.zeros((1, 2, 4, 2), "float32")
  x[0, :, :2, 0], x[0, :, 2:, 0], x[0, :, :2, 1] = [[1, 2], [3, 4]], [[-1, -2], [-3, -4]], [[1, 1], [1, 1]]
  layer.build(x.shape)
  layer.set_weights([np.array([0.1, 0.5]), np.array([0.5, -2.0])])
  # First map 0.1 x (+-10) + 0.5 = 1.5 and -0.5; second 0.5 x 4 - 2 = 0 and 0.5 x 0 - 2 = -2.
  states = np.array([[[[1.5, 0.0], [-0.5, -2.0]]]])
  np.testing.assert_allclose(layer(x), 1.7159 * np.tanh(2 / 3 * states), rtol=1e-5, atol=1e-7)


def test_the_scaled_tanh_maps_plus_and_minus_one_to_themselves():
  values = ScaledTanh(dtype="float32")(tf.constant([1.0, -1.0, 0.0, 100.0])).numpy()
  assert values.tolist() == pytest.approx([1, -1, 0, 1.7159], abs=1e-4)


def test_digit_codes_are_ten_distinct_drawings_of_plus_and_minus_one():
  codes = digit_codes()
  assert codes.shape == (10, 7 * 12)
  assert set(codes.ravel().tolist()) == {-1.0, 1.0}
  assert len({code.tobytes() for code in codes}) == 10


def test_a_digits_own_code_has_no_penalty_and_every_other_4_a_differing_pixel():
  codes = digit_codes()
  logits = RadialBasis(dtype="float32")(tf.constant(codes)).numpy()
  differing = (codes[:, None] != codes[None]).sum(-1)  # each adds (1 - -1)^2
  np.testing.assert_allclose(logits, -4.0 * differing)
  assert (logits + 1e9 * np.eye(10)).argmax(1).tolist() == list(range(10))
  assert logits[~np.eye(10, dtype=bool)].max() < 0


def test_the_radial_penalty_of_a_blank_state_is_84_for_every_digit():
  layer = RadialBasis(dtype="float32")
  np.testing.assert_allclose(layer(tf.zeros([1, 84])), np.full((1, 10), -84.0))
  assert layer.trainable_weights == []
  assert math.prod(layer.codes.shape) == 840
