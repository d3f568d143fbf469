"""A one-stage grid detector: shapes on noise, and blood cells.

Papers: Redmon, Divvala, Girshick & Farhadi 2016, "You only look once: unified, real-time object detection",
arXiv:1506.02640; Redmon & Farhadi 2017, "YOLO9000: better, faster, stronger", arXiv:1612.08242, of which the anchors found by
k-means and the location within a cell are taken. No table of theirs is for these data.

    python -m dlsuite.main --config=experiments/vision/detector.py --workdir=/tmp/shapes
    python -m dlsuite.main --config=experiments/vision/detector.py:bccd --workdir=/tmp/cells
    python -m tools.anchors experiments/vision/detector.py:bccd 5

Arguments: `bccd` (364 images of blood with three kinds of cells; else simulated circles, squares and triangles), `smoke`.

Deviations:
1. A small residual backbone from scratch, one grid, no passthrough layer; the papers pre-train on ImageNet.
2. Cross-entropy for confidence and classes (YOLOv3), complete overlap for the boxes (Zheng et al. 2020) instead of squared
   errors; several anchors may answer for a box and a middle may leave its cell a little (YOLOv4).
3. Adam and one cosine with a warm-up instead of gradient descent in steps, gradients clipped, weights averaged.
4. Images are scaled by one factor and filled up with grey (letterbox); the size stays the same all through the training.
5. `bccd`: boxes without area, one in the training and one in the validation split of the set, are left out.
The measure is COCO's average precision, by pycocotools on every test image (extra `detection`). Flags of crowds and of
difficult objects, which other sets have, are not read: such boxes count as all others.

Cost: the shapes about 2 minutes on two CPU cores. `bccd`: 11 ms of a core an image with bfloat16 on a processor with AVX-512,
4 minutes of two cores for 150 epochs (README's results).
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, bccd=False, smoke=False)
  c = defaults("detector", task="detection")
  c.model.name = "vision.grid_detector"
  if args.bccd and not args.smoke:
    _blood_cells(c)
  else:
    _shapes(c)
  c.data.features = {"image": "image", "boxes": "objects/bbox", "labels": "objects/label"}
  c.data.mean, c.data.std = (0.5,), (0.25,)

  c.optimizer.name = "adam"
  c.optimizer.schedule.name = "cosine"
  c.optimizer.clip.kind, c.optimizer.clip.value = "global_norm", 10.0
  c.optimizer.ema = 0.99
  c.checkpoint.monitor, c.checkpoint.mode = "val_map50", "max"
  c.analyses = ("detections", "precision_recall", "activations")
  c.reference.update(metric="map50", paper="after Redmon et al. 2016, YOLO",
                     protocol="COCO average precision at an overlap of 0.5, every test image")
  return finish(c, smoke=args.smoke)


def _shapes(c: ConfigDict) -> None:
  c.data.name = "shapes_in_boxes"
  c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
  c.data.size = (96, 96)
  c.data.max_boxes = 6
  c.data.augment.flip = "horizontal"  # upside down, a triangle would be another shape
  c.data.augment.zoom, c.data.augment.shift = 0.25, 0.1
  c.data.batch_size = 32
  c.anchors.heights = (13.0, 20.9, 30.8)  # python -m tools.anchors experiments/vision/detector.py 3
  c.anchors.widths = (13.0, 20.9, 30.8)
  c.model.widths, c.model.blocks, c.model.head = (16, 32, 64), (0, 1, 2), 64
  c.optimizer.learning_rate = 3e-3
  c.optimizer.warmup_steps = 100
  c.train.epochs = 24.0
  c.evaluate.every_epochs = 4.0
  c.evaluate.batch_size = 100


def _blood_cells(c: ConfigDict) -> None:
  c.data.name = "bccd"
  c.data.train, c.data.valid, c.data.test = "train", "validation", "test"
  c.data.size = (240, 320)
  c.data.max_boxes = 32
  c.data.bad_boxes = "skip"
  c.data.augment.flip = "both"
  c.data.augment.zoom, c.data.augment.shift, c.data.augment.colour = 0.25, 0.1, 0.2
  c.data.batch_size = 16
  c.anchors.heights = (19.4, 41.7, 52.4, 54.7, 96.2)  # python -m tools.anchors experiments/vision/detector.py:bccd 5
  c.anchors.widths = (20.0, 50.5, 47.0, 59.0, 105.8)
  c.optimizer.learning_rate = 2e-3
  c.optimizer.warmup_steps = 100
  c.train.epochs = 150.0
  c.evaluate.every_epochs = 10.0
  c.evaluate.batch_size = 16
  c.train.precision = "bfloat16"
