"""The catalogue of experiments."""

import ast
import re
import shlex

import pytest

from dlsuite import catalog, checks, flags
from dlsuite import config as config_lib
from dlsuite.errors import ConfigError


def test_every_experiment_loads_and_holds_nothing_wrong():
  for path in catalog.names():
    stages = config_lib.stages_of(catalog.load(path))
    for config in stages.values():
      checks.check(config)
    checks.check_chain(stages)


@pytest.mark.parametrize(("reference", "metric", "value", "looks"), [
  ("alexnet.py:imagenet", "error", 40.7, "ten_crop"),  # Krizhevsky et al. 2012, table 2; section 4.1: ten patches
  ("zfnet.py:imagenet", "error", 38.4, "ten_crop"),  # Zeiler & Fergus 2014, table 2
  ("resnet.py:imagenet,depth=18", "error", None, "ten_crop"),  # He et al. 2015, table 2, is for shortcuts of option A
  ("resnet.py:imagenet,depth=34", "error", 24.52, "ten_crop"),  # table 3, ResNet-34 B: 10-crop testing
  ("resnet.py:imagenet,v15", "error", None, "none"),  # not the paper's network
  ("googlenet.py:imagenet,batch_norm", "top5_error", None, "none"),
  ("cifar_resnet.py:cifar10,se,preactivation,depth=110", "error", 5.21, "none"),  # Hu et al. 2017, arXiv version 4, table 4
  ("cifar_resnet.py:cifar10,se,preactivation,bottleneck", "error", 4.39, "none"),
  ("cifar_resnet.py:cifar10,se", "error", None, "none"),
  ("resnet.py:imagenet", "error", 24.7, "none"),  # the authors' repository: one crop
  ("densenet.py:imagenet,depth=121", "error", 25.0, "none"),  # the authors' repository
  ("densenet.py:imagenet,depth=121,growth=12", "error", None, "none"),
  ("nin.py:cifar10", "error", 8.81, "none"),  # Lin et al. 2014, table 1
  ("nin.py:cifar10,width=0.5", "error", None, "none"),
  ("googlenet.py:imagenet", "top5_error", 10.07, "none"),  # Szegedy et al. 2015, table 3: one model, one crop
])
def test_a_number_is_the_published_one_of_this_network_by_as_many_crops_or_there_is_none(reference, metric, value, looks):
  config = catalog.load(f"experiments/vision/{reference}")
  assert (config.reference.metric, config.reference.value, config.evaluate.augment) == (metric, value, looks)


@pytest.mark.parametrize("path", catalog.names())
def test_every_experiment_knows_smoke_and_names_its_paper(path):
  assert {config.train.steps for config in config_lib.stages_of(catalog.load(f"{path}:smoke")).values()} == {4}
  assert all(config.reference.paper for config in config_lib.stages_of(catalog.load(path)).values())


def docstring(path):
  return ast.get_docstring(ast.parse(catalog.find(path).read_text()))


@pytest.mark.parametrize("path", catalog.names())
def test_every_experiment_says_what_it_changes_and_costs(path):
  text = docstring(path)
  assert re.search(r"^Cost\b.*\b(cores|GPU|accelerator)", text, re.MULTILINE | re.DOTALL), "nothing of a machine after `Cost`"
  (deviations,) = re.findall(r"^Deviations(?! of `)[^:]*:\s(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
  numbers = [int(number) for number in re.findall(r"^(\d+)\. ", deviations, re.MULTILINE)]
  assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", catalog.names())
def test_the_commands_of_an_experiments_docstring_are_of_that_experiment_and_hold_nothing_wrong(path, tmp_path):
  commands = re.findall(r"^ +python -m dlsuite\.main (.*)$", docstring(path), re.MULTILINE)
  assert commands
  for command in commands:
    shown = shlex.split(command)
    arguments = [f"--workdir={tmp_path}" if word.startswith("--workdir=") else word for word in shown]
    assert arguments != shown, f"{command}: no --workdir"
    assert shown[0].partition(":")[0] == f"--config={path}"
    assert flags.parse(arguments).stages


def test_the_listing_shows_every_experiment_with_chapter_paper_and_published_number():
  text = catalog.listing(200)
  for path in catalog.names():
    line = next(line for line in text.splitlines() if line.startswith(path))
    *_, last = config_lib.stages_of(catalog.load(line.split()[0])).values()  # with the argument of the published protocol
    assert path.split("/")[1] in line
    assert last.reference.paper in line
    assert line.endswith("-") if last.reference.value is None else f"{last.reference.value:g}" in line


def test_the_listing_stays_within_its_width_by_wrapping_the_paper(monkeypatch):
  paper = "LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition"
  monkeypatch.setattr(catalog, "rows", lambda: [("experiments/vision/lenet5.py", "vision", paper, "error 0.95 %")])
  lines = catalog.listing(width=90).splitlines()
  assert max(map(len, lines)) <= 90
  column = slice(lines[0].index("paper"), lines[0].index("published"))
  assert " ".join(line[column].strip() for line in lines[2:-2]) == paper


def test_a_broken_experiment_says_so_in_its_row_and_hides_no_other(tmp_path, monkeypatch):
  (tmp_path / "experiments/vision").mkdir(parents=True)
  (tmp_path / "experiments/vision/broken.py").write_text("import no_such_module\n")
  monkeypatch.setattr(catalog, "ROOT", tmp_path / "experiments")
  monkeypatch.setattr("sys.dont_write_bytecode", True)
  (row,) = catalog.rows()
  assert row[:2] == ("experiments/vision/broken.py", "vision")
  assert "broken.py, line 1 fails: ModuleNotFoundError" in row[2]


def test_an_experiment_is_found_from_any_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert catalog.load("experiments/vision/lenet5.py").name == "lenet5"


def test_the_nearest_experiment_is_named_by_its_file_alone():
  with pytest.raises(ConfigError, match=r"did you mean 'experiments/vision/lenet5\.py'"):
    catalog.find("lenet_5.py")
