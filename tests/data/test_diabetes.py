"""The diabetes patients: what Efron et al. (2004), scikit-learn's documentation and Friedewald (1972) say of them."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.data.builders.diabetes import diabetes_dataset_builder as diabetes


@pytest.fixture(scope="module")
def builder():
  return sources.open_builder("diabetes")


@pytest.fixture(scope="module")
def splits(builder):
  """{split: {"features": [n, 10], "target": [n]}}"""
  return {name: tfds.as_numpy(builder.as_dataset(split=name, batch_size=-1)) for name in ("train", "valid", "test")}


@pytest.fixture(scope="module")
def patients(splits):
  """(features [442, 10], target [442]) of all splits, in double precision."""
  return tuple(np.concatenate([part[key] for part in splits.values()]).astype(np.float64) for key in ("features", "target"))


def test_the_442_patients_lie_in_three_splits_and_none_twice(builder, splits, patients):
  assert {name: len(part["target"]) for name, part in splits.items()} == {"train": 282, "valid": 71, "test": 89}
  assert set(builder.info.splits) == set(splits)
  assert len(np.unique(patients[0], axis=0)) == 442


def test_features_are_ten_and_target_one_number_in_single_precision(splits):
  for part in splits.values():
    assert part["features"].shape == (len(part["target"]), 10)
    assert part["features"].dtype == part["target"].dtype == np.float32


def test_the_splits_are_the_same_ones_for_ever(splits):
  # The sums of the targets, taken when the set was made: one patient moved changes two of them.
  assert {name: part["target"].sum() for name, part in splits.items()} == {"train": 42894, "valid": 10787, "test": 13562}


def test_the_mean_target_is_the_published_one(patients):
  assert round(patients[1].mean(), 4) == 152.1335


def test_the_first_patient_of_the_paper_is_among_them(patients):
  row = [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]
  at, = np.flatnonzero(np.isclose(patients[0], row, rtol=1e-6).all(axis=1))
  assert patients[1][at] == 151


def test_columns_are_in_raw_units(patients):
  low, high = patients[0].min(axis=0), patients[0].max(axis=0)
  ranges = dict(zip(diabetes.COLUMNS, zip(low.round(2), high.round(2), strict=True), strict=True))
  assert ranges["age"] == (19, 79)
  assert ranges["sex"] == (1, 2)
  assert ranges["bmi"] == (18, 42.2)
  assert ranges["bp"] == (62, 133)
  assert (patients[1].min(), patients[1].max()) == (25, 346)


def test_the_blood_fats_are_in_milligrams_a_decilitre(patients):
  column = dict(zip(diabetes.COLUMNS, patients[0].T, strict=True))
  # Friedewald: LDL = total - HDL - triglycerides / 5, where 5 belongs to mg/dl (in mmol/l it is 2.2).
  error = np.abs(column["tc"] - column["hdl"] - np.exp(column["ltg"]) / 5 - column["ldl"])
  assert (error < 0.004).sum() == 438
  assert error.max() < 0.41
  np.testing.assert_allclose(column["tch"], column["tc"] / column["hdl"], atol=0.65)  # many are rounded


def test_least_squares_on_all_patients_gives_the_published_coefficients(patients):
  features, target = patients
  centred = features - features.mean(axis=0)
  centred /= np.linalg.norm(centred, axis=0)
  weights, (rest,), *_ = np.linalg.lstsq(centred, target - target.mean(), rcond=None)
  # The last step of the paper's path of the Lasso, on columns of mean 0 and length 1.
  published = [-10.0, -239.8, 519.8, 324.4, -792.2, 476.7, 101.0, 177.1, 751.3, 67.6]
  np.testing.assert_allclose(weights, published, atol=0.06)
  assert round(1 - rest / ((target - target.mean()) ** 2).sum(), 4) == 0.5177
