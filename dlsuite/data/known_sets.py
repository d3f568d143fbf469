"""The data sections that several experiments share: which set, its splits, features, colours and crops. No TensorFlow import.

What a paper adds, such as other crops or colours, and how its network learns, stands in the experiment's own file.
"""

import argparse

from ml_collections import ConfigDict

from dlsuite.errors import ConfigError

# By a config argument: the tfds set, and how many of its 1,281,167 or 9,469 training images are learnt; the last 10,000 or
# 1,000 of them are watched.
_PHOTOGRAPHS = {"imagenet": ("imagenet2012", 1_271_167), "imagenette": ("imagenette/320px-v2", 8_469)}
# Mean and standard deviation of red, green and blue.
_CIFAR = {"cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
          "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))}


def chosen(args: argparse.Namespace) -> str:
  """Returns which of `cifar10`, `cifar100`, `imagenet` and `imagenette` an experiment's arguments ask for, if not `smoke`.

  Raises:
    ConfigError: if they ask for two, or for `v2` without `imagenet`.
  """
  given = [name for name in (*_CIFAR, *_PHOTOGRAPHS) if getattr(args, name, False)]
  if len(given) > 1:
    raise ConfigError(f"config arguments {' and '.join(map(repr, given))} exclude each other")
  if getattr(args, "v2", False) and given != ["imagenet"]:
    raise ConfigError("config argument 'v2' tests on ImageNet-V2 what has learnt ImageNet: it needs 'imagenet'")
  return given[0] if given and not args.smoke else ""


def is_fast(args: argparse.Namespace, name: str) -> bool:
  """Returns whether an experiment's arguments ask for CIFAR's shortened recipe, `fast`.

  Raises:
    ConfigError: if they ask for it with another set, and not for `smoke`.
  """
  if args.fast and not name.startswith("cifar") and not args.smoke:
    raise ConfigError(f"config argument 'fast' is for cifar10 and cifar100, not for '{name}'")
  return args.fast and name.startswith("cifar")


def pictures(name: str) -> tuple[str, ...]:
  """Returns the analyses of a classifier of images: of ImageNet only what needs not hold all test images in memory."""
  return ("first_layer_filters",) if name == "imagenet" else ("confusion_matrix", "mistakes", "first_layer_filters")


def photographs(c: ConfigDict, name: str, pixels: int = 224) -> None:
  """Reads ImageNet or Imagenette (ten of its classes), cropped to squares and mirrored.

  The validation images, of which the papers give their errors, are the test split.

  Args:
    c: a config of task `classification`.
    name: `imagenet` or `imagenette`.
    pixels: a side.
  """
  c.data.name, kept = _PHOTOGRAPHS[name]
  c.data.train, c.data.valid, c.data.test = f"train[:{kept}]", f"train[{kept}:]", "validation"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  c.data.crop = pixels
  c.data.augment.flip = True


def test_on_imagenet_v2(c: ConfigDict) -> None:
  """Tests on 10,000 other images of ImageNet's classes instead, for which the papers have no number.

  Source: Recht, Roelofs, Schmidt & Shankar 2019, "Do ImageNet classifiers generalize to ImageNet?", ICML; its variant
  MatchedFrequency.
  """
  c.data.test_name, c.data.test = "imagenet_v2/matched-frequency", "test"
  c.reference.update(value=None, table="", protocol="10,000 images of ImageNet-V2, MatchedFrequency")


def cifar(c: ConfigDict, name: str) -> None:
  """Reads `cifar10` or `cifar100`, shifted by up to 4 pixels and mirrored; 5,000 training images are watched."""
  c.data.name = name
  c.data.train, c.data.valid, c.data.test = "train[:45000]", "train[45000:]", "test"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = _CIFAR[name]
  c.data.augment.pad_crop = 4
  c.data.augment.flip = True


def digits(c: ConfigDict, pixels: int = 16) -> None:
  """Reads the 8x8 digits inside scikit-learn, enlarged to `pixels` a side and shifted by up to one."""
  c.data.name = "optical_digits"
  c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
  c.data.features = {"image": "image", "label": "label"}
  c.data.mean, c.data.std = (0.3,), (0.35,)
  c.data.resize = pixels
  c.data.augment.pad_crop = 1
