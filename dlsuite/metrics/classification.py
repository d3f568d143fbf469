"""How good a classifier's guesses and probabilities are, as sums over examples that batches and replicas add up."""

import numpy as np
import tensorflow as tf

BINS = 15  # of confidence, as in Guo et al. 2017


def top_k_wrong(logits: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
  """Returns 1.0 where the label is not among the k classes of the largest logits, else 0.0: float32 [B].

  Of equal logits those of lower classes come first, as for `argmax`; a label whose logit is not a number is wrong.

  Args:
    logits: float32 [B, C].
    labels: int32 [B].
    k: guesses that are allowed.
  """
  own = tf.gather(logits, labels, batch_dims=1)[:, None]
  before = (logits > own) | ((logits == own) & (tf.range(logits.shape[1]) < labels[:, None]))
  wrong = (tf.reduce_sum(tf.cast(before, tf.int32), 1) >= k) | tf.math.is_nan(own[:, 0])
  return tf.cast(wrong, tf.float32)


def calibration_tally(probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Returns each example's number, confidence and rightness in the bin of its confidence: float32 [B, 3 * BINS].

  Args:
    probabilities: float32 [B, C].
    labels: int32 [B].
  """
  confidence = tf.reduce_max(probabilities, 1)
  right = tf.cast(tf.equal(tf.argmax(probabilities, 1, output_type=tf.int32), labels), tf.float32)
  # The first bin is (0, 1/15], the last (14/15, 1].
  place = tf.one_hot(tf.clip_by_value(tf.cast(tf.math.ceil(confidence * BINS), tf.int32) - 1, 0, BINS - 1), BINS)
  return tf.concat([place, place * confidence[:, None], place * right[:, None]], 1)


def calibration_error(sums: np.ndarray) -> float:
  """Returns the expected calibration error in % from the sum of `calibration_tally`, [3 * BINS].

  It is the mean over examples of the distance between the confidence and the accuracy of their bin.

  Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", equation 3.
  """
  count, confidence, right = np.split(np.asarray(sums, np.float64), 3)
  return float(100.0 * np.abs(confidence - right).sum() / count.sum())


def class_tally(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
  """Returns each example's number and rightness at the place of its class: float32 [B, 2 * C].

  Args:
    logits: float32 [B, C], or probabilities.
    labels: int32 [B].
  """
  place = tf.one_hot(labels, logits.shape[1])
  right = tf.cast(tf.equal(tf.argmax(logits, 1, output_type=tf.int32), labels), tf.float32)
  return tf.concat([place, place * right[:, None]], 1)


def balanced_accuracy(sums: np.ndarray) -> float:
  """Returns the mean over the classes that occur of the share of their examples that are right, from [2 * C] sums.

  Source: Brodersen, Ong, Stephan & Buhmann 2010, "The balanced accuracy and its posterior distribution".
  """
  count, right = np.split(np.asarray(sums, np.float64), 2)
  occurs = count > 0
  return float((right[occurs] / count[occurs]).mean())
