"""AlexNet on ImageNet, and a narrow one on handwritten digits.

Paper: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks", NeurIPS. Table 2,
"1 CNN": 40.7% top-1 and 18.2% top-5 error on the validation images of ILSVRC-2012. `one_tower`: Krizhevsky 2014, "One weird
trick for parallelizing convolutional neural networks", arXiv:1404.5997.

    python -m dlsuite.main --config=experiments/vision/alexnet.py --workdir=/tmp/alexnet_digits
    python -m dlsuite.main --config=experiments/vision/alexnet.py:imagenet --workdir=/tmp/alexnet

Arguments: `imagenet` or `imagenette` (ten of its classes), else the 8x8 digits inside scikit-learn; `v2` (with `imagenet`: the
test is on ImageNet-V2); `one_tower`; `smoke`.

Deviations:
1. Random crops of 224 pixels come from the whole image, scaled to a shorter side of 256, not from its central square alone.
2. The mean colour is taken off instead of the mean image.
3. The rate falls to a tenth after 1/3, 2/3 and 8/9 of 90 epochs; the paper of 2012 lowers it by hand when the error stalls.
4. 10,000 training images are watched instead of trained on; the published validation images are tested on once.
5. Weight decay acts on kernels only. Normalisation runs across both towers, as its formula says.
6. The digits and imagenette start from He's initialisation and are trained by Adam and with batches of their own.
7. `one_tower` has 256 filters in its fourth convolution, as torchvision's: with the 384 of the paper's footnote it would have
   1.4% more parameters than two towers, not the 0.2% of its text. It ends in a softmax instead of independent logistic units.

Cost: 0.7 billion multiplications an image forward; the paper took five to six days on two GTX 580; `imagenet` has not been run
here. The digits: a minute and a half on two CPU cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.data import known_sets

PUBLISHED = "imagenet"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, imagenet=False, imagenette=False, v2=False, one_tower=False, smoke=False)
  photos = known_sets.chosen(args)
  c = defaults("alexnet_one_tower" if args.one_tower else "alexnet", task="classification")

  c.model.name = "vision.alexnet"
  c.model.towers = 1 if args.one_tower else 2
  if photos:
    c.model.filters = (64, 192, 384, 256, 256) if args.one_tower else (96, 256, 384, 384, 256)
    _photos(c, photos)
  else:
    c.model.filters = (16, 48, 96, 64, 64) if args.one_tower else (24, 64, 96, 96, 64)
    _digits(c)

  if photos == "imagenet":
    c.data.batch_size = 128
    c.train.epochs = 90.0
    c.optimizer.name = "sgd"
    c.optimizer.learning_rate = 0.01
    c.optimizer.arguments = {"momentum": 0.9}
    c.optimizer.schedule.name = "step"
    if args.one_tower:
      c.optimizer.schedule.milestones, c.optimizer.schedule.factor = (0.25, 0.5, 0.75), 250 ** (-1 / 3)
    else:
      c.optimizer.schedule.milestones = (1 / 3, 2 / 3, 8 / 9)
    c.optimizer.l2 = 2.5e-4  # its gradient is the paper's 0.0005 w
    c.checkpoint.select = "last"
  else:
    c.model.initializer = "he_normal"
    c.optimizer.name = "adam"
    c.optimizer.learning_rate = 1e-3 if not photos else 3e-4
    c.optimizer.schedule.name = "cosine"
    c.optimizer.warmup_epochs = 1.0
    c.checkpoint.monitor = "val_error"
  c.analyses = known_sets.pictures(photos)

  paper = "Krizhevsky 2014, one tower" if args.one_tower else "Krizhevsky et al. 2012, AlexNet"
  c.reference.update(metric="error", unit="%", paper=paper)
  if not photos:
    c.reference.protocol = "fixed split 1,197/200/400"
  elif photos == "imagenet" and not args.one_tower:
    c.reference.update(value=40.7, table="table 2, 1 CNN",
                       protocol="1.2 million training images, mean of ten crops of the validation images")
    c.evaluate.augment = "ten_crop"
    c.evaluate.batch_size = 64  # 640 crops at once
  if args.v2 and photos:
    known_sets.test_on_imagenet_v2(c)
  return finish(c, smoke=args.smoke)


def _photos(c: ConfigDict, name: str) -> None:
  known_sets.photographs(c, name)
  c.data.augment.crop = "vgg"
  c.data.augment.scales = (256.0, 256.0)
  c.data.augment.lighting = 0.1  # section 4.1: noise along the principal components of the colours
  c.evaluate.batch_size = 250
  if name == "imagenet":  # pixels from 0 to 255, less the mean colour: the initial weights of 0.01 are made for that
    c.data.std = (1 / 255, 1 / 255, 1 / 255)
  else:
    c.data.batch_size = 64
    c.train.epochs = 40.0


def _digits(c: ConfigDict) -> None:
  known_sets.digits(c)
  c.data.batch_size = 32
  c.model.stem_kernel, c.model.stem_stride, c.model.stem_padding = 3, 1, 1
  c.model.units = 128
  c.train.epochs = 40.0
  c.evaluate.every_epochs = 5.0
  c.evaluate.batch_size = 200
