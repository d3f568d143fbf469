"""Steering from pictures: the squared error of what a driver did, and drives of the network's own."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import augment, sources
from dlsuite.errors import DataError
from dlsuite.rl.track import Road
from dlsuite.tasks.images import Images
from dlsuite.training.learner import Batch

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "data.channels": (0, (0, 3)),  # 3 makes grey pictures RGB
  "data.augment.mirror": (False, None),  # half of the pictures left for right, and so their steering
  "evaluate.tracks": (10, "above 0 and finite"),  # unseen ones that the network drives on after the training
  "evaluate.pictures": (1200, "above 0 and finite"),  # after which a drive ends, if a lap was not done before
}
GIVES = ("input_shape",)  # to the model's `build`

_FIRST_TRACK = 3000  # seeds of the network's own drives; those of the data are below
_FILMED_EVERY = 4  # pictures


class Steering(Images):
  """One image [B, H, W, 3] uint8 and one steering [B] an example, from -1 (left) to 1."""

  metrics = ("loss", "absolute")
  reported = ("loss", "rmse", "absolute")
  curves = ("loss", "rmse")
  units: Mapping[str, str] = {"loss": "squared steering", "rmse": "steering", "absolute": "steering"}
  network = "driver"

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set.

    Raises:
      DataError: as `Supervised.open`, and if the steering is not one number or the pictures are not RGB.
    """
    super().open(prepare)
    feature = sources.feature(self.builder, self.config.data.features, "steering", tfds.features.Tensor)
    if feature.shape or not np.issubdtype(feature.np_dtype, np.floating):
      key = f"data.features.steering={self.config.data.features.steering!r}"
      raise DataError(f"{key} of {self.builder.name} is a {type(feature).__name__} {tuple(feature.shape)}; the task needs one "
                      "number")
    if (channels := self.input_shape[-1]) != 3:
      raise DataError(f"the images of {self.builder.name} have {channels} channel(s), but the network looks at the YUV planes "
                      "of RGB ones; data.channels=3 makes grey ones RGB")

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the driver that `model.name` names."""
    return self.build_model(input_shape=self.input_shape)

  def augment(self, batch: Batch, uniform: Callable[[int], tf.Tensor]) -> Batch:  # type: ignore[override]
    """Mirrors half of the pictures and their steering, if asked to."""
    if not self.config.data.augment.mirror:
      return batch
    coin = uniform(0)
    return batch | {"image": augment.flip(batch["image"], coin),
                    "steering": tf.where(coin < 0.5, -batch["steering"], batch["steering"])}

  def preprocess(self, images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 RGB as YUV planes, about in [-1, 1] (Bojarski et al. 2016, section 4), in the compute type."""
    planes = tf.image.rgb_to_yuv(tf.cast(images, tf.float32) / 255.0)  # Y in [0, 1], U in [-0.44, 0.44], V in [-0.62, 0.62]
    return tf.cast(2.0 * planes - tf.constant([1.0, 0.0, 0.0]), keras.config.dtype_policy().compute_dtype)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor:
    """Returns the steering, float32 [b]."""
    return tf.cast(self.networks["driver"](self.preprocess(batch["image"]), training=training), tf.float32)[:, 0]

  def losses(self, outputs: tf.Tensor, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each example's squared error [b], and its size."""
    error = outputs - tf.cast(batch["steering"], tf.float32)
    return tf.square(error), {"loss": tf.square(error), "absolute": tf.abs(error)}

  def summarize(self, means: dict[str, float]) -> dict[str, float]:
    """Adds the root of the mean squared error."""
    return means | {"rmse": means["loss"] ** 0.5}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns image [N, H, W, 3], steering [N] and predicted [N]."""
    found = super().predict(split)
    return found | {"predicted": found.pop("outputs")}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an example: index, the driver's steering and the network's."""
    pairs = zip(predictions["steering"], predictions["predicted"], strict=True)
    return ["index", "steering", "predicted"], [[str(i), f"{s:.4g}", f"{p:.4g}"] for i, (s, p) in enumerate(pairs)]

  def drives(self) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Lets the network drive alone on unseen tracks, side by side, until each lap is done or the time is over.

    Returns:
      `visited`, the share of each track's tiles, `off_road`, the share of the pictures at which the car's middle was on the
      grass, both [tracks]; and pictures of the first drive, uint8 [400, 600, 3] each.
    """
    tracks, pictures = self.config.evaluate.tracks, self.config.evaluate.pictures

    @tf.function
    def steer(images: tf.Tensor) -> tf.Tensor:
      with self.averaged():
        return self.outputs({"image": images}, False)

    roads = [Road(_FIRST_TRACK + i) for i in range(tracks)]
    off, count, film = np.zeros(tracks), np.zeros(tracks), []
    images = np.zeros((tracks, *self.input_shape), np.uint8)
    for step in range(pictures):
      if all(road.over for road in roads):
        break
      for i, road in enumerate(roads):
        if not road.over:
          images[i] = road.picture()
      steering = np.clip(steer(tf.constant(images)).numpy(), -1.0, 1.0)
      if step % _FILMED_EVERY == 0 and not roads[0].over:
        film.append(roads[0].portrait())
      for i, road in enumerate(roads):
        if not road.over:
          road.drive(float(steering[i]))
          off[i] += road.offside > 1.0
          count[i] += 1
    visited = np.array([road.visited for road in roads])
    for road in roads:
      road.close()
    return {"visited": visited, "off_road": off / np.maximum(count, 1)}, film


TASK = Steering
