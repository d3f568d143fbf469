"""Average precision of found boxes, by pycocotools: the measure of the COCO challenge."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlsuite.errors import ConfigError

Found = Mapping[str, np.ndarray]
_MOST = 100  # boxes an image that count


def require() -> None:
  """Raises ConfigError if pycocotools is not installed."""
  try:
    import pycocotools.cocoeval  # noqa: F401
  except ImportError as e:
    raise ConfigError("task='detection' needs the extra `detection`: pip install -e .[detection]") from e


def average_precision(found: Found, num_classes: int) -> dict[str, float]:
  """Returns `map`, the mean over classes and over least overlaps of 0.5, 0.55, ..., 0.95, and `map50`, that at 0.5 alone.

  Args:
    found: boxes in pixels: of the truth `boxes` [N, M, 4] with `labels` [N, M], below 0 where there is none; those found:
      `detected_boxes` [N, D, 4], `detected_labels` [N, D], `detected_scores` [N, D], 0 where there is none.
    num_classes: of objects; a class without a box counts for nothing.
  """
  evaluated = _evaluated(found, num_classes)
  return {"map": _mean(evaluated["precision"][:, :, :, 0, -1]), "map50": _mean(evaluated["precision"][0, :, :, 0, -1])}


def precision_curves(found: Found, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns recalls [R], and for each class the precision there at a least overlap of 0.5 [classes, R], -1 without a truth.

  Their mean over recalls is a class's average precision. Arguments as of `average_precision`.
  """
  return np.linspace(0, 1, 101), _evaluated(found, num_classes)["precision"][0, :, :, 0, -1].T


def _mean(precision: np.ndarray) -> float:
  counted = precision[precision > -1]
  return float(counted.mean()) if counted.size else 0.0


def _evaluated(found: Found, num_classes: int) -> Any:
  """Returns pycocotools' arrays; `precision` is [overlaps, recalls, classes, areas, most boxes], -1 where there is no truth."""
  from pycocotools.cocoeval import COCOeval

  truth = _coco(found["boxes"], found["labels"], found["labels"] >= 0, None, num_classes)
  guesses = _coco(found["detected_boxes"], found["detected_labels"], found["detected_scores"] > 0, found["detected_scores"],
                  num_classes)
  with contextlib.redirect_stdout(io.StringIO()):  # it talks of its progress
    evaluation = COCOeval(truth, guesses, "bbox")
    evaluation.params.maxDets = [_MOST]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation.eval


def _coco(boxes: np.ndarray, labels: np.ndarray, real: np.ndarray, scores: np.ndarray | None, num_classes: int) -> Any:
  """Returns the boxes where `real` as pycocotools holds them; its classes, images and boxes are numbered from 1."""
  from pycocotools.coco import COCO

  annotations: list[dict[str, Any]] = []
  for image, place in zip(*np.nonzero(real), strict=True):
    top, left, bottom, right = map(float, boxes[image, place])
    annotations.append({"id": len(annotations) + 1, "image_id": int(image) + 1, "category_id": int(labels[image, place]) + 1,
                        "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top), "iscrowd": 0}
                       | ({} if scores is None else {"score": float(scores[image, place])}))
  made = COCO()
  made.dataset = {"images": [{"id": i + 1} for i in range(len(boxes))], "annotations": annotations,
                  "categories": [{"id": i + 1} for i in range(num_classes)]}
  with contextlib.redirect_stdout(io.StringIO()):
    made.createIndex()
  return made
