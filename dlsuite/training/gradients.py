"""What is done to a gradient after it has been summed over all replicas."""

import tensorflow as tf
from ml_collections import ConfigDict


def clip(gradients: list, options: ConfigDict) -> list:
  """Clips the aggregated gradients.

  Args:
    gradients: tensors or IndexedSlices.
    options: `kind` (none, norm: each variable's, global_norm: of all together, value: each entry) and `value`.

  Source: Pascanu, Mikolov & Bengio 2013, algorithm 1 (norm).
  """
  if options.kind == "norm":
    return [tf.clip_by_norm(g, options.value) for g in gradients]
  if options.kind == "global_norm":
    return tf.clip_by_global_norm(gradients, options.value)[0]
  if options.kind == "value":
    return [tf.clip_by_value(tf.convert_to_tensor(g), -options.value, options.value) for g in gradients]
  return gradients


def all_finite(gradients: list) -> tf.Tensor:
  """Returns a bool scalar: whether no entry is NaN or infinite."""
  values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients]
  return tf.reduce_all([tf.reduce_all(tf.math.is_finite(v)) for v in values])
