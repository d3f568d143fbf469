"""Wide residual networks on CIFAR-10 and CIFAR-100.

Paper: Zagoruyko & Komodakis 2016, "Wide residual networks", arXiv:1605.07146. WRN-28-10 (36.5M parameters): 4.00% test error
on CIFAR-10 and 19.25% on CIFAR-100, 3.89 and 18.85% with dropout, the median of five runs (also in the authors' repository).

    python -m dlsuite.main --config=experiments/vision/wide_resnet.py:cifar10 --workdir=/tmp/wrn28_10
    python -m dlsuite.main --config=experiments/vision/wide_resnet.py:cifar100,depth=16,widening=4 --workdir=/tmp/wrn16_4

Arguments: `cifar10` or `cifar100` (else the 8x8 digits inside scikit-learn), `depth` and `widening` (28 and 10; on the digits
10 and 2), `dropout` (0.3 in the paper where it is used), `smoke`.

Deviations:
1. 45,000 images train and 5,000 are watched; the paper trains on all 50,000.
2. Shifted images are filled up with zeros, in the authors' program by reflection.
3. The weight decay of 5e-4 acts on kernels only: as L2 of half that factor, whose gradient is 5e-4 times the kernel.
4. On the digits the rate makes one cycle.
5. Batch norm's moving averages keep 0.9 a step.

Cost: WRN-28-10 is 5.2 GFLOP (multiply-adds) an image forward, and 200 epochs are meant for an accelerator. The digits: under a
minute.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets

PUBLISHED = "cifar10"  # the argument of the paper's own protocol

# % test error by (set, dropout), WRN-28-10, pixels normalised by mean and standard deviation.
_ERRORS = {("cifar10", 0.0): 4.00, ("cifar100", 0.0): 19.25, ("cifar10", 0.3): 3.89, ("cifar100", 0.3): 18.85}


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, cifar10=False, cifar100=False, depth=0, widening=0, dropout=0.0, smoke=False)
  cifar = known_sets.chosen(args)
  depth, widening = args.depth or (28 if cifar else 10), args.widening or (10 if cifar else 2)
  c = defaults(f"wrn{depth}_{widening}", task="classification")

  c.model.name = "vision.wide_resnet"
  c.model.depth, c.model.widening = depth, widening
  c.model.dropout = args.dropout

  c.optimizer.name = "sgd"
  c.optimizer.learning_rate = 0.1
  c.optimizer.arguments = {"momentum": 0.9, "nesterov": True}
  c.optimizer.l2 = 2.5e-4

  if cifar:
    _cifar(c, cifar)
  else:
    _digits(c)

  c.checkpoint.select = "last"  # as the paper: the weights at the end of the schedule
  c.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")

  c.reference.update(metric="error", unit="%", paper=f"Zagoruyko & Komodakis 2016, WRN-{depth}-{widening}")
  if not cifar:
    c.reference.protocol = "fixed split 1,197/200/400"
  elif (depth, widening) == (28, 10) and (cifar, args.dropout) in _ERRORS:
    c.reference.update(value=_ERRORS[cifar, args.dropout], table="the authors' repository",
                       protocol="50,000 training images, shifts and flips, 10,000 test images, median of 5 runs")
  return finish(c, smoke=args.smoke)


def _cifar(c: ConfigDict, name: str) -> None:
  known_sets.cifar(c, name)
  c.data.batch_size = 128
  c.train.epochs = 200.0
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (0.3, 0.6, 0.8)  # epochs 60, 120 and 160
  c.optimizer.schedule.factor = 0.2


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.optimizer.schedule.name = "one_cycle"
  c.train.epochs = 15.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
