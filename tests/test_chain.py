"""Chains: overrides of all stages and of one, what is refused before anything runs, and weights that go from stage to stage."""

import json
import shutil

import numpy as np
import pytest

from dlsuite import config as config_lib
from dlsuite import flags
from dlsuite.errors import ConfigError
from dlsuite.main import main

CPU = "--config.strategy.kind=cpu"
# The first stage keeps the worse of its two evaluations, so that its selected weights are not its last; the other starts
# from another seed and hardly moves. Sorted by name, the stages would come the other way round.
EXPERIMENT = """
from dlsuite import catalog
from dlsuite.config import chain

def get_config(arg=""):
  first, final = (catalog.load("experiments/vision/lenet5.py:smoke").unlock() for _ in range(2))
  first.optimizer.learning_rate = 0.01
  first.checkpoint.monitor, first.checkpoint.mode = "val_loss", "max"
  final.init_from, final.seed = "stage:first", 1
  final.optimizer.name, final.optimizer.learning_rate = "sgd", 1e-30
  for stage in (first, final):
    stage.analyses, stage.callbacks.tensorboard = (), False
  return chain("two", {"first": first.lock(), "final": final.lock()})
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
  path = tmp_path_factory.mktemp("experiment") / "two.py"
  path.write_text(EXPERIMENT)
  return f"--config={path}"


@pytest.fixture
def stages_of(experiment):
  """Returns the function from overrides to the stages."""
  return lambda *arguments: flags.parse([experiment, "--workdir=/nowhere", *arguments]).stages


def refused(experiment, *arguments):
  with pytest.raises(ConfigError) as error:
    flags.parse([experiment, "--workdir=/nowhere", *arguments])
  return str(error.value)


# -- without TensorFlow


def test_each_stage_has_a_folder_of_its_own_in_the_order_of_the_chain(experiment):
  options = flags.parse([experiment, "--workdir=/runs/a"])
  assert [folder for folder, _ in options.runs()] == ["/runs/a/first", "/runs/a/final"]
  assert [config.init_from for _, config in options.runs()] == ["", "stage:first"]


@pytest.mark.parametrize(("init_from", "source"), [
  ("", ("", "")), ("stage:first", ("first", "")), ("stage:first.encoder", ("first", "encoder")), ("/runs/stage.a", ("", "")),
])
def test_a_stage_says_from_which_stage_and_network_it_starts(init_from, source):
  c = config_lib.defaults("x", "classification")
  c.init_from = init_from
  assert config_lib.source_stage(c) == source


@pytest.mark.parametrize("override", [("--config.seed=7",), ("--config.seed", "7"), ("-config.seed=7",)])
def test_an_override_reaches_every_stage(stages_of, override):
  assert {name: config.seed for name, config in stages_of(*override).items()} == {"first": 7, "final": 7}


@pytest.mark.parametrize("override", [("--config.final.seed=7",), ("--config.final.seed", "7"), ("-config.final.seed=7",)])
def test_an_override_of_a_stage_reaches_only_that_stage(stages_of, override):
  assert {name: config.seed for name, config in stages_of(*override).items()} == {"first": 0, "final": 7}


def test_overrides_of_all_and_of_single_stages_stand_beside_each_other_with_their_values(stages_of):
  stages = stages_of("--config.first.seed", "3", "--config.train.steps", "6", "--config.final.model.width=2",
                     "--config.seed=5", "--config.final.seed", "4", "--noconfig.first.callbacks.csv",
                     "--config.final.callbacks.csv")
  assert [c.train.steps for c in stages.values()] == [6, 6]
  assert [c.model.width for c in stages.values()] == [1.0, 2.0]
  assert [c.seed for c in stages.values()] == [5, 4]  # the last one counts
  assert [c.callbacks.csv for c in stages.values()] == [False, True]


def test_a_value_that_looks_like_a_stages_name_is_only_a_value(stages_of):
  stages = stages_of("--config.first.name", "final", "--config.final.name=first.seed=3")
  assert [c.name for c in stages.values()] == ["final", "first.seed=3"]


def test_init_from_of_the_command_line_is_the_first_stages(stages_of):
  assert [c.init_from for c in stages_of("--init_from=/runs/a").values()] == ["/runs/a", "stage:first"]


@pytest.mark.parametrize(("arguments", "says"), [
  (("--config.final.init_from=stage:frist",),
   "final.init_from='stage:frist': no such stage comes before (did you mean 'first'?); those before: first"),
  (("--config.final.init_from=stage:frist.classifier",), "no such stage comes before (did you mean 'first'?)"),
  (("--config.first.init_from=stage:final",),
   "first.init_from='stage:final': no such stage comes before; those before: none"),
  (("--config.final.init_from=stage:final",),
   "final.init_from='stage:final': no such stage comes before; those before: first"),
  (("--config.final.strategy.devices=2",), "final.strategy differs from the first stage's"),
  (("--config.first.strategy.kind=cpu",), "final.strategy differs from the first stage's"),
  (("--mode=evaluate", "--stage=finale"), "--stage='finale' is unknown (did you mean 'final'?); allowed: final, first"),
  (("--stage=final",), "--stage is for --mode=evaluate, --mode=predict and --mode=analyse"),
  (("--mode=predict", "--prompt="), "--prompt is empty"),
  (("--config.final.data.bach_size=4",), "data.bach_size is not a key of this config (did you mean 'batch_size'?)"),
  (("--config.final.seed",), "missing"),
])
def test_a_chain_that_cannot_be_is_refused_in_one_line(experiment, arguments, says):
  line = refused(experiment, *arguments)
  assert says in line
  assert "\n" not in line


def test_devices_that_are_the_same_for_all_stages_are_taken(stages_of):
  assert {c.strategy.devices for c in stages_of("--config.strategy.devices=2").values()} == {2}


def test_evaluate_and_predict_look_at_the_last_stage_unless_another_is_named(experiment):
  for mode in ("evaluate", "predict"):
    command = [experiment, "--workdir=/nowhere", f"--mode={mode}"]
    assert list(flags.parse(command).stages) == ["final"]
    assert list(flags.parse([*command, "--stage=first"]).stages) == ["first"]


def test_a_later_stages_folder_that_holds_another_run_is_found_before_the_first_stage_trains(experiment, tmp_path, capfd,
                                                                                             monkeypatch):
  monkeypatch.setattr("dlsuite.main.import_tensorflow", lambda: pytest.fail("TensorFlow was imported too early"))
  other = flags.parse([experiment, "--workdir=/nowhere", "--config.final.seed=9"]).stages["final"]
  (tmp_path / "final").mkdir()
  (tmp_path / "final/config.json").write_text(json.dumps(config_lib.to_json(other)))
  assert main([experiment, f"--workdir={tmp_path}"]) == 2
  assert "seed (9 there, 1 here)" in capfd.readouterr().err
  assert [path.name for path in tmp_path.iterdir()] == ["final"]


# -- with TensorFlow


def contents(folder):
  return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights(folder):
  """Returns the step of the selected weights, and them."""
  (path,) = folder.glob("checkpoints/selected_*.npz")
  with np.load(path) as archive:
    return int(path.stem.partition("_")[2]), {name: archive[name] for name in archive.files if name.startswith("network.")}


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
  """A finished chain: its folder and the command that made it."""
  workdir = tmp_path_factory.mktemp("chain") / "run"
  command = [experiment, CPU, f"--workdir={workdir}"]
  assert main(command) == 0
  return workdir, command


def test_each_stage_leaves_its_own_record_and_the_chains_folder_holds_nothing_else(run):
  workdir, _ = run
  assert sorted(path.name for path in workdir.iterdir()) == ["final", "first"]
  for stage, seed in (("first", 0), ("final", 1)):
    result = json.loads((workdir / stage / "result.json").read_text())
    assert (result["seed"], result["steps"]) == (seed, 4)
    assert (workdir / stage / "figures/learning_curves.png").exists()


def test_a_stage_starts_from_the_selected_weights_of_the_stage_that_it_names(run):
  workdir, _ = run
  (step, first), (_, final) = (weights(workdir / stage) for stage in ("first", "final"))
  assert step < 4  # else the last weights would pass for the selected ones
  assert first.keys() == final.keys()
  for name, value in first.items():
    np.testing.assert_allclose(final[name], value, rtol=0, atol=1e-25, err_msg=name)  # the learning rate is 1e-30


def test_the_same_command_again_shows_the_results_and_trains_nothing(run, capsys):
  workdir, command = run
  before = contents(workdir)
  assert main(command) == 0
  shown = capsys.readouterr().out
  assert shown.count("the run is complete; its result:") == 2
  assert shown.index("stage first\n") < shown.index("stage final\n")
  assert "started from" not in shown
  after = contents(workdir)
  assert after.keys() == before.keys()
  changed = {name for name in before if after[name] != before[name]}
  assert changed == {f"{stage}/{name}" for stage in ("first", "final") for name in ("log.txt", "provenance.json", ".lock")}


@pytest.mark.parametrize("source", ["stage:first", "stage:first.classifier"])
def test_a_chain_that_was_stopped_between_two_stages_goes_on_with_the_later(run, tmp_path, capsys, source):
  workdir, command = run
  shutil.copytree(workdir / "first", tmp_path / "run/first")
  assert main([*command, f"--workdir={tmp_path / 'run'}", f"--config.final.init_from={source}"]) == 0
  shown = capsys.readouterr().out
  assert shown.count("the run is complete; its result:") == 1
  assert f"started from {tmp_path / 'run/first'}" in shown
  assert "10 weights matched, 0 did not" in shown
  for name, value in weights(workdir / "final")[1].items():
    assert weights(tmp_path / "run/final")[1][name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("stage", ["first", "final"])
def test_evaluate_reproduces_the_result_of_the_stage_that_is_named(run, stage, capsys):
  workdir, command = run
  before = contents(workdir)
  assert main([*command, "--mode=evaluate", f"--stage={stage}"]) == 0
  result = json.loads(before[f"{stage}/result.json"])
  shown = capsys.readouterr().out
  assert f"weights of step {result['selected_step']}" in shown
  assert f"{result['test']['loss']:.4f}" in shown
  assert contents(workdir) == before


def test_stages_whose_weights_differ_in_shape_are_refused_before_anything_is_written(experiment, tmp_path, capfd):
  code = main([experiment, CPU, f"--workdir={tmp_path / 'run'}", "--config.final.model.width=2"])
  line = capfd.readouterr().err
  assert code == 2
  assert line.startswith("dlsuite: final.init_from='stage:first': c1/kernel has shape (5, 5, 1, 6) in stage first, "
                         "(5, 5, 1, 12) in stage final")
  assert line.count("\n") == 1
  assert not list(tmp_path.iterdir())


def test_layers_that_begin_anew_may_differ_in_shape_but_are_none_that_the_stages_share(strategy):
  from dlsuite import modes
  from dlsuite.runs import initialization

  def check(fresh):
    stages = flags.parse(["--config=experiments/unsupervised/denoising.py:smoke", "--workdir=/nowhere",
                          "--config.denoise.model.widths=(500,300)", f"--config.classify.init_fresh={fresh}"]).stages
    initialization.check_stages(stages, strategy, modes.task_of)

  check("('hidden2',)")
  with pytest.raises(ConfigError, match=r"no weight in common; .* classify has output/kernel, .* beside those of init_fresh"):
    check("('hidden*',)")


def test_a_network_that_the_earlier_stage_has_not_is_refused_with_the_nearest(experiment, tmp_path, capfd):
  code = main([experiment, CPU, f"--workdir={tmp_path / 'run'}", "--config.final.init_from=stage:first.clasifier"])
  line = capfd.readouterr().err
  assert code == 2
  assert "stage first has no network 'clasifier' (did you mean 'classifier'?); it has: classifier" in line
  assert not list(tmp_path.iterdir())


def test_stages_without_a_weight_in_common_are_refused(experiment, tmp_path, capfd, monkeypatch):
  from dlsuite.models.vision import lenet5

  build = lenet5.build

  def with_other_names(**arguments):
    network = build(**arguments)
    if arguments["width"] == 2:
      for weight in network.weights:
        weight._path = f"other_{weight.path}"
    return network

  monkeypatch.setattr(lenet5, "build", with_other_names)
  code = main([experiment, CPU, f"--workdir={tmp_path / 'run'}", "--config.final.model.width=2"])
  line = capfd.readouterr().err
  assert code == 2
  assert "final.init_from='stage:first': the stages have no weight in common; first has c1/kernel" in line
  assert "final has other_c1/kernel" in line
  assert not list(tmp_path.iterdir())
