"""VGG on ImageNet, and a narrow one on handwritten digits.

Paper: Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", ICLR, arXiv:1409.1556.
Table 3, one scale: top-1 error on the validation images of ILSVRC-2012: 29.6% for 11 layers (A), 28.7% for 13 (B), and with
training at scales from 256 to 512 25.6% for 16 (D) and 25.5% for 19 (E).

    python -m dlsuite.main --config=experiments/vision/vgg.py --workdir=/tmp/vgg_digits
    python -m dlsuite.main --config=experiments/vision/vgg.py:imagenet,depth=16 --workdir=/tmp/vgg16

Arguments: `imagenet` or `imagenette` (ten of its classes), else the 8x8 digits inside scikit-learn; `v2` (with `imagenet`: the
test is on ImageNet-V2); `depth`; `batch_norm`; `smoke`.

Deviations:
1. Glorot's initialisation for all depths, which section 3.1 found to do without the pre-training by a shallow network. Nor are
   the networks with changing scales (16, 19) trained at a scale of 384 first, which the paper does to save time.
2. One central crop at a shorter side of 256 instead of the dense evaluation of whole images at 256 or 384.
3. The rate falls to a tenth after 45%, 70% and 90% of 74 epochs; the paper lowers it three times when the error stalls.
4. 10,000 training images are watched instead of trained on; the published validation images are tested on once.
5. Weight decay acts on kernels only. `batch_norm`, which came later, starts from a rate of 0.05; its averages keep 0.9.
6. The digits and imagenette start from He's initialisation and are trained by Adam and with batches of their own, imagenette
   without a shift of the colours.

Cost: VGG-16 has 15.5 billion multiplications an image forward; the paper took two to three weeks on four Titan Black;
`imagenet` has not been run here. The digits: two minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets

PUBLISHED = "imagenet"  # the argument of the paper's own protocol

_ERRORS = {11: 29.6, 13: 28.7, 16: 25.6, 19: 25.5}  # % top-1, table 3


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, imagenet=False, imagenette=False, v2=False, depth=16, batch_norm=False, smoke=False)
  photos = known_sets.chosen(args)
  c = defaults(f"vgg{args.depth}{'_bn' if args.batch_norm else ''}", task="classification")

  c.model.name = "vision.vgg"
  c.model.depth = args.depth
  c.model.batch_norm = args.batch_norm
  if photos:
    _photos(c, photos)
    c.data.augment.scales = (256.0, 512.0) if args.depth >= 16 else (256.0, 256.0)
  else:
    _digits(c)

  if photos == "imagenet":
    c.data.batch_size = 256
    c.train.epochs = 74.0
    c.optimizer.name = "sgd"
    c.optimizer.learning_rate = 0.05 if args.batch_norm else 0.01
    c.optimizer.arguments = {"momentum": 0.9}
    c.optimizer.schedule.name = "step"
    c.optimizer.schedule.milestones = (0.45, 0.7, 0.9)
    c.optimizer.l2 = 2.5e-4  # its gradient is 0.0005 w
    c.data.augment.lighting = 0.1  # section 3.1: AlexNet's shift of the colours
    c.checkpoint.select = "last"
  else:
    c.model.initializer = "he_normal"
    c.optimizer.name = "adam"
    c.optimizer.learning_rate = 1e-3 if not photos else 1e-4
    c.optimizer.schedule.name = "cosine"
    c.optimizer.warmup_epochs = 1.0
    c.checkpoint.monitor = "val_error"
  c.analyses = known_sets.pictures(photos)

  c.reference.update(metric="error", unit="%", paper=f"Simonyan & Zisserman 2015, VGG-{args.depth}")
  if not photos:
    c.reference.protocol = "fixed split 1,197/200/400"
  elif photos == "imagenet" and not args.batch_norm and args.depth in _ERRORS:
    c.reference.update(value=_ERRORS[args.depth], table="table 3",
                       protocol="1.3 million training images, dense evaluation of the validation images at one scale")
  if args.v2 and photos:
    known_sets.test_on_imagenet_v2(c)
  return finish(c, smoke=args.smoke)


def _photos(c: ConfigDict, name: str) -> None:
  known_sets.photographs(c, name)
  c.data.augment.crop = "vgg"
  # As the paper: pixels from 0 to 255, less the mean colour; converted weights of Keras need just these.
  c.data.mean, c.data.std = (123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)
  c.evaluate.batch_size = 100
  if name == "imagenette":
    c.data.batch_size = 64
    c.train.epochs = 40.0


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.model.stages = 4
  c.model.width = 0.25
  c.model.units = 128
  c.train.epochs = 30.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
