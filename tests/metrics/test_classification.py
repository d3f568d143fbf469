"""Scores of classifiers against values worked out by hand and scikit-learn's."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from dlsuite.metrics import classification as scores

RANDOM = np.random.default_rng(0)
LOGITS = tf.constant(RANDOM.normal(0, 2, (300, 12)), tf.float32)
LABELS = tf.constant(RANDOM.integers(0, 11, 300), tf.int32)  # the last class does not occur


@pytest.mark.parametrize("k", [1, 5])
def test_an_example_is_wrong_if_k_other_classes_come_first(k):
  expected = top_k_accuracy_score(LABELS, LOGITS, k=k, labels=range(12))
  assert float(tf.reduce_mean(scores.top_k_wrong(LOGITS, LABELS, k))) == pytest.approx(1 - expected, abs=1e-6)


def test_of_equal_logits_those_of_lower_classes_come_first_and_no_number_is_wrong():
  flat, labels = tf.zeros((7, 7)), tf.range(7)
  assert scores.top_k_wrong(flat, labels, 5).numpy().tolist() == [0, 0, 0, 0, 0, 1, 1]
  assert scores.top_k_wrong(flat * np.nan, labels, 5).numpy().tolist() == [1] * 7


def test_the_balanced_accuracy_is_scikit_learns():
  logits = LOGITS - tf.one_hot(11, 12) * 100.0  # scikit-learn warns of guesses that are no label
  found = scores.balanced_accuracy(scores.class_tally(logits, LABELS).numpy().sum(0))
  assert found == pytest.approx(balanced_accuracy_score(LABELS, logits.numpy().argmax(1)), abs=1e-9)


def test_the_balanced_accuracy_counts_a_rare_class_as_much_as_a_common_one():
  guesses = tf.one_hot([0, 0, 0, 0, 0, 0], 2)
  found = scores.balanced_accuracy(scores.class_tally(guesses, tf.constant([0, 0, 0, 0, 0, 1])).numpy().sum(0))
  assert found == 0.5


def test_the_calibration_error_is_the_one_worked_out_by_hand():
  # Confidence 0.9 twice, of which one is right: a gap of 0.4. 0.62 once, right: 0.38, in a bin of its own.
  probabilities = tf.constant([[0.9, 0.1], [0.1, 0.9], [0.62, 0.38]])
  found = scores.calibration_error(scores.calibration_tally(probabilities, tf.constant([0, 0, 0])).numpy().sum(0))
  assert found == pytest.approx(100 * (2 / 3 * 0.4 + 1 / 3 * 0.38), abs=1e-4)


def test_a_bin_holds_its_upper_bound_and_what_is_below_the_lower_one_belongs_to_the_next():
  # Exactly certain examples belong to the last of 15 bins, a confidence of 0.8 = 12/15 to the twelfth.
  probabilities = tf.constant([[1.0, 0.0], [0.7999, 0.2001], [0.8001, 0.1999]])
  tally = scores.calibration_tally(probabilities, tf.constant([0, 0, 0])).numpy()
  assert tally[:, :scores.BINS].argmax(1).tolist() == [14, 11, 12]


def test_confident_and_always_right_is_perfectly_calibrated():
  tally = scores.calibration_tally(tf.one_hot([1, 0, 2], 3), tf.constant([1, 0, 2])).numpy()
  assert scores.calibration_error(tally.sum(0)) == 0
