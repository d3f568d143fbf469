"""What experiments on the same sets share, and the argument that tests on ImageNet-V2."""

import subprocess
import sys

import pytest

from dlsuite import catalog, checks
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError
from tests.conftest import ROOT

FAMILIES = ("alexnet", "densenet", "googlenet", "inception_v3", "nin", "resnet", "se_resnext", "vgg", "zfnet")


def load(name, arg):
  return config_lib.flatten(catalog.load(f"experiments/vision/{name}.py:{arg}"))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_argument_v2_changes_what_is_tested_on_and_takes_the_published_number_away(name):
  plain, v2 = load(name, "imagenet"), load(name, "imagenet,v2")
  changed = {key: value for key, value in v2.items() if value != plain[key]}
  protocol, _ = changed.pop("reference.protocol"), changed.pop("reference.table", "")
  assert changed.pop("reference.value", None) is None
  assert changed == {"data.test_name": "imagenet_v2/matched-frequency", "data.test": "test"}
  assert protocol.startswith("10,000 images of ImageNet-V2")  # Recht et al. 2019: ten of each class
  checks.check(catalog.load(f"experiments/vision/{name}.py:imagenet,v2"))
  assert load(name, "imagenet,v2,smoke") == load(name, "smoke")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("arg", "says"), [
  ("imagenet,imagenette", "config arguments 'imagenet' and 'imagenette' exclude each other"), ("v2", "it needs 'imagenet'"),
  ("imagenette,v2", "it needs 'imagenet'")])
def test_sets_exclude_each_other_and_v2_needs_imagenet(name, arg, says):
  with pytest.raises(ConfigError, match=says):
    catalog.load(f"experiments/vision/{name}.py:{arg}")


@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_training_images_are_watched_and_the_published_validation_images_tested_on(name):
  config = load(name, "imagenet")
  kept = 1_281_167 - 10_000  # Russakovsky et al. 2015, table 2: training images of ILSVRC 2012
  assert [config[f"data.{key}"] for key in ("name", "train", "valid", "test")] == [
    "imagenet2012", f"train[:{kept}]", f"train[{kept}:]", "validation"]


@pytest.mark.parametrize(("name", "colours"), [
  ("alexnet", (0, 0, 0, 0.1)), ("vgg", (0, 0, 0, 0.1)), ("resnet", (0, 0, 0, 0.1)),  # Krizhevsky et al. 2012, section 4.1
  ("googlenet", (0.5, 0.5, 0.5, 0.1)),  # Szegedy et al. 2015, section 6: the distortions of Howard 2013
  ("inception_v3", (32 / 255, 0.5, 0.5, 0)),  # tensorflow/models, inception_preprocessing.py, without the hue
  ("densenet", (0.4, 0.4, 0.4, 0.1)),  # fb.resnet.torch, datasets/imagenet.lua
  ("zfnet", (0, 0, 0, 0)), ("nin", (0, 0, 0, 0)), ("se_resnext", (0, 0, 0, 0)),
])
def test_imagenets_colours_change_as_in_the_familys_paper(name, colours):
  config = load(name, "imagenet")
  assert tuple(config[f"data.augment.{key}"] for key in ("brightness", "contrast", "saturation", "lighting")) == colours


def test_an_experiments_data_are_known_without_tensorflow():
  code = ("import sys; from dlsuite import catalog; catalog.load('experiments/vision/resnet.py:imagenet,v2'); "
          "sys.exit('tensorflow' in sys.modules)")
  assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["nin", "densenet"])
def test_the_short_recipe_is_for_cifar_and_changes_nothing_of_a_smoke_run(name):
  assert load(name, "cifar10,fast")["optimizer.schedule.name"] == "one_cycle"
  assert load(name, "cifar10,fast,smoke") == load(name, "fast,smoke") == load(name, "smoke")
  for arg, of in (("fast", "digits"), ("imagenette,fast", "imagenette")):
    with pytest.raises(ConfigError, match=f"'fast' is for cifar10 and cifar100, not for '{of}'"):
      catalog.load(f"experiments/vision/{name}.py:{arg}")
