"""From a tfds source to distributed batches that depend only on (seed, step): a resume needs nothing but the step.

Each worker makes just its own replicas' batches. Of step s, replica r of R takes positions [r B/R, (r + 1) B/R) of the
step's B positions in the epoch's permutation, so that the examples of a step are the same for any number of replicas.
Training drops the last partial batch of an epoch (another one each epoch); evaluation pads it and masks the padding.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from dlsuite.data import randomness, records, sources
from dlsuite.data.clips import clip, is_video
from dlsuite.data.crops import Crop, Draws, resized
from dlsuite.errors import DataError, nearest
from dlsuite.strategy import Strategy

Batch = dict[str, Any]
Augment = Callable[[Batch, Callable[[int], tf.Tensor]], Batch]

MEMORY_LIMIT = 4 * 2**30  # bytes of decoded examples that cache='auto' keeps in memory
MASK, INDEX = "mask", "index"
DECODERS = max(2, len(os.sched_getaffinity(0)))  # examples that are decoded at a time: eight chips outrun 16 threads
PARALLEL = min(16, DECODERS)  # batches that are made at a time, and that wait to be learnt


def fixed_options() -> tf.data.Options:
  """Returns deterministic options without autotuning, whose thread holds up the end of an iterator for up to a minute."""
  options = tf.data.Options()
  options.deterministic = True
  options.autotune.enabled = False
  return options


@dataclasses.dataclass(frozen=True)
class Split:
  """One split of a data set, ready to be read.

  Attributes:
    builder: the prepared tfds builder.
    name: the tfds split string.
    size: number of examples.
    features: {the task's word: the data set's key}.
    resize: pixels a side that images are brought to, or 0.
    in_memory: whether the decoded examples are held in memory.
    crop: how images become squares as they are decoded, if not by `resize`.
    frames: that are taken of a video, or 0 for all.
    channels: of images and videos, into which they are converted; 0 keeps what they have.
  """

  builder: Any
  name: str
  size: int
  features: dict[str, str]
  resize: int
  in_memory: bool
  crop: Crop | None = None
  frames: int = 0
  channels: int = 0

  @classmethod
  def open(cls, builder: Any, config: ConfigDict, key: str) -> "Split":
    """Opens `config.data[key]` (key: train, valid or test).

    Raises:
      DataError: if the split or one of the mapped features does not exist.
    """
    features = dict(config.data.features)
    for word, feature in features.items():
      if feature not in builder.info.features:
        known = list(builder.info.features)
        raise DataError(f"data.features.{word}={feature!r} is not a feature of {builder.name}{nearest(feature, known)}; "
                        f"it has: {', '.join(known)}")
    name = config.data[key]
    size = sources.num_examples(builder, name, f"data.{key}")
    crop = crop_of(config)
    pixels = (crop.shorter if crop.keep_square else crop.size) if crop else config.data.resize
    frames, channels = config.data.get("frames", 0), config.data.get("channels", 0)
    shapes = [_shape(builder, feature, pixels, frames, channels) for feature in features.values()]
    bytes_an_example = sum(int(np.prod([d or 512 for d in shape])) for shape in shapes)
    cache = config.data.cache
    in_memory = cache == "memory" or (cache == "auto" and bytes_an_example * size <= MEMORY_LIMIT)
    if crop and key == "train":  # each epoch has other windows
      in_memory = False
    return cls(builder, name, size, features, config.data.resize, in_memory, crop, frames, channels)

  def _is_image(self, feature: str) -> bool:
    return isinstance(self.builder.info.features[feature], tfds.features.Image)

  @property
  def decoders(self) -> dict[str, Any] | None:
    """What tfds shall leave to `decode`: images that are cropped as they are read."""
    return {feature: tfds.decode.SkipDecoding() for feature in self.features.values()
            if self._is_image(feature)} if self.crop else None

  def decode(self, example: dict[str, tf.Tensor], draws: Draws | None = None) -> Batch:
    """Picks the mapped features of one example and brings images to their size.

    Args:
      example: decoded by tfds, but for what `decoders` names.
      draws: random numbers of the example where it is one of the training, for a random crop.
    """
    batch = {word: example[feature] for word, feature in self.features.items()}
    for word, feature in self.features.items():
      if is_video(self.builder.info.features[feature]):
        batch[word] = clip(batch[word], self.frames, self.resize)
      elif not self._is_image(feature):
        continue
      elif self.crop:
        channels = self.builder.info.features[feature].shape[-1]
        batch[word] = self.crop.train(batch[word], channels, draws) if draws else self.crop.evaluate(batch[word], channels)
      elif self.resize:
        batch[word] = resized(batch[word], self.resize)
      if self.channels == 3 and batch[word].shape[-1] == 1:
        batch[word] = tf.repeat(batch[word], 3, -1)
      elif self.channels == 1 and batch[word].shape[-1] == 3:
        batch[word] = tf.image.rgb_to_grayscale(batch[word])
    return batch

  def examples(self) -> tf.data.Dataset:
    """Returns the decoded examples in the split's own order."""
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    dataset = self.builder.as_dataset(split=self.name, shuffle_files=False, read_config=config, decoders=self.decoders)
    return dataset.map(self.decode, num_parallel_calls=DECODERS, deterministic=True)

  def arrays(self, most: int = -1) -> dict[str, np.ndarray]:
    """Returns the decoded examples, {word: [N, ...]}, in the split's own order; at most so many of the first, -1 all.

    Raises:
      DataError: if the examples differ in shape.
    """
    try:
      parts = list(self.examples().take(most).batch(1024).prefetch(2).with_options(fixed_options()).as_numpy_iterator())
    except tf.errors.InvalidArgumentError:
      raise DataError(f"data.name={self.builder.name!r}: the examples differ in size; set data.resize "
                      "to pixels a side") from None
    return {word: np.concatenate([part[word] for part in parts]) for word in self.features}


