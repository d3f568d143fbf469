"""Residual networks on CIFAR-10 and CIFAR-100.

Papers: He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385. Section 4.2, table 6:
8.75% test error on CIFAR-10 for ResNet-20 (0.27M parameters), 7.51, 7.17, 6.97 and 6.43% for depth 32, 44, 56 and 110.
He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", arXiv:1603.05027, table 2: 6.37% for ResNet-110
with pre-activation and 5.46% for ResNet-164, whose blocks are bottlenecks. Hu, Shen & Sun 2017, "Squeeze-and-excitation
networks", arXiv:1709.01507 (the gates of `se`), table 4: 5.21 and 4.39% for these two with gates.

    python -m dlsuite.main --config=experiments/vision/cifar_resnet.py:cifar10 --workdir=/tmp/resnet20
    python -m dlsuite.main --config=experiments/vision/cifar_resnet.py:cifar10,fast --workdir=/tmp/resnet20_fast

Arguments: `cifar10` or `cifar100` (else the 8x8 digits inside scikit-learn), `fast` (a third of the epochs, one cycle of the
learning rate, bfloat16), `epochs` (another number of them), `depth`, `se`, `preactivation`, `bottleneck` (with
`preactivation`, depth 164), `augment` (cutout, mixup, cutmix or randaugment, with CIFAR, on top of shifts and flips), `smoke`.

Deviations:
1. 45,000 images train and 5,000 are watched; the paper fixes its schedule on this split.
2. Mean and standard deviation a channel are taken off the pixels instead of the mean image.
3. The weight decay of 1e-4 acts on kernels only: as L2 of half that factor, whose gradient is 1e-4 times the kernel.
   Biases and batch norm's factors and offsets do not decay.
4. Batch norm's moving averages keep 0.9 a step; the paper does not say.
5. ResNet-110 starts with the full rate; the paper warms it up with 0.01.
6. `fast`: 60 epochs instead of 182, one cycle up to 0.2 and down to 0 with Nesterov's momentum (Smith & Topin 2018) instead
   of three steps, a weight decay of 5e-4, bfloat16.
7. `augment`: squares of 16 pixels, with CIFAR-100 of 8 (DeVries & Taylor 2017), Beta(1, 1) for mixup (Zhang et al. 2018) and
   for cutmix, of half of the pairs (Yun et al. 2019): settings for wider networks, which these small ones may find too strong.
   One operation of magnitude 5 of 10 and a square of 16 (RandAugment, Cubuk et al. 2020, takes three for wide networks). No
   number stands beside them.

Cost: ResNet-20 of the paper: 64,000 steps of 128 images, about 3 hours at 720 images a second (two cores with AVX-512; with
bfloat16 950 a second). `fast`: 43 minutes there (README's results).
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg, set_duration
from dlsuite.data import known_sets
from dlsuite.errors import ConfigError, one_of

PUBLISHED = "cifar10"  # the argument of the paper's own protocol

# By gates, pre-activation and bottlenecks: the paper's table, % on CIFAR-10 by depth.
_PUBLISHED = {(False, False, False): ("table 6", {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}),
              (False, True, False): ("table 2", {110: 6.37}), (False, True, True): ("table 2", {164: 5.46}),
              (True, True, False): ("table 4", {110: 5.21}), (True, True, True): ("table 4", {164: 4.39})}

_AUGMENT = {"cutout": {"cutout": 16}, "mixup": {"mixup": 1.0}, "cutmix": {"cutmix": 1.0, "mix_share": 0.5},
            "randaugment": {"rand_layers": 1, "rand_magnitude": 5.0, "cutout": 16}}
_CIFAR100_CUTOUT = 8


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, cifar10=False, cifar100=False, fast=False, epochs=0.0, depth=0, se=False, preactivation=False,
                   bottleneck=False, augment="", smoke=False)
  cifar = known_sets.chosen(args)
  if args.bottleneck and not args.preactivation:
    raise ConfigError("config argument 'bottleneck' needs 'preactivation'")
  if args.augment and args.augment not in _AUGMENT:
    raise ConfigError(one_of("config argument augment", args.augment, list(_AUGMENT)))
  args.depth = args.depth or (20 if not args.bottleneck else 164 if cifar else 11)
  name = f"{'se_' if args.se else ''}{'preact_' if args.preactivation else ''}resnet{args.depth}"
  c = defaults(name, task="classification")

  if cifar:
    _cifar(c, cifar)
    c.data.augment.update(_AUGMENT.get(args.augment, {}))
    if args.augment == "cutout" and args.cifar100:
      c.data.augment.cutout = _CIFAR100_CUTOUT
  else:
    _digits(c)

  c.model.name = "vision.cifar_resnet"
  c.model.depth = args.depth
  c.model.se_ratio = 16 if args.se else 0
  c.model.preactivation = args.preactivation
  if args.bottleneck:
    c.model.bottleneck = True

  c.optimizer.name = "sgd"
  c.optimizer.learning_rate = 0.1
  c.optimizer.arguments = {"momentum": 0.9}
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (0.5, 0.75)  # steps 32,000 and 48,000 of 64,000
  c.optimizer.schedule.factor = 0.1
  c.optimizer.l2 = 0.5e-4
  if args.fast:
    _one_cycle(c)
    if cifar:
      set_duration(c, "train", "train.epochs", 60.0)
      c.evaluate.every_epochs = 2.0
  if args.epochs:
    set_duration(c, "train", "train.epochs", args.epochs)

  c.checkpoint.select = "last"  # as the paper: the weights at the end of the schedule
  c.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")

  paper = "Hu et al. 2017, SE-" if args.se else f"He et al. {2016 if args.preactivation else 2015}, "
  c.reference.update(metric="error", unit="%", paper=f"{paper}ResNet-{args.depth}")
  table, errors = _PUBLISHED.get((args.se, args.preactivation, args.bottleneck), ("", {}))
  if not cifar:
    c.reference.protocol = "fixed split 1,197/200/400"
  elif args.depth in errors and not args.cifar100 and not args.augment:
    c.reference.update(value=errors[args.depth], table=table,
                       protocol="50,000 training images, pad-crop and flip, 10,000 test images")
  return finish(c, smoke=args.smoke)


def _cifar(c: ConfigDict, name: str) -> None:
  known_sets.cifar(c, name)
  c.data.batch_size = 128
  c.train.steps = 64_000


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.train.epochs = 20.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200


def _one_cycle(c: ConfigDict) -> None:
  c.optimizer.learning_rate = 0.2
  c.optimizer.arguments = {"momentum": 0.9, "nesterov": True}
  c.optimizer.schedule.name = "one_cycle"
  c.optimizer.l2 = 2.5e-4
  c.train.precision = "bfloat16"
