"""Ten years of ImageNet on CIFAR-10: networks from AlexNet to SE-ResNet and DenseNet, each trained for ten minutes' epochs.

Papers, and the top-5 errors of their teams' entries in the challenge, of several networks each (Russakovsky et al. 2015,
"ImageNet large scale visual recognition challenge", arXiv:1409.0575, table 8, and the challenge's pages of 2015 and 2017):
Krizhevsky et al. 2012, 16.4%; Zeiler & Fergus 2013, 11.7% (Clarifai's entry; their paper has 14.8%); Simonyan & Zisserman 2014,
7.3%; Szegedy et al. 2014, 6.7%; He et al. 2015, 3.57%; Hu et al. 2017, 2.25%. DenseNet (Huang et al. 2017) was not entered.

    python -m dlsuite.main --config=experiments/vision/ten_years.py:cifar10,network=resnet --workdir=/tmp/years/resnet
    python -m tools.ten_years --out=/tmp/ten_years.png

The second command draws all rows of results.csv by year beside the published errors.

Arguments: `cifar10`, else the 8x8 digits inside scikit-learn as images of 32 pixels; `network`: alexnet, zfnet, vgg, googlenet,
resnet (the default), se_resnet or densenet; `epochs` (another number of them); `smoke`.

Deviations:
1. Sized for 32x32: AlexNet, ZFNet and VGG-16 with half of their channels and 1,024 or 512 hidden units, GoogLeNet with a
   quarter; first filters of 3 or 5 pixels at a stride of 1 (GoogLeNet: 7 at 2, without poolings in its stem); ResNet-20 as its
   paper has it for CIFAR, also with gates; DenseNet-BC (k=12) of 22 layers, where the paper's smallest has 100.
2. What each has of its year it keeps: response norm, dropout, auxiliary heads, no batch norm before 2015.
3. One recipe for all: shifts and flips, 128 images a batch, Nesterov's momentum, one cycle of the rate down to 0. Its peak is
   0.2 with batch norm, DenseNet's 0.1; without it 0.05, and gradients are clipped; none was searched for. All start from He's
   initialisation.
4. The ten minutes are a number of epochs, so that a run can be repeated to the bit: what two quiet cores with AMX make in ten
   minutes in bfloat16, by one look at each. Beside other work the recorded runs took 12 (VGG) to 20 (SE-ResNet) minutes.

Cost: ten minutes a network on such cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg, set_duration
from dlsuite.data import known_sets
from dlsuite.errors import ConfigError, one_of

PUBLISHED = "cifar10"  # the argument of the paper's own protocol

NETWORKS = {
  "alexnet": ("vision.alexnet", {"filters": (48, 128, 192, 192, 128), "stem_kernel": 5, "stem_stride": 1, "units": 1024,
                                 "initializer": "he_normal"}),
  "zfnet": ("vision.zfnet", {"filters": (48, 128, 192, 192, 128), "stem_kernel": 3, "stem_strides": (1, 1), "units": 1024,
                             "initializer": "he_normal"}),
  "vgg": ("vision.vgg", {"depth": 16, "width": 0.5, "units": 512, "initializer": "he_normal"}),
  "googlenet": ("vision.googlenet", {"width": 0.25, "stem_stride": 2, "stem_pool": False, "auxiliary_units": 256,
                                     "initializer": "he_normal"}),
  "resnet": ("vision.cifar_resnet", {"depth": 20}),
  "se_resnet": ("vision.cifar_resnet", {"depth": 20, "se_ratio": 16}),
  "densenet": ("vision.cifar_densenet", {"depth": 22, "growth": 12}),
}
# Ten minutes' worth, by the rates measured: 773, 1,019, 668, 786, 870, 670 and 470 images a second.
EPOCHS = {"alexnet": 10.0, "zfnet": 13.5, "vgg": 9.0, "googlenet": 10.5, "resnet": 11.5, "se_resnet": 9.0, "densenet": 6.2}
_PAPERS = {"alexnet": "Krizhevsky et al. 2012, AlexNet", "zfnet": "Zeiler & Fergus 2014, ZFNet",
           "vgg": "Simonyan & Zisserman 2015, VGG-16", "googlenet": "Szegedy et al. 2015, GoogLeNet",
           "resnet": "He et al. 2015, ResNet-20", "se_resnet": "Hu et al. 2017, SE-ResNet-20",
           "densenet": "Huang et al. 2017, DenseNet-BC"}
_PEAKS = {"resnet": 0.2, "se_resnet": 0.2, "densenet": 0.1}  # of the rate, with batch norm


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one network."""
  args = parse_arg(arg, cifar10=False, network="resnet", epochs=0.0, smoke=False)
  if args.network not in NETWORKS:
    raise ConfigError(one_of("config argument network", args.network, list(NETWORKS)))
  c = defaults(f"ten_years_{args.network}", task="classification")
  if cifar := known_sets.chosen(args):
    known_sets.cifar(c, cifar)
    c.data.batch_size = 128
    c.train.epochs = EPOCHS[args.network]
    c.train.precision = "bfloat16"
  else:
    known_sets.digits(c, pixels=32)
    c.data.batch_size = 32
    c.train.epochs = 5.0
    c.evaluate.batch_size = 200
  if args.epochs:
    set_duration(c, "train", "train.epochs", args.epochs)

  c.model.name, arguments = NETWORKS[args.network]
  c.model.update(arguments)
  if args.network == "googlenet":
    c.model.auxiliary = True
    c.loss.auxiliary = 0.3

  c.optimizer.name = "sgd"
  c.optimizer.arguments = {"momentum": 0.9, "nesterov": True}
  c.optimizer.schedule.name = "one_cycle"
  c.optimizer.l2 = 2.5e-4
  c.optimizer.learning_rate = _PEAKS.get(args.network, 0.05)
  if args.network not in _PEAKS:
    c.optimizer.clip.kind, c.optimizer.clip.value = "global_norm", 5.0
  c.checkpoint.select = "last"
  c.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")

  c.reference.update(metric="error", unit="%", paper=_PAPERS[args.network],
                     protocol="ten minutes" if cifar else "fixed split 1,197/200/400")
  return finish(c, smoke=args.smoke)
