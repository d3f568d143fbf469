"""The multilayer perceptron's size and shape."""

import keras
import numpy as np

from dlsuite.models.mlp import build


def test_simards_network_has_the_hand_counted_parameters() -> None:
  # 784 x 800 + 800 + 800 x 10 + 10
  assert build((28, 28, 1), 10).count_params() == 636_010


def test_depth_adds_equal_hidden_layers_with_dropout_after_each() -> None:
  network = build((28, 28, 1), 10, width=1024, depth=3, dropout=0.5)
  assert network.count_params() == 784 * 1024 + 1024 + 2 * (1024 * 1024 + 1024) + 1024 * 10 + 10
  assert [layer.name for layer in network.layers if isinstance(layer, keras.layers.Dropout)] == ["drop1", "drop2", "drop3"]


def test_logits_are_float32_and_one_a_class() -> None:
  logits = build((8, 8, 1), 7)(np.zeros((3, 8, 8, 1), np.float32))
  assert logits.shape == (3, 7) and logits.dtype == "float32"
