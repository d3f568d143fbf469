"""`diabetes`: the 442 patients of Efron et al. (2004), "Least angle regression", which scikit-learn carries.

The columns of `features`, in this order and in the units of the file:

  0  age  years
  1  sex  1 or 2; the source does not say which is which
  2  bmi  body mass index, kg/m^2
  3  bp   mean arterial blood pressure, mm Hg
  4  tc   total serum cholesterol, mg/dl
  5  ldl  low-density lipoproteins, mg/dl
  6  hdl  high-density lipoproteins, mg/dl
  7  tch  tc / hdl, often rounded to a whole number, no unit
  8  ltg  natural logarithm of the triglycerides in mg/dl
  9  glu  blood sugar, mg/dl

The source calls 4 to 9 s1 to s6 and gives no units. Those of 4 to 6 and 8 follow from the numbers: of 438 patients ldl
is tc - hdl - exp(ltg) / 5 within 0.004, which is Friedewald's formula (1972) for mg/dl. For glu mg/dl is the unit in
which its range, 58 to 124, is possible. The target, 25 to 346, has no unit: the progression of the disease one year on.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

COLUMNS = ("age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg", "glu")
SPLITS = {"train": 282, "valid": 71, "test": 89}


class Builder(tfds.core.GeneratorBasedBuilder):
  """Features float32 [10], not scaled, targets float32 []; nothing is downloaded."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="442 diabetes patients: ten measurements and the progression of the disease, from scikit-learn.",
      features=tfds.features.FeaturesDict({
        "features": tfds.features.Tensor(shape=(len(COLUMNS),), dtype=np.float32),
        "target": tfds.features.Tensor(shape=(), dtype=np.float32),
      }),
      supervised_keys=("features", "target"),
      homepage="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    from sklearn.datasets import load_diabetes

    patients = load_diabetes(scaled=False)
    # A fixed permutation: nothing is known about the order of the file.
    order = np.random.RandomState(2004).permutation(len(patients.target))
    bounds = np.cumsum([0, *SPLITS.values()])
    return {
      name: self._generate_examples(patients.data, patients.target, order[start:stop])
      for name, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)
    }

  def _generate_examples(self, rows: np.ndarray, targets: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, dict]]:
    for i in chosen:
      yield int(i), {"features": rows[i].astype(np.float32), "target": np.float32(targets[i])}
