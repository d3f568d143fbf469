"""Numbers from numbers: squared error on standardised targets, R2 and the error in the target's own unit."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.errors import DataError
from dlsuite.tasks.supervised import Supervised
from dlsuite.training.learner import Batch

GIVES = ("input_shape", "num_outputs")  # to the model's `build`


class Regression(Supervised):
  """`features` float [D] and one `target` float an example; both are standardised by the training split's mean and spread."""

  metrics = ("loss", "target", "target_squared")
  reported = ("loss", "rmse", "r2")
  network = "regressor"

  def open(self, prepare: bool = True) -> None:
    """Finds the tfds set and measures the training split; one that is not prepared counts as standardised.

    Raises:
      DataError: as `Supervised.open`, and if the features are no numbers or the target is not one number.
    """
    super().open(prepare)
    for word, needed in (("features", "numbers in a row"), ("target", "one number")):
      feature = sources.feature(self.builder, self.config.data.features, word, tfds.features.Tensor)
      if bool(feature.shape) != (word == "features") or not np.issubdtype(feature.np_dtype, np.number):
        raise DataError(f"data.features.{word}={self.config.data.features[word]!r} of {self.builder.name} is a "
                        f"{type(feature).__name__} {tuple(feature.shape)}; the task needs {needed}")
    self._moments = {word: (np.zeros([], np.float32), np.ones([], np.float32)) for word in ("features", "target")}
    arrays = self.arrays("train") if self.builder.info.splits else {}
    for word in self._moments.keys() & arrays.keys():
      spread = arrays[word].std(0, dtype=np.float64)
      self._moments[word] = (arrays[word].mean(0, dtype=np.float64).astype(np.float32),
                             np.where(spread > 0, spread, 1.0).astype(np.float32))

  def standardize(self, word: str, values: tf.Tensor) -> tf.Tensor:
    """Returns (value - mean) / spread of the features [b, D] or the target [b]."""
    mean, spread = self._moments[word]
    return (tf.cast(values, tf.float32) - mean) / spread

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns the regressor that `model.name` names."""
    feature = sources.feature(self.builder, self.config.data.features, "features", tfds.features.Tensor)
    return self.build_model(input_shape=tuple(feature.shape), num_outputs=1)

  def outputs(self, batch: Batch, training: bool) -> tf.Tensor:
    """Returns the predictions in standard deviations of the target, float32 [b]."""
    found = self.networks["regressor"](self.standardize("features", batch["features"]), training=training)
    return tf.cast(found, tf.float32)[:, 0]

  def losses(self, outputs: tf.Tensor, batch: Batch, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns each example's squared error [b], and what R2 is worked out from."""
    target = self.standardize("target", batch["target"])
    squared = tf.square(outputs - target)
    return squared, {"loss": squared, "target": target, "target_squared": tf.square(target)}

  def summarize(self, means: dict[str, float]) -> dict[str, float]:
    """Returns the loss, the root mean squared error in the target's unit, and R2 = 1 - squared error / variance."""
    variance = max(means["target_squared"] - means["target"] ** 2, 1e-12)
    return {"loss": means["loss"], "rmse": float(self._moments["target"][1]) * means["loss"] ** 0.5,
            "r2": 1.0 - means["loss"] / variance}

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns features [N, D], target [N] and predicted [N], these in the target's unit."""
    found = super().predict(split)
    mean, spread = self._moments["target"]
    return found | {"predicted": found["outputs"] * spread + mean}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[str]]]:
    """Returns a row an example: index, target and prediction."""
    pairs = zip(predictions["target"], predictions["predicted"], strict=True)
    return ["index", "target", "predicted"], [[str(i), f"{t:.4g}", f"{p:.4g}"] for i, (t, p) in enumerate(pairs)]


TASK = Regression
