"""Weights of keras.applications become a folder to start from."""

import json

import keras
import numpy as np
import pytest

from dlsuite import catalog, modes
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError, DataError, WorkdirError
from dlsuite.models.vision import vgg
from tools import convert_keras


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
  """VGG-16 at 32x32 with random weights, which went through a file; and the folder made of it."""
  folder = tmp_path_factory.mktemp("vgg16")
  theirs = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=10)
  theirs.save_weights(folder / "vgg16.weights.h5")
  found = convert_keras.convert("VGG16", str(folder / "vgg16.weights.h5"), str(folder / "out"), side=32, classes=10)
  return theirs, folder / "out", found


def test_a_folder_is_written_of_a_file_of_weights_and_its_logits_are_keras_own(converted):
  _, out, found = converted
  assert found["difference"] <= 1e-5
  assert json.loads((out / "conversion.json").read_text())["model"] == {"name": "vision.vgg", "depth": 16}


def test_init_from_finds_every_weight_and_the_colours_of_the_first_kernel_are_turned_round(converted):
  from dlsuite.runs.initialization import init_from

  theirs, out, _ = converted
  ours = vgg.build((32, 32, 3), 10)

  class Task:  # all that `init_from` asks of one
    def __init__(self):
      self.learners, self.networks = {}, {"classifier": ours}
      self.config = config_lib.defaults("fixture", task="classification")

    def weights(self):
      return {"network.classifier": list(ours.weights)}

  class Lines(list):
    line = list.append

  init_from(str(out), "", Task(), lines := Lines())
  np.testing.assert_array_equal(ours.get_layer("conv1_1").kernel, theirs.get_layer("block1_conv1").kernel.numpy()[:, :, ::-1])
  np.testing.assert_array_equal(ours.get_layer("conv5_3").kernel, theirs.get_layer("block5_conv3").kernel)
  np.testing.assert_array_equal(ours.get_layer("output").bias, theirs.get_layer("predictions").bias)
  assert lines[0].endswith("32 weights matched, 0 did not")


@pytest.mark.slow
def test_inceptions_task_builds_it_with_the_flags_that_are_printed(strategy):
  config = catalog.load("experiments/vision/inception_v3.py:smoke").copy_and_resolve_references().unlock()
  arguments = convert_keras.APPLICATIONS["InceptionV3"].arguments
  for key, value in convert_keras.overrides({"mean": (), "std": (), "model": arguments}).items():
    if not key.startswith("data."):
      section, _, name = key.partition(".")
      config[section][name] = value
  task = modes.task_of(config, strategy)
  task.build(4, 0)
  assert not isinstance(task.networks["classifier"].output, dict)


def test_an_unknown_application_is_refused_with_the_nearest(capsys, tmp_path):
  assert convert_keras.main(["--application=VG16", f"--out={tmp_path}"]) == 2
  assert "did you mean 'VGG16'" in capsys.readouterr().err


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
  (tmp_path / "mine").touch()
  with pytest.raises(WorkdirError, match="no empty folder"):
    convert_keras.convert("VGG16", None, str(tmp_path))


def test_a_download_that_fails_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path):
  def fails(**_):
    raise Exception("URL fetch failure on https://...\n\nNone -- [Errno -3] Temporary failure")

  monkeypatch.setattr(keras.applications, "VGG16", fails)
  assert convert_keras.main(["--application=VGG16", f"--out={tmp_path / 'new'}"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "needs a network" in error
  assert not (tmp_path / "new").exists()


def test_a_layer_without_a_rule_is_named():
  network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="odd")])
  application = convert_keras.Application("vgg16", "tf", "vision.vgg", {}, (("conv.*", "x"),))
  with pytest.raises(DataError, match="nothing for layer 'odd'"):
    convert_keras.names_of(network, network, application)


def test_every_application_is_one_of_keras_and_its_pixels_are_known():
  for name, application in convert_keras.APPLICATIONS.items():
    assert hasattr(keras.applications, name)
    assert application.mode in convert_keras.PIXELS


def test_an_application_without_table_is_a_config_error(tmp_path):
  with pytest.raises(ConfigError, match="allowed: "):
    convert_keras.convert("MobileNet", None, str(tmp_path / "new"))
