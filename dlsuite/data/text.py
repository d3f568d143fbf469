"""A text as windows for truncated backpropagation: a row goes on where it stopped in the window before.

Row r of B reads the r-th part of the text. The byte at a place is predicted from those before it, the first of the text
from a newline. As everywhere, a batch depends on (seed, step) alone, and replica r of R takes rows [r B/R, (r + 1) B/R).
"""

import dataclasses

import numpy as np
import tensorflow as tf

from dlsuite.data import randomness
from dlsuite.data.pipeline import PARALLEL, Batch, Evaluation, distribute
from dlsuite.errors import DataError
from dlsuite.strategy import Strategy

_OFFSET_DRAW = 400  # of the random numbers of row 0


@dataclasses.dataclass(frozen=True)
class Windows:
  """How a text is cut.

  Attributes:
    codes: int32 [N], the text; `codes[i]` is predicted from those before it.
    first: the code that stands before the text.
    rows: B, over all replicas.
    window: T, places of a window.
  """

  codes: np.ndarray
  first: int
  rows: int
  window: int

  @property
  def steps_per_epoch(self) -> int:
    """Whole windows in a row.

    Raises:
      DataError: if there is none.
    """
    steps = len(self.codes) // self.rows // self.window
    if not steps:
      raise DataError(f"data.batch_size={self.rows} x data.window={self.window} is more than the training text's "
                      f"{len(self.codes):,} bytes")
    return steps

  def at(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the codes before some positions, and those at them."""
    text = tf.constant(np.concatenate([[self.first], self.codes]).astype(np.int32))
    return tf.gather(text, position), tf.gather(text, position + 1)


def train_windows(windows: Windows, seed: int, strategy: Strategy, start_step: int) -> tf.data.Iterator:
  """Returns an endless distributed iterator of training windows from a step on.

  Each epoch starts at another place within what does not fill a window, so that no byte is always left out.

  Returns:
    An iterator of {"inputs": int32 [b, T], "targets": int32 [b, T], "start": float32 [b], 1 where a row begins anew}.
  """
  steps_per_epoch, length = windows.steps_per_epoch, len(windows.codes) // windows.rows
  spare = length - steps_per_epoch * windows.window + 1
  part, local = windows.rows // strategy.replicas, strategy.local_replicas

  def make(first_replica: int) -> tf.data.Dataset:
    def batch_at(k: tf.Tensor) -> Batch:
      step, replica = start_step + k // local, first_replica + k % local
      epoch, window = step // steps_per_epoch, step % steps_per_epoch
      draw = randomness.uniform(seed, epoch, tf.zeros([1], tf.int64), _OFFSET_DRAW)[0]
      offset = tf.cast(tf.cast(draw, tf.float64) * spare, tf.int64)
      rows = replica * part + tf.range(part, dtype=tf.int64)
      places = offset + window * windows.window + tf.range(windows.window, dtype=tf.int64)
      inputs, targets = windows.at(rows[:, tf.newaxis] * length + places)
      return {"inputs": inputs, "targets": targets, "start": tf.fill([part], tf.cast(window == 0, tf.float32))}

    return tf.data.Dataset.counter().map(batch_at, num_parallel_calls=PARALLEL, deterministic=True)

  return distribute(make, strategy)


def evaluation_windows(windows: Windows, strategy: Strategy) -> Evaluation:
  """Returns windows in which each byte comes exactly once a pass.

  Returns:
    As `train_windows`, with "mask" float32 [b, T], 0 for padding, and "position" int64 [b, T] in the text.
  """
  size = len(windows.codes)
  part, local = -(-windows.rows // strategy.replicas), strategy.local_replicas
  length = -(-size // windows.rows)  # of a row; those that divide up to whole replicas are empty
  steps = -(-length // windows.window)

  def make(first_replica: int) -> tf.data.Dataset:
    def batch_at(k: tf.Tensor) -> Batch:
      window, replica = k // local % steps, first_replica + k % local
      rows = replica * part + tf.range(part, dtype=tf.int64)
      places = window * windows.window + tf.range(windows.window, dtype=tf.int64)
      position = rows[:, tf.newaxis] * length + places
      real = (places < length) & (position < size)
      inputs, targets = windows.at(tf.where(real, position, 0))
      return {"inputs": inputs, "targets": targets, "start": tf.fill([part], tf.cast(window == 0, tf.float32)),
              "mask": tf.cast(real, tf.float32), "position": position}

    return tf.data.Dataset.counter().map(batch_at, num_parallel_calls=PARALLEL, deterministic=True)

  return Evaluation(distribute(make, strategy), steps, size, "bytes")
