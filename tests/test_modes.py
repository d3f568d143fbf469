"""The modes through the command line, in one process: what they print, and which files they leave alone."""

import csv
import json
import pathlib
import re
import shutil

import pytest

from dlsuite import catalog
from dlsuite.main import main
from dlsuite.quiet import import_tensorflow

EXPERIMENT = "--config=experiments/vision/lenet5.py"
CPU = "--config.strategy.kind=cpu"
# C1, C3, C5, F6 and output: positions x maps x inputs, twice for multiply and add.
LENET_FLOPS = 2 * (28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10)


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
  """Returns every path below a folder, with what is in the files."""
  return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A short run: its folder and the command that made it."""
  workdir = tmp_path_factory.mktemp("modes") / "run"
  command = [f"{EXPERIMENT}:smoke", CPU, "--config.train.steps=40", "--config.data.batch_size=32", f"--workdir={workdir}"]
  assert main(command) == 0
  return workdir, command


def test_describe_prints_layers_parameters_flops_steps_and_splits_and_writes_nothing(tmp_path, monkeypatch, capsys):
  import_tensorflow()
  here, data = tmp_path / "here", tmp_path / "data"
  here.mkdir()
  data.mkdir()
  monkeypatch.chdir(here)
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(data))
  assert main([EXPERIMENT, CPU, f"--workdir={here / 'run'}", "--mode=describe"]) == 0
  shown = capsys.readouterr().out
  assert contents(tmp_path) == {"here": None, "data": None}
  for layer in (r"c1 +Conv2D +28 x 28 x 6 +156", r"s2 +MaxPooling2D +14 x 14 x 6 +0", r"c3 +Conv2D +10 x 10 x 16 +2,416",
                r"c5 +Dense +120 +48,120", r"f6 +Dense +84 +10,164", r"output +Dense +10 +850", r"total +61,706"):
    assert re.search(layer, shown), layer
  assert "trainable 61,706" in shown
  flops = int(re.search(r"forward pass ([\d,]+) FLOPs", shown)[1].replace(",", ""))
  assert LENET_FLOPS < flops < 1.1 * LENET_FLOPS  # the rest: biases, ReLU and pooling
  assert "37 steps an epoch of batch 32; 2,220 steps in all, evaluated every 185" in shown  # 1197 // 32, x 60, x 5
  for split in (r"train +train +1,197", r"valid +valid +200", r"test +test +400"):
    assert re.search(split, shown), split
  assert re.search(r"weights 241 KiB, optimizer 482(\.\d)? KiB", shown)  # 61,706 x 4 bytes, and Adam's two moments


def test_describe_of_a_set_that_is_not_prepared_says_so_and_writes_nothing(tmp_path, monkeypatch, capsys):
  import_tensorflow()
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
  assert main([f"{EXPERIMENT}:mnist", CPU, "--mode=describe"]) == 0
  shown = capsys.readouterr().out
  assert contents(tmp_path) == {}
  assert re.search(r"train +train\[:55000\] +not prepared", shown)
  assert "published: error 0.95 %" in shown


@pytest.mark.parametrize("split", ["valid", "test"])
def test_evaluate_reproduces_the_numbers_of_the_result_and_writes_nothing(run, split, capsys):
  workdir, command = run
  before = contents(workdir)
  assert main([*command, "--mode=evaluate", f"--split={split}"]) == 0
  shown = capsys.readouterr().out
  expected = json.loads(before["result.json"])[split]
  assert set(expected) == {"loss", "accuracy", "error", "top5_error", "calibration_error", "balanced_accuracy"}
  assert {name: re.search(rf"^{name} +(\S+)", shown, re.M)[1] for name in expected} == {
    name: f"{value:.4f}" for name, value in expected.items()}
  assert contents(workdir) == before


def test_weights_of_another_folder_are_measured_as_they_are_where_no_workdir_is_given(run, capsys):
  workdir, command = run
  asked = [*command[:-1], f"--init_from={workdir}", "--mode=evaluate"]
  assert main(asked) == 0
  shown = capsys.readouterr().out
  assert f"weights of {workdir}" in shown
  expected = json.loads((workdir / "result.json").read_text())["test"]
  assert re.search(r"^error +(\S+)", shown, re.M)[1] == f"{expected['error']:.4f}"
  assert main([*asked, "--config.init_fresh=('output',)"]) == 2
  assert f"--init_from={workdir} lacks 2 of the weights that --mode=evaluate needs: output/" in capsys.readouterr().err


def test_predict_writes_a_row_an_example_whose_share_of_right_ones_is_the_accuracy(run):
  workdir, command = run
  before = contents(workdir)
  assert main([*command, "--mode=predict"]) == 0
  with open(workdir / "predictions_test.csv", newline="") as f:
    rows = list(csv.DictReader(f))
  assert [row["index"] for row in rows] == [str(i) for i in range(400)]
  accuracy = json.loads(before["result.json"])["test"]["accuracy"]
  assert 0 < accuracy < 1
  assert sum(row["label"] == row["predicted"] for row in rows) / 400 == pytest.approx(accuracy, abs=1e-6)
  assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)  # the largest of ten
  (workdir / "predictions_test.csv").unlink()
  assert contents(workdir) == before


def test_the_command_of_a_finished_run_shows_its_result_and_changes_only_the_log_and_the_starts(run, capsys):
  workdir, command = run
  before = contents(workdir)
  assert main(command) == 0
  shown = capsys.readouterr().out
  assert "the run is complete; its result:" in shown
  result = json.loads(before["result.json"])
  assert re.search(rf"error \(%\) +{result['value']:.4g} ", shown)
  after = contents(workdir)
  assert after.keys() == before.keys()
  assert {name for name, content in after.items() if content != before[name]} == {"log.txt", "provenance.json", ".lock"}
  assert len(json.loads(after["provenance.json"])) == len(json.loads(before["provenance.json"])) + 1


def test_analyse_draws_of_a_finished_run_what_its_experiment_did_not_name_and_adds_the_numbers(run, capsys):
  workdir, command = run
  before, result = contents(workdir), json.loads((workdir / "result.json").read_text())
  assert main([*command, "--mode=analyse", "--config.analyses=('saliency', 'feature_plane')"]) == 0
  after = contents(workdir)
  assert after.keys() - before.keys() == {"figures/saliency.png", "figures/feature_plane.png"}
  assert {name for name in before if after[name] != before[name]} <= {"result.json"}
  found = json.loads((workdir / "result.json").read_text())
  assert result["analyses"].items() <= found["analyses"].items()
  assert found["analysed_by"].keys() == found["analyses"].keys() >= {"saliency", "feature_plane"}
  others = result.keys() - {"analyses", "analysed_by"}
  assert found.keys() - {"analyses", "analysed_by"} == others
  assert all(found[name] == result[name] for name in others)


def test_analyse_without_a_name_lists_what_there_is(run, capsys):
  _, command = run
  assert main([*command, "--mode=analyse", "--config.analyses=()"]) == 2
  assert "--mode=analyse has nothing to do: analyses is empty; there are: activations, " in capsys.readouterr().err


def test_a_run_goes_on_only_with_the_looks_that_it_will_be_tested_by_but_may_be_looked_at_by_others(run, capsys):
  _, command = run
  assert main([*command, "--mode=evaluate", "--split=valid", "--config.evaluate.augment=flip"]) == 0
  assert main([*command, "--config.evaluate.augment=flip"]) == 2
  assert 'another config: evaluate.augment ("none" there, "flip" here)' in capsys.readouterr().err


def test_a_run_is_not_together_with_itself(run, capsys):
  workdir, command = run
  assert main([*command, "--mode=evaluate", f"--ensemble={workdir}"]) == 2
  assert "is among the runs twice" in capsys.readouterr().err


def test_the_result_is_there_before_the_pictures_and_the_command_draws_what_is_missing(run):
  workdir, command = run
  whole = json.loads((workdir / "result.json").read_text())
  (workdir / "result.json").write_text(json.dumps({name: value for name, value in whole.items() if name != "analyses"}))
  (workdir / "figures/mistakes.png").unlink()
  assert main(command) == 0
  assert "analyses" in json.loads((workdir / "result.json").read_text())
  assert (workdir / "figures/mistakes.png").stat().st_size > 5_000


def test_a_run_that_goes_on_in_another_precision_says_so(run, capsys, monkeypatch):
  workdir, command = run
  from dlsuite import strategy

  starts = len(json.loads((workdir / "provenance.json").read_text()))
  monkeypatch.setitem(strategy.DEVICE_DEFAULTS, "cpu", ("bfloat16", False))
  for shown in (True, False):  # when it changes, and no more after that
    assert main(command) == 0
    assert ("note: the run began in float32 and goes on in bfloat16" in capsys.readouterr().out) == shown
  found = [start["precision"] for start in json.loads((workdir / "provenance.json").read_text())]
  assert found == ["float32"] * starts + ["bfloat16"] * 2
  assert json.loads((workdir / "result.json").read_text())["precision"] == "float32"


def test_a_prompt_for_a_task_that_writes_no_text_is_refused(run, capfd):
  workdir, command = run
  before = contents(workdir)
  assert main([*command, "--mode=predict", "--prompt=hello"]) == 2
  line = capfd.readouterr().err
  assert "--prompt is for language models" in line and "task='classification'" in line
  assert line.count("\n") == 1
  assert contents(workdir) == before


def test_list_prints_the_catalogue(capsys):
  assert main(["--list"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].split() == ["experiment", "chapter", "paper", "published"]
  for path in catalog.names():
    (line,) = (line for line in lines if line.startswith(path))
    assert line.split()[1] == path.split("/")[1]


def evaluated(text):
  """Returns the numbers of a printed table, {metric: [a column each]}."""
  rows = [re.findall(r"[\w.-]+", line) for line in text.splitlines()]
  known = ("loss", "error", "accuracy")
  return {row[0]: [float(value) for value in row[1:]] for row in rows if len(row) > 1 and row[0] in known}


def test_an_ensemble_averages_the_probabilities_of_its_runs_and_writes_nothing(run, tmp_path, capsys):
  import numpy as np

  workdir, command = run
  other = tmp_path / "other"
  assert main([*command[:-1], "--config.seed=1", f"--workdir={other}"]) == 0
  before = contents(workdir), contents(other)
  capsys.readouterr()
  assert main([*command, "--mode=evaluate", f"--ensemble={other}"]) == 0
  found = evaluated(capsys.readouterr().out)
  assert (contents(workdir), contents(other)) == before
  alone = [json.loads((folder / "result.json").read_text())["test"] for folder in (workdir, other)]
  for name in ("loss", "accuracy", "error"):
    np.testing.assert_allclose(found[name][1:], [values[name] for values in alone], atol=1e-4)
  assert found["loss"][0] < np.mean(found["loss"][1:])  # by Jensen's inequality: the logarithm is concave
  again = shutil.copytree(workdir, tmp_path / "again")
  assert main([*command, "--mode=evaluate", f"--ensemble={again}"]) == 0  # with its like it is itself
  for values in evaluated(capsys.readouterr().out).values():
    assert max(values) - min(values) <= 1e-4


@pytest.mark.parametrize(("arguments", "message"), [
  (["--mode=evaluate", "--ensemble=/nowhere/at/all"], "--ensemble=/nowhere/at/all holds no run: there is no "),
  (["--ensemble=/nowhere"], "--ensemble is for --mode=evaluate"),
])
def test_an_ensemble_of_what_is_no_run_is_refused(run, arguments, message, capfd):
  assert main([*run[1], *arguments]) == 2
  assert message in capfd.readouterr().err
