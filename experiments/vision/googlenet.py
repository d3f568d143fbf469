"""GoogLeNet on ImageNet, and a narrow one on handwritten digits.

Paper: Szegedy et al. 2015, "Going deeper with convolutions", CVPR, arXiv:1409.4842. Table 3, one model and one crop: 10.07%
top-5 error on the validation images of ILSVRC-2014; the paper has no top-1 error.

    python -m dlsuite.main --config=experiments/vision/googlenet.py --workdir=/tmp/googlenet_digits
    python -m dlsuite.main --config=experiments/vision/googlenet.py:imagenet --workdir=/tmp/googlenet

Arguments: `imagenet` or `imagenette` (ten of its classes), else the 8x8 digits inside scikit-learn; `v2` (with `imagenet`: the
test is on ImageNet-V2); `batch_norm`; `smoke`.

Deviations:
1. Synchronous training with batches of 256 for 100 epochs, of which the paper does not say anything. The rate falls by 4% in 8
   epochs as there, but evenly. It starts from 0.01 as in Caffe's replication, whose batches of 32 make eight times as many
   steps: whether this many reach the number is not known; `--config.data.batch_size=32` makes as many.
2. The photometric distortions (of Howard 2013, section 2.2) come in one order, there in a random one; one way of resampling.
   `imagenette` keeps its colours.
3. 10,000 training images are watched instead of trained on; the published validation images are tested on once.
4. The weights are averaged along training with a decay of 0.9999 a step; the paper names Polyak, no number. A weight decay
   of 2e-4 on kernels (Caffe's), Glorot's initialisation: the paper is silent.
5. `batch_norm` (Ioffe & Szegedy 2015 found that it needs neither response normalisation nor so many steps) starts from 0.05;
   its averages keep 0.9 a step.
6. The digits and imagenette have batch norm and are trained by Adam; the digits' narrow network skips the stem's strides.

Cost: 1.6 billion multiplications an image forward; `imagenet` has not been run here. The digits: two minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets

PUBLISHED = "imagenet"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, imagenet=False, imagenette=False, v2=False, batch_norm=False, smoke=False)
  photos = known_sets.chosen(args)
  c = defaults("googlenet_bn" if args.batch_norm else "googlenet", task="classification")

  c.model.name = "vision.googlenet"
  c.model.auxiliary = True
  c.model.batch_norm = args.batch_norm or not (photos and args.imagenet)
  c.model.response_norm = not c.model.batch_norm
  c.loss.auxiliary = 0.3
  if photos:
    _photos(c, photos)
  else:
    _digits(c)

  if photos == "imagenet":
    c.data.batch_size = 256
    c.data.augment.update(brightness=0.5, contrast=0.5, saturation=0.5, lighting=0.1)
    c.train.epochs = 100.0
    c.optimizer.name = "sgd"
    c.optimizer.learning_rate = 0.05 if args.batch_norm else 0.01
    c.optimizer.arguments = {"momentum": 0.9}
    c.optimizer.schedule.name = "exponential"
    c.optimizer.schedule.factor = 0.96 ** (100 / 8)
    c.optimizer.l2 = 1e-4
    c.optimizer.ema = 0.9999
    c.checkpoint.select = "last"
  else:
    c.optimizer.name = "adam"
    c.optimizer.learning_rate = 2e-3 if not photos else 1e-3
    c.optimizer.schedule.name = "cosine"
    c.optimizer.warmup_epochs = 1.0
    c.checkpoint.monitor = "val_error"
  c.analyses = known_sets.pictures(photos)

  c.reference.update(metric="error", unit="%", paper="Szegedy et al. 2015, GoogLeNet")
  if not photos:
    c.reference.protocol = "fixed split 1,197/200/400"
  elif photos == "imagenet":
    if not args.batch_norm:
      c.reference.update(value=10.07, table="table 3, one model and one crop")
    c.reference.update(metric="top5_error", protocol="1.2 million training images, one crop of the validation images, top-5")
  if args.v2 and photos:
    known_sets.test_on_imagenet_v2(c)
  return finish(c, smoke=args.smoke)


def _photos(c: ConfigDict, name: str) -> None:
  known_sets.photographs(c, name)
  c.data.augment.crop = "inception"  # section 6: areas from 8% to 100%, ratios from 3/4 to 4/3
  c.evaluate.batch_size = 250
  if name == "imagenette":
    c.data.batch_size = 64
    c.train.epochs = 60.0


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.model.width = 0.125
  c.model.stem_stride, c.model.stem_pool = 1, False
  c.model.auxiliary_units = 64
  c.train.epochs = 20.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