def crop_of(config: ConfigDict) -> Crop | None:
  """Returns how the config crops images as they are read, or None."""
  data = config.data
  if not data.get("crop", 0):
    return None
  how = data.augment
  return Crop(data.crop, how.crop, tuple(how.area), tuple(how.ratio), tuple(how.scales), data.shorter,
              config.evaluate.get("augment", "none") == "ten_crop")


def _shape(builder: Any, feature: str, resize: int, frames: int, channels: int) -> tuple[int | None, ...]:
  kind = builder.info.features[feature]
  if not is_video(kind) and not isinstance(kind, tfds.features.Image):
    return tuple(kind.shape)
  *length, height, width, own = kind.shape
  if channels and own not in (1, 3):
    raise DataError(f"data.channels={channels} converts between 1 channel and 3, but {feature} of {builder.name} has {own}: "
                    "set it to 0")
  return (*(frames or frame for frame in length), resize or height, resize or width, channels or own)


def feature_shape(builder: Any, config: ConfigDict, word: str) -> tuple[int | None, ...]:
  """Returns the shape of one example's feature as the network sees it, e.g. (28, 28, 1), of a video (T, H, W, C)."""
  data = config.data
  return _shape(builder, data.features[word], data.get("crop", 0) or data.resize, data.get("frames", 0),
                data.get("channels", 0))


