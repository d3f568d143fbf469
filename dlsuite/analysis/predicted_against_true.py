"""Predictions beside the truth, and beside those of ridge regression fitted to the same split."""

from typing import Any

import numpy as np

from dlsuite.runs.figures import BLUE, GREY, ORANGE, figure
from dlsuite.runs.files import Path

NEEDS = ("features", "target", "predicted")

_PENALTIES = np.logspace(-3, 3, 25)  # tried on the validation split


def ridge_predictions(train: dict[str, np.ndarray], valid: dict[str, np.ndarray] | None, features: np.ndarray) -> np.ndarray:
  """Returns what ridge regression predicts, its penalty chosen on the validation split (1 without one).

  Args:
    train: `features` [N, D] and `target` [N]; standardised by their own mean and spread.
    valid: the same of the validation split.
    features: [M, D].

  Returns:
    float64 [M].

  Source: Hoerl & Kennard 1970.
  """
  from sklearn.linear_model import Ridge
  from sklearn.pipeline import make_pipeline
  from sklearn.preprocessing import StandardScaler

  def fitted(penalty: float) -> Any:
    return make_pipeline(StandardScaler(), Ridge(penalty)).fit(train["features"], train["target"])

  if valid is None:
    return fitted(1.0).predict(features)
  best = max(_PENALTIES, key=lambda penalty: fitted(penalty).score(valid["features"], valid["target"]))
  return fitted(best).predict(features)


def r2(target: np.ndarray, predicted: np.ndarray) -> float:
  """Returns 1 - squared error / variance."""
  return 1.0 - float(np.mean((target - predicted) ** 2) / max(np.var(target), 1e-12))


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws both predictions over the true target, test split.

  Args:
    task: a regression task.
    found: `features` [N, D], `target` and `predicted` [N].
    path: of the PNG.

  Returns:
    R2 of the network and of ridge regression.
  """
  target = found["target"]
  ridge = ridge_predictions(task.arrays("train"), task.arrays("valid") if task.config.data.valid else None, found["features"])
  scores = {"network_r2": r2(target, found["predicted"]), "ridge_r2": r2(target, ridge)}
  with figure(path, 1, 2, (10, 4.8)) as (_, axes):
    every = np.concatenate([target, ridge, found["predicted"]])
    margin = 0.04 * np.ptp(every)
    low, high = every.min() - margin, every.max() + margin
    panels = (("network", found["predicted"], BLUE), ("ridge regression", ridge, ORANGE))
    for axis, (name, values, colour) in zip(axes, panels, strict=True):
      axis.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1, label="exact")
      axis.plot(target, values, "o", color=colour, markersize=5, alpha=0.7, label=f"{len(target)} test examples")
      score = scores["network_r2" if name == "network" else "ridge_r2"]
      axis.set(xlabel="true target", ylabel="predicted target", title=f"{task.config.name}: {name}, R2 {score:.3f}",
               xlim=(low, high), ylim=(low, high))
      axis.legend(loc="upper left")
  return scores
