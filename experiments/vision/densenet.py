"""Densely connected networks on CIFAR-10, CIFAR-100 and ImageNet.

Paper: Huang, Liu, van der Maaten & Weinberger 2017, "Densely connected convolutional networks", arXiv:1608.06993. Table 2, with
shifts and flips: DenseNet-BC (L=100, k=12, 0.8M parameters) 4.51% test error on CIFAR-10 and 22.27% on CIFAR-100; DenseNet
(L=40, k=12, 1.0M) 5.24 and 24.42%. ImageNet, top-1 of one crop (the authors' repository, liuzhuang13/DenseNet): 25.0, 23.6,
22.5 and 22.2% for DenseNet-121, 169, 201 and 161.

    python -m dlsuite.main --config=experiments/vision/densenet.py:cifar10 --workdir=/tmp/densenet_bc100
    python -m dlsuite.main --config=experiments/vision/densenet.py:cifar10,fast --workdir=/tmp/densenet_bc40
    python -m dlsuite.main --config=experiments/vision/densenet.py:imagenet,depth=169 --workdir=/tmp/densenet169

Arguments: `cifar10`, `cifar100`, `imagenet` or `imagenette` (else the 8x8 digits inside scikit-learn), `fast` (with CIFAR:
depth 40, 6 epochs, one cycle of the learning rate, bfloat16), `v2` (with `imagenet`: the test is on ImageNet-V2), `depth` (100;
photographs 121, digits 22), `growth` (12; photographs the paper's, digits 8), `plain` (CIFAR and digits: neither bottlenecks
nor compression, depth 40), `smoke`.

Deviations:
1. The last 5,000 (CIFAR) or 10,000 (ImageNet) training images are held out and watched; ImageNet's validation set is our test
   set.
2. The weight decay of 1e-4 acts on kernels only: as L2 of half that factor, whose gradient is 1e-4 times the kernel.
3. Batch norm's moving averages keep 0.9 a step. `imagenette`: 60 epochs of batches of 64 from a rate of 0.025.
4. Brightness, contrast and saturation change in this order; in the authors' program, which takes it from fb.resnet.torch, in a
   random one. `imagenette` keeps its colours.
5. On the digits, and if `fast`, the rate makes one cycle.
6. `fast`: 6 epochs instead of 300, 40 layers instead of 100, bfloat16; the paper has no number for DenseNet-BC of 40 layers.

Cost: DenseNet-BC (L=100, k=12) on CIFAR is 0.3 GFLOP (multiply-adds) an image forward, DenseNet-121 at 224 pixels 2.9: 300 and
90 epochs are meant for accelerators. `fast`: 24 minutes on two cores with AVX-512 (191 images a second, in float32 115). The
digits: a minute.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets
from dlsuite.errors import ConfigError

PUBLISHED = "cifar10"  # the argument of the paper's own protocol

# % test error on (CIFAR-10, CIFAR-100) by (plain, depth, growth), with augmentation: table 2.
_CIFAR = {(False, 100, 12): (4.51, 22.27), (False, 250, 24): (3.62, 17.60), (False, 190, 40): (3.46, 17.18),
          (True, 40, 12): (5.24, 24.42), (True, 100, 12): (4.10, 20.20), (True, 100, 24): (3.74, 19.25)}
_IMAGENET = {121: 25.0, 169: 23.6, 201: 22.5, 161: 22.2}  # % top-1


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, cifar10=False, cifar100=False, imagenet=False, imagenette=False, fast=False, v2=False, depth=0,
                   growth=0, plain=False, smoke=False)
  data = known_sets.chosen(args) or "digits"
  fast = known_sets.is_fast(args, data)
  large = data.startswith("imagenet")
  if large and args.plain:
    raise ConfigError(f"config argument 'plain' is for CIFAR and the digits, not for '{data}'")
  depth = args.depth or (121 if large else 40 if args.plain or fast else 22 if data == "digits" else 100)
  growth = args.growth or (0 if large else 8 if data == "digits" else 12)
  name = f"densenet{depth}" if large else f"densenet{'' if args.plain else '_bc'}_L{depth}_k{growth}"
  c = defaults(name, task="classification")

  c.model.name = "vision.densenet" if large else "vision.cifar_densenet"
  c.model.depth, c.model.growth = depth, growth
  c.model.compression = 1.0 if args.plain else 0.5
  if not large:
    c.model.bottleneck = not args.plain

  c.optimizer.name = "sgd"
  c.optimizer.learning_rate = 0.1
  c.optimizer.arguments = {"momentum": 0.9, "nesterov": True}
  c.optimizer.l2 = 0.5e-4
  if data == "digits":
    _digits(c)
  else:
    (_photographs if large else _cifar)(c, data)
  if fast:
    c.train.epochs = 6.0
    c.train.precision = "bfloat16"
    c.optimizer.schedule.name = "one_cycle"

  c.checkpoint.select = "last"  # as the paper: the weights at the end of the schedule
  c.analyses = known_sets.pictures(data)

  paper = f"DenseNet-{depth}" if large else f"DenseNet{'' if args.plain else '-BC'} (L={depth}, k={growth})"
  c.reference.update(metric="error", unit="%", paper=f"Huang et al. 2017, {paper}")
  if data == "digits":
    c.reference.protocol = "fixed split 1,197/200/400"
  elif data == "imagenet" and depth in _IMAGENET and args.growth in (0, 48 if depth == 161 else 32):
    c.reference.update(value=_IMAGENET[depth], table="the authors' repository",
                       protocol="1,281,167 training images, one central crop of 50,000 validation images, top-1")
  elif (args.plain, depth, growth) in _CIFAR:
    c.reference.update(value=_CIFAR[args.plain, depth, growth][data == "cifar100"], table="table 2",
                       protocol="50,000 training images, shifts and flips, 10,000 test images")
  if args.v2 and data == "imagenet":
    known_sets.test_on_imagenet_v2(c)
  return finish(c, smoke=args.smoke)


def _cifar(c: ConfigDict, name: str) -> None:
  known_sets.cifar(c, name)
  c.data.batch_size = 64
  c.train.epochs = 300.0
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (0.5, 0.75)
  c.optimizer.schedule.factor = 0.1


def _photographs(c: ConfigDict, name: str) -> None:
  known_sets.photographs(c, name)
  if name == "imagenet":
    c.data.augment.update(brightness=0.4, contrast=0.4, saturation=0.4, lighting=0.1)  # as fb.resnet.torch
    c.data.batch_size = 256
    c.train.epochs = 90.0
  else:
    c.data.batch_size = 64
    c.train.epochs = 60.0
    c.optimizer.learning_rate = 0.025  # the batch is a quarter
  c.data.augment.crop = "inception"
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (1 / 3, 2 / 3)
  c.optimizer.schedule.factor = 0.1
  c.evaluate.batch_size = 256


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.optimizer.schedule.name = "one_cycle"
  c.train.epochs = 15.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
