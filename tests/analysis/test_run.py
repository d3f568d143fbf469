"""Which analyses are drawn: those that the task gives enough for."""

import ast
import importlib
import inspect
import types

import keras
import numpy as np
import pytest

from dlsuite import analysis, modules
from dlsuite import config as config_lib
from dlsuite.tasks.segmentation import Segmentation


class Said:
  """A console that keeps its lines."""

  def __init__(self):
    self.lines = []

  def line(self, text):
    self.lines.append(text)


def regression(found):
  """A task that gives what an analysis looks at, and no method of its own."""
  config = types.SimpleNamespace(name="fixture", task="regression", data=config_lib.defaults("x", "regression").data)
  return types.SimpleNamespace(config=config, analysed=lambda: found)


def test_an_analysis_that_the_task_gives_too_little_for_is_named_and_the_others_are_drawn(tmp_path):
  said = Said()
  found = {"text": np.frombuffer(b"a\nb", np.uint8), "bits": np.ones(3), "label": np.zeros(3)}
  names = ("confusion_matrix", "surprise", "first_layer_filters", "samples")
  assert analysis.run(names, regression(found), tmp_path, said) == {}
  assert said.lines == [
    "  analysis confusion_matrix: not for task='regression' on these data, it needs predicted, probabilities, num_classes",
    "  analysis first_layer_filters: not for task='regression' on these data, it needs input_shape",
    "  analysis samples: not for task='regression' on these data, it needs image, samples",
  ]
  assert [path.name for path in tmp_path.iterdir()] == ["surprise.png"]


@pytest.mark.parametrize("name", ["before_deep_learning", "confusion_matrix", "feature_plane", "preferred_inputs"])
def test_what_looks_at_classes_of_whole_images_is_not_for_classes_of_pixels(name, strategy, tmp_path):
  class Opened(Segmentation):
    num_classes = 2

  said, task = Said(), Opened(config_lib.defaults("fixture", task="segmentation"), strategy)
  task.analysed = lambda: {word: np.zeros((6, 16, 16, 1), np.uint8) for word in ("image", "label")}
  assert analysis.run((name,), task, tmp_path, said) == {}
  assert said.lines == [f"  analysis {name}: not for task='segmentation' on these data, it needs probabilities"]


def test_classes_that_are_too_many_to_read_are_counted_in_one_line(tmp_path):
  said = Said()
  task = regression({"label": np.zeros(3, int), "predicted": np.zeros(3, int), "probabilities": np.full((3, 100), 0.01)})
  task.num_classes = 100
  assert analysis.run(("confusion_matrix",), task, tmp_path, said) == {}
  assert said.lines == ["  analysis confusion_matrix: 100 classes; up to 30 can be read"]


def test_without_a_test_split_or_a_name_nothing_is_looked_at(tmp_path):
  task = regression({})
  task.analysed = lambda: pytest.fail("nothing was asked")
  assert analysis.run((), task, tmp_path, Said()) == {}
  task.config.data.test = ""
  assert analysis.run(("surprise",), task, tmp_path, Said()) == {}


def test_an_analysis_that_fails_is_named_and_the_others_are_drawn(tmp_path):
  said = Said()
  found = {"text": np.frombuffer(b"a\nb", np.uint8), "bits": np.ones(3), "image": None, "samples": None}
  assert analysis.run(("samples", "surprise"), regression(found), tmp_path, said) == {}
  assert len(said.lines) == 1
  assert said.lines[0].startswith("  analysis samples failed: ")
  assert [path.name for path in tmp_path.iterdir()] == ["surprise.png"]


def test_what_needs_the_task_alone_makes_it_predict_nothing(tmp_path):
  task = regression({})
  task.analysed = lambda: pytest.fail("the whole test split would be kept in memory")
  task.networks, task.input_shape = {"network": keras.Sequential([keras.layers.ReLU()])}, (8, 8, 1)
  assert analysis.run(("first_layer_filters",), task, tmp_path, Said()) == {}


def test_a_worker_without_a_folder_looks_but_draws_nothing():
  looked = []
  task = regression({})
  task.analysed = lambda: looked.append(True) or {}
  assert analysis.run(("surprise",), task, None, Said()) == {}
  assert looked


@pytest.mark.parametrize("name", modules.modules("analysis"))
def test_every_analysis_reads_nothing_of_what_was_found_that_it_does_not_name(name):
  module = importlib.import_module(f"dlsuite.analysis.{name}")
  draw = ast.parse(inspect.getsource(module.draw)).body[0]
  found = draw.args.args[1].arg
  read = {node.slice.value for node in ast.walk(draw)
          if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == found}
  optional = {"codes": {"label"}, "reconstructions": {"label"},
              "segmentation_rand": {"valid_label", "valid_probability"}}
  assert read - optional.get(name, set()) <= set(module.NEEDS)
