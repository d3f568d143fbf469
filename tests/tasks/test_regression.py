"""Regression against scikit-learn: its scaler, its scores."""

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler

from dlsuite import catalog, modes
from dlsuite.tasks.regression import Regression


@pytest.fixture(scope="module")
def task(strategy):
  """An untrained network on the diabetes table."""
  config = catalog.load("experiments/foundations/diabetes.py:smoke").unlock()
  config.evaluate.batch_size = 37  # so that the last batch is not full
  found = modes.task_of(config, strategy)
  found.build(4, 0)
  return found


@pytest.mark.parametrize("split", ["valid", "test"])
def test_r2_and_rmse_are_those_of_scikit_learn_in_the_unit_of_the_target(task, split):
  predictions, measured = task.predict(split), task.evaluate(split)
  target = task.arrays(split)["target"]
  np.testing.assert_array_equal(predictions["target"], target)
  assert measured.count == len(target)
  assert measured.values["r2"] == pytest.approx(r2_score(target, predictions["predicted"]), abs=1e-5)
  assert measured.values["rmse"] == pytest.approx(mean_squared_error(target, predictions["predicted"]) ** 0.5, rel=1e-5)


def test_features_and_targets_are_standardised_by_the_training_split_alone(task):
  train, test = task.arrays("train"), task.arrays("test")
  for word in ("features", "target"):
    scaler = StandardScaler().fit(train[word].reshape(len(train[word]), -1))
    expected = scaler.transform(test[word].reshape(len(test[word]), -1))
    np.testing.assert_allclose(task.standardize(word, test[word]), expected.reshape(test[word].shape), atol=2e-5)


def test_the_mean_of_the_target_in_every_prediction_has_an_r2_of_zero(task):
  targets = np.array([1.0, 4.0, 7.0, 12.0])
  squared = (targets - targets.mean()) ** 2
  values = task.summarize({"loss": squared.mean(), "target": targets.mean(), "target_squared": np.square(targets).mean()})
  assert values["r2"] == pytest.approx(0)


def test_a_feature_that_never_varies_is_only_centred(strategy, monkeypatch):
  features = np.array([[5.0, 1.0], [5.0, 3.0]], np.float32)
  monkeypatch.setattr(Regression, "arrays", lambda *_: {"features": features, "target": np.float32([0, 1])})
  task = modes.task_of(catalog.load("experiments/foundations/diabetes.py:smoke"), strategy)
  np.testing.assert_allclose(task.standardize("features", features), [[0, -1], [0, 1]])
