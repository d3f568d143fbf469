"""Every experiment, found by existing: its smoke run ends, and its networks have their exact parameter counts."""

import dataclasses

import pytest

from dlsuite import catalog, modes
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record


@dataclasses.dataclass(frozen=True)
class Golden:
  """Weights of one variant: those that are trained, and all."""

  trainable: int
  total: int
  source: str


_LENET = ("arithmetic: C1 6x(25+1) + C3 16x(150+1) + 400x120+120 + 120x84+84 + 84x10+10; also in "
          "Zhang et al., Dive into Deep Learning, section 7.6 (with average pooling)")
_LENET_1998 = "LeCun et al. 1998, section II.B: 60,000 trainable parameters; 840 fixed ones of the RBF units (10x84)"
_MLP = "arithmetic: 784x800+800 + 800x10+10"
_RESNET = ("He et al. 2015, table 6: 0.27M; arithmetic for option A: 432 + 6x2,304 + 4,608 + 5x9,216 + 18,432 + 5x36,864 "
           "+ 650 + 2x688 of batch norm = 269,722, and 2x688 moving averages")
GOLDENS = {
  "experiments/vision/lenet5.py:": Golden(61_706, 61_706, _LENET),
  "experiments/vision/lenet5.py:mnist": Golden(61_706, 61_706, _LENET),
  "experiments/vision/lenet5.py:mnist,original": Golden(60_000, 60_840, _LENET_1998),
  "experiments/vision/lenet5.py:original": Golden(60_000, 60_840, _LENET_1998),
  "experiments/foundations/mlp.py:": Golden(60_010, 60_010, "arithmetic: 64x800+800 + 800x10+10"),
  "experiments/foundations/mlp.py:mnist": Golden(636_010, 636_010, _MLP),
  "experiments/vision/resnet20.py:": Golden(269_434, 270_810, _RESNET + "; one input channel: 144 instead of 432"),
  "experiments/vision/resnet20.py:cifar10": Golden(269_722, 271_098, _RESNET),
}


def test_every_experiment_has_a_golden():
  assert {reference.partition(":")[0] for reference in GOLDENS} == set(catalog.names())


@pytest.mark.parametrize("reference", GOLDENS)
def test_parameters_are_counted_to_the_unit(reference, strategy):
  config = catalog.load(reference)
  task = modes.task_of(config, strategy, prepare=False)
  task.build(1, 0)
  (network,) = task.networks.values()
  trainable = sum(int(v.value.shape.num_elements()) for v in network.trainable_variables)
  assert (trainable, network.count_params()) == (GOLDENS[reference].trainable, GOLDENS[reference].total)


@pytest.mark.parametrize("path", catalog.names())
def test_the_smoke_run_ends_with_a_result_and_figures(path, strategy, tmp_path):
  config = catalog.load(f"{path}:smoke")
  record = Record(str(tmp_path / "run"), config)
  record.check()
  result = modes.train(config, strategy, record, Console(False))
  assert result["steps"] == 4
  assert (record.figures / "learning_curves.png").stat().st_size > 5_000
  for name in config.analyses:
    assert (record.figures / f"{name}.png").stat().st_size > 2_000


@pytest.mark.parametrize("path", catalog.names())
def test_every_experiment_states_what_it_reproduces(path):
  module = catalog.find(path).read_text()
  for word in ("Deviations", "Cost", "python -m dlsuite.main"):
    assert word in module, f"{path}: its docstring says nothing of {word}"
