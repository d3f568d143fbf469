"""Every experiment, found by existing: its smoke run ends, and its networks have their exact parameter counts."""

import dataclasses
import json

import pytest

from dlsuite import catalog, modes
from dlsuite import config as config_lib
from dlsuite.flags import Options


@dataclasses.dataclass(frozen=True)
class Golden:
  """Weights of one network: those that are trained, and all."""

  trainable: int
  total: int
  source: str


_LENET = ("arithmetic: C1 6x(25+1) + C3 16x(150+1) + 400x120+120 + 120x84+84 + 84x10+10; also in "
          "Zhang et al., Dive into Deep Learning, section 7.6 (with average pooling)")
_LENET_1998 = "LeCun et al. 1998, section II.B: 60,000 trainable parameters; 840 fixed ones of the RBF units (10x84)"
_MLP = "arithmetic: 784x800+800 + 800x10+10"
_RESNET = ("He et al. 2015, table 6: 0.27M; arithmetic for option A: 432 + 6x2,304 + 4,608 + 5x9,216 + 18,432 + 5x36,864 "
           "+ 650 + 2x688 of batch norm = 269,722, and 2x688 moving averages")
_LSTM = "arithmetic, with 96 codes (printable ASCII and the line's end): 96x64 + 4 gates of 512x(64+512+1) + 512x96+96"
# By experiment and argument, then by network; a chain's networks are named `stage/network`.
GOLDENS: dict[str, dict[str, Golden]] = {
  "experiments/foundations/diabetes.py:": {"regressor": Golden(4_929, 4_929, "arithmetic: 10x64+64 + 64x64+64 + 64+1")},
  "experiments/sequence/lstm.py:": {"language_model": Golden(1_237_088, 1_237_088, _LSTM)},
  "experiments/vision/lenet5.py:": {"classifier": Golden(61_706, 61_706, _LENET)},
  "experiments/vision/lenet5.py:mnist": {"classifier": Golden(61_706, 61_706, _LENET)},
  "experiments/vision/lenet5.py:mnist,original": {"classifier": Golden(60_000, 60_840, _LENET_1998)},
  "experiments/vision/lenet5.py:original": {"classifier": Golden(60_000, 60_840, _LENET_1998)},
  "experiments/foundations/mlp.py:": {"classifier": Golden(60_010, 60_010, "arithmetic: 64x800+800 + 800x10+10")},
  "experiments/foundations/mlp.py:mnist": {"classifier": Golden(636_010, 636_010, _MLP)},
  "experiments/vision/resnet20.py:": {"classifier": Golden(269_434, 270_810, _RESNET + "; one input channel: 144 instead of 432")},
  "experiments/vision/resnet20.py:cifar10": {"classifier": Golden(269_722, 271_098, _RESNET)},
}


def test_every_experiment_has_a_golden():
  assert {reference.partition(":")[0] for reference in GOLDENS} == set(catalog.names())


@pytest.mark.parametrize("reference", GOLDENS)
def test_parameters_are_counted_to_the_unit(reference, strategy):
  found = {}
  for stage, config in config_lib.stages_of(catalog.load(reference)).items():
    task = modes.task_of(config, strategy, prepare=False)
    task.build(1, 0)
    for name, network in task.networks.items():
      trainable = sum(int(v.value.shape.num_elements()) for v in network.trainable_variables)
      found[f"{stage}/{name}" if stage else name] = (trainable, network.count_params())
  assert found == {name: (golden.trainable, golden.total) for name, golden in GOLDENS[reference].items()}


@pytest.mark.parametrize("path", catalog.names())
def test_the_smoke_run_ends_with_a_result_and_figures(path, strategy, tmp_path):
  options = Options(config_lib.stages_of(catalog.load(f"{path}:smoke")), str(tmp_path / "run"))
  modes.run_all(options, strategy)
  for stage, config in options.stages.items():
    folder = tmp_path / "run" / stage
    assert json.loads((folder / "result.json").read_text())["steps"] == 4
    assert (folder / "figures/learning_curves.png").stat().st_size > 5_000
    for name in config.analyses:
      assert (folder / f"figures/{name}.png").stat().st_size > 2_000


@pytest.mark.parametrize("path", catalog.names())
def test_every_experiment_states_what_it_reproduces(path):
  module = catalog.find(path).read_text()
  for word in ("Deviations", "Cost", "python -m dlsuite.main"):
    assert word in module, f"{path}: its docstring says nothing of {word}"
