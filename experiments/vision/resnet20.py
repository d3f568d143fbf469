"""ResNet-20 on CIFAR-10.

Paper: He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385. Section 4.2, table 6:
8.75% test error on CIFAR-10 with 0.27M parameters.

    python -m dlsuite.main --config=experiments/vision/resnet20.py:cifar10 --workdir=/tmp/resnet20

Arguments: `cifar10` (else the 8x8 digits inside scikit-learn), `smoke`.

Deviations:
1. 45,000 images train and 5,000 are watched; the paper fixes its schedule on this split.
2. Mean and standard deviation a channel are taken off the pixels instead of the mean image.
3. The weight decay of 1e-4 acts on kernels only: as L2 of half that factor, whose gradient is 1e-4 times the kernel.
   Biases and batch norm's factors and offsets do not decay.
4. Batch norm's moving averages keep 0.9 a step; the paper does not say.

Cost: 64,000 steps of 128 images, about 6 hours at 400 images a second (two AVX2 cores, estimated); a GPU is meant.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg

PUBLISHED = "cifar10"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, cifar10=False, smoke=False)
  cifar10 = args.cifar10 and not args.smoke
  c = defaults("resnet20", task="classification")

  if cifar10:
    c.data.name = "cifar10"
    c.data.train, c.data.valid, c.data.test = "train[:45000]", "train[45000:]", "test"
    c.data.mean, c.data.std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    c.data.augment.pad_crop = 4
    c.data.augment.flip = True
    c.data.batch_size = 128
    c.train.steps = 64_000
  else:
    c.data.name = "optical_digits"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.data.resize = 16
    c.data.mean, c.data.std = (0.3,), (0.35,)
    c.data.augment.pad_crop = 1
    c.data.batch_size = 32
    c.train.epochs = 20.0
    c.evaluate.every_epochs = 5.0
    c.evaluate.batch_size = 200
  c.data.features = {"image": "image", "label": "label"}

  c.model.name = "vision.cifar_resnet"
  c.model.depth = 20

  c.optimizer.name = "sgd"
  c.optimizer.learning_rate = 0.1
  c.optimizer.arguments = {"momentum": 0.9}
  c.optimizer.schedule.name = "step"
  c.optimizer.schedule.milestones = (0.5, 0.75)  # steps 32,000 and 48,000 of 64,000
  c.optimizer.schedule.factor = 0.1
  c.optimizer.l2 = 0.5e-4

  c.checkpoint.select = "last"  # as the paper: the weights at the end of the schedule
  c.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")

  c.reference.update(metric="error", unit="%", paper="He et al. 2015, ResNet-20")
  if cifar10:
    c.reference.update(value=8.75, table="table 6", protocol="50,000 training images, pad-crop and flip, 10,000 test images")
  else:
    c.reference.protocol = "fixed split 1,197/200/400"
  return finish(c, smoke=args.smoke)