def train_batches(split: Split, config: ConfigDict, strategy: Strategy, start_step: int, augment: Augment | None) -> Any:
  """Returns an endless distributed iterator of training batches from a step on.

  Args:
    split: the training split.
    config: uses `data.batch_size` (global) and `seed`.
    strategy: how many replicas there are and which belong to this worker.
    start_step: the first step whose batch is wanted.
    augment: applied to a batch {word: [B/R, ...]} with a source of per-example random numbers, drawn by the example's
      index (of streamed records: by its place in the epoch).

  Returns:
    An iterator of {word: [B/R, ...]} per replica.

  Raises:
    DataError: if the split holds less than one batch.
  """
  batch_size = config.data.batch_size
  steps_per_epoch = split.size // batch_size
  if not steps_per_epoch:
    raise DataError(f"data.batch_size={batch_size} is larger than data.train={split.name!r} ({split.size} examples)")
  part, local = batch_size // strategy.replicas, strategy.local_replicas

  def augmented(epoch: tf.Tensor, example: tf.Tensor, batch: Batch) -> Batch:
    if augment is None:
      return batch
    return augment(batch, lambda draw: randomness.uniform(config.seed, epoch, example, draw))

  def from_memory(first_replica: int) -> tf.data.Dataset:
    arrays = {word: tf.constant(array) for word, array in split.arrays().items()}

    def batch_at(k: tf.Tensor) -> Batch:
      step, replica = start_step + k // local, first_replica + k % local
      epoch = step // steps_per_epoch
      position = (step % steps_per_epoch) * batch_size + replica * part + tf.range(part, dtype=tf.int64)
      index = randomness.shuffled_indices(position, split.size, config.seed, epoch)
      return augmented(epoch, index, {word: tf.gather(array, index) for word, array in arrays.items()})

    return tf.data.Dataset.counter().map(batch_at, num_parallel_calls=PARALLEL, deterministic=True)

  def from_files(first_replica: int) -> tf.data.Dataset:
    first_epoch, skipped = start_step // steps_per_epoch, start_step % steps_per_epoch * batch_size

    def decode(epoch: tf.Tensor, position: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Batch]:
      example = split.builder.info.features.deserialize_example(record, decoders=split.decoders)

      def draws(first: int, count: int) -> tf.Tensor:
        return randomness.uniform(config.seed, epoch, position[tf.newaxis], first + tf.range(count))[0]

      return epoch, position, split.decode(example, draws)

    def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
      dataset = records.shuffled(split.builder, split.name, config.seed, epoch).take(steps_per_epoch * batch_size)
      dataset = dataset.enumerate().skip(tf.where(epoch == first_epoch, tf.constant(skipped, tf.int64), 0))
      dataset = dataset.filter(lambda position, _: is_ours(position % batch_size // part))
      return dataset.map(lambda position, record: (epoch, position, record))

    def is_ours(replica: tf.Tensor) -> tf.Tensor:
      return (replica >= first_replica) & (replica < first_replica + local)

    dataset = tf.data.Dataset.counter(first_epoch).flat_map(epoch_records)
    dataset = dataset.map(decode, num_parallel_calls=DECODERS, deterministic=True)
    return dataset.batch(part, drop_remainder=True).map(augmented, num_parallel_calls=PARALLEL, deterministic=True)

  return distribute(from_memory if split.in_memory else from_files, strategy)


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Batches that pass over a split again and again, `steps` of them a pass.

  Attributes:
    batches: a distributed iterator of {word: [b, ...], "mask": float32 [b], "index": int64 [b]}: the mask is 0 for padding,
      the index is an example's place in the split.
    steps: batches a pass.
    size: examples a pass, padding not counted.
    unit: what is counted.
  """

  batches: Any
  steps: int
  size: int
  unit: str = "examples"


def evaluation_batches(split: Split, batch_size: int, strategy: Strategy) -> Evaluation:
  """Returns batches in which each example of a split comes exactly once a pass, in the split's order.

  Args:
    split: the split.
    batch_size: global; rounded up to a multiple of the replicas.
    strategy: how many replicas there are and which belong to this worker.
  """
  part, local = -(-batch_size // strategy.replicas), strategy.local_replicas
  whole = part * strategy.replicas
  steps = -(-split.size // whole)

  def from_memory(first_replica: int) -> tf.data.Dataset:
    arrays = {word: tf.constant(array) for word, array in split.arrays().items()}

    def batch_at(k: tf.Tensor) -> Batch:
      step, replica = k // local % steps, first_replica + k % local
      position = step * whole + replica * part + tf.range(part, dtype=tf.int64)
      batch = {word: tf.gather(array, tf.minimum(position, split.size - 1)) for word, array in arrays.items()}
      return batch | {MASK: tf.cast(position < split.size, tf.float32), INDEX: position}

    return tf.data.Dataset.counter().map(batch_at, num_parallel_calls=PARALLEL, deterministic=True)

  def from_files(first_replica: int) -> tf.data.Dataset:
    real = split.examples().map(lambda batch: batch | {MASK: 1.0})
    padding = real.take(1).map(lambda batch: batch | {MASK: 0.0}).repeat(steps * whole - split.size)
    numbered = real.concatenate(padding).enumerate().map(lambda position, batch: batch | {INDEX: position})
    batches = numbered.batch(part, drop_remainder=True).enumerate()
    ours = batches.filter(lambda i, _: (i % strategy.replicas >= first_replica)
                          & (i % strategy.replicas < first_replica + local))
    return ours.map(lambda _, batch: batch).repeat()

  return Evaluation(distribute(from_memory if split.in_memory else from_files, strategy), steps, split.size)


def distribute(make: Callable[[int], tf.data.Dataset], strategy: Strategy) -> Any:
  """Returns an iterator of batches; `make(first replica of this worker)` gives those of its replicas in turn.

  On GPUs and TPUs the strategy copies ahead to each device. That goes through one more, autotuned dataset a device, so
  on the CPU, where there is nothing to copy, a worker's batches come stacked and each replica takes its own by
  `own_part`.
  """

  def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
    first_replica = context.input_pipeline_id * (strategy.replicas // context.num_input_pipelines)
    return make(first_replica).prefetch(PARALLEL).with_options(fixed_options())

  if strategy.device != "cpu":
    return iter(strategy.tf.distribute_datasets_from_function(of_worker))
  dataset = of_worker(tf.distribute.InputContext(strategy.workers, strategy.worker_index, strategy.replicas))
  if strategy.local_replicas > 1:
    dataset = dataset.batch(strategy.local_replicas, drop_remainder=True).with_options(fixed_options())
  return iter(dataset)


def own_part(batch: Batch, strategy: Strategy) -> Batch:
  """Returns this replica's batch of what the iterator gave, in replica context."""
  if strategy.device != "cpu" or strategy.local_replicas == 1:
    return batch
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  return {word: value[replica % strategy.local_replicas] for word, value in batch.items()}
