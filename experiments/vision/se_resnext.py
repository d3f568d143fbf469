"""Squeeze-and-excitation networks on ImageNet: SE-ResNeXt-50 and 101 (32x4d), SE-ResNet-50, 101 and 152.

Paper: Hu, Shen & Sun 2017, "Squeeze-and-excitation networks", arXiv:1709.01507. With the schedule used here (batch 256, rate
0.1) the authors' repository (hujie-frank/SENet, table 1) gives top-1 errors of one central crop of 20.97 and 19.81% for
SE-ResNeXt-50 and 101, and of 22.37, 21.75 and 21.34% for SE-ResNet-50, 101 and 152.

    python -m dlsuite.main --config=experiments/vision/se_resnext.py:imagenet --workdir=/tmp/se_resnext50
    python -m dlsuite.main --config=experiments/vision/se_resnext.py:imagenette,resnet --workdir=/tmp/se_resnet50

Arguments: `imagenet` or `imagenette` (ten of its classes; else the 8x8 digits inside scikit-learn), `v2` (with `imagenet`: the
test is on ImageNet-V2), `resnet` (without groups, the stride of a bottleneck in its first convolution), `depth` (50, 101, 152),
`smoke`.

Deviations:
1. 100 epochs, the rate divided by 10 every 30; the repository trains longer and does not say how long.
2. The last 10,000 training images are held out and watched. The official validation set is our test set.
3. No rotations and no jitter of the pixels, which the repository has besides random areas, shapes and flips. The pixels are
   divided by their standard deviation, too.
4. The weight decay of 1e-4 acts on kernels only: as L2 of half that factor, whose gradient is 1e-4 times the kernel.
5. On the digits an eighth of the channels, 4 groups, a 3x3 stem, and one cycle of the learning rate. `imagenette`: 60 epochs
   of batches of 64 from a rate of 0.025.
6. Batch norm's moving averages keep 0.9 a step.

Cost: SE-ResNeXt-50 at 224 pixels is 4.3 GFLOP (multiply-adds) an image forward: meant for 8 accelerators. A CPU computes the
grouped convolutions as larger ordinary ones. The digits: two minutes.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets

PUBLISHED = "imagenet"  # the argument of the paper's own protocol

_RESNEXT = {50: 20.97, 101: 19.81}  # % top-1
_RESNET = {50: 22.37, 101: 21.75, 152: 21.34}


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, imagenet=False, imagenette=False, v2=False, resnet=False, depth=50, smoke=False)
  photos = known_sets.chosen(args)
  c = defaults(f"se_{'resnet' if args.resnet else 'resnext'}{args.depth}", task="classification")

  c.model.name = "vision.se_resnext"
  c.model.depth = args.depth
  c.model.groups, c.model.group_width = (1, 64) if args.resnet else (32, 4)
  c.model.downsample = "1x1" if args.resnet else "3x3"

  c.optimizer.name = "sgd"
  c.optimizer.learning_rate = 0.1
  c.optimizer.arguments = {"momentum": 0.9}
  c.optimizer.l2 = 0.5e-4

  if photos:
    _photographs(c, photos)
  else:
    _digits(c, args.resnet)

  c.checkpoint.select = "last"
  c.analyses = known_sets.pictures(photos)

  kind = f"SE-ResNet-{args.depth}" if args.resnet else f"SE-ResNeXt-{args.depth}"
  c.reference.update(metric="error", unit="%", paper=f"Hu et al. 2017, {kind}")
  published = _RESNET if args.resnet else _RESNEXT
  if photos == "imagenet":
    if args.depth in published:
      c.reference.update(value=published[args.depth], table="the authors' repository, table 1",
                         protocol="1,281,167 training images, one central crop of 50,000 validation images, top-1")
  elif not photos:
    c.reference.protocol = "fixed split 1,197/200/400"
  if args.v2 and photos:
    known_sets.test_on_imagenet_v2(c)
  return finish(c, smoke=args.smoke)


def _photographs(c: ConfigDict, name: str) -> None:
  known_sets.photographs(c, name)
  if name == "imagenet":
    c.data.batch_size = 256
    c.train.epochs = 100.0
  else:
    c.data.batch_size = 64
    c.train.epochs = 60.0
    c.optimizer.learning_rate = 0.025  # the batch is a quarter
  c.data.augment.crop = "inception"
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (0.3, 0.6, 0.9)
  c.optimizer.schedule.factor = 0.1
  c.evaluate.batch_size = 256


def _digits(c: ConfigDict, resnet: bool) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.model.stem, c.model.width, c.model.se_ratio = "cifar", 8, 8
  c.model.groups, c.model.group_width = (1, 8) if resnet else (4, 4)
  c.optimizer.schedule.name = "one_cycle"
  c.train.epochs = 15.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
