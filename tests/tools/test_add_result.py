"""Only whole runs of known code enter the table of results."""

import csv
import json
import shutil

import pytest

from tools import add_result


@pytest.fixture
def run(tmp_path, monkeypatch):
  """A finished run's two records, and a table of the test's own."""
  monkeypatch.setattr(add_result, "TABLE", tmp_path / "results.csv")
  monkeypatch.setattr(add_result, "ANALYSES", tmp_path / "analyses.csv")
  folder = tmp_path / "run"
  folder.mkdir()
  result = {"metric": "error", "unit": "%", "value": 0.9, "reference": 0.95, "difference": -0.05, "paper": "P", "table": "t 1",
            "valid": {"error": 0.8}, "steps": 10, "train_seconds": 1800.0, "seed": 3, "fingerprint": "f"}
  start = {"commit": "c" * 40, "dirty": False, "hardware": "1 x cpu",
           "command": ["main.py", "--config=experiments/vision/lenet5.py:mnist", "--workdir=/w", "--config.seed=3",
                       "--config.train.epochs=5"]}
  (folder / "result.json").write_text(json.dumps(result))
  (folder / "provenance.json").write_text(json.dumps([start]))
  return folder


def table(path=None):
  with open(path or add_result.TABLE, newline="") as f:
    return list(csv.DictReader(f))


def test_a_run_becomes_one_row_however_often_it_is_added(run):
  assert add_result.main([str(run)]) == 0
  assert add_result.main([str(run)]) == 0
  (row,) = table()
  assert (row["config"], row["overrides"]) == ("experiments/vision/lenet5.py:mnist", "config.train.epochs=5")
  assert (row["seed"], row["value"], row["published"], row["hours"], row["commit"]) == ("3", "0.9", "0.95", "0.500", "c" * 12)


def test_a_run_of_changed_code_is_refused(run, capsys):
  starts = json.loads((run / "provenance.json").read_text())
  (run / "provenance.json").write_text(json.dumps([*starts, starts[0] | {"dirty": True}]))
  assert add_result.main([str(run)]) == 2
  assert "work tree with changes" in capsys.readouterr().err
  assert not add_result.TABLE.exists()


def test_a_run_that_has_not_ended_is_refused(run, capsys):
  (run / "result.json").unlink()
  assert add_result.main([str(run)]) == 2
  assert "result.json is missing" in capsys.readouterr().err


def change(run, **fields):
  result = json.loads((run / "result.json").read_text())
  (run / "result.json").write_text(json.dumps(result | fields))


def test_an_analysis_is_a_row_a_number_with_the_commit_that_made_it_and_the_newest_stands(run):
  code = {"commit": "d" * 40, "dirty": False}
  change(run, analyses={"laps": {"whole": 9.0, "share": 0.9}}, analysed_by={"laps": code})
  assert add_result.main([str(run)]) == 0
  change(run, analyses={"laps": {"whole": 10.0}}, analysed_by={"laps": code | {"commit": "e" * 40}})
  assert add_result.main([str(run)]) == 0
  assert [(row["seed"], row["analysis"], row["number"], row["value"], row["commit"]) for row in table(add_result.ANALYSES)] == [
    ("3", "laps", "share", "0.9", "d" * 12), ("3", "laps", "whole", "10", "e" * 12)]
  assert len(table()) == 1


def test_analyses_alone_leave_the_table_of_results_as_it_is(run):
  change(run, analyses={"laps": {"whole": 9.0}}, analysed_by={"laps": {"commit": "d" * 40, "dirty": False}})
  assert add_result.main(["--analyses", str(run)]) == 0
  assert len(table(add_result.ANALYSES)) == 1 and not add_result.TABLE.exists()


@pytest.mark.parametrize("words", [[], ["--analyses"], ["--analyse", "run"]])
def test_what_is_no_run_gets_the_usage(run, words, capsys):
  assert add_result.main(words) == 2
  assert capsys.readouterr().err == "usage: python -m tools.add_result [--analyses] WORKDIR ...\n"
  assert not add_result.TABLE.exists()


def test_an_analysis_by_changed_code_is_refused(run, capsys):
  change(run, analyses={"laps": {"whole": 9.0}}, analysed_by={"laps": {"commit": "d" * 40, "dirty": True}})
  assert add_result.main([str(run)]) == 2
  assert "its analysis laps was made by a work tree with changes" in capsys.readouterr().err
  assert not add_result.TABLE.exists() and not add_result.ANALYSES.exists()


def commanded(run, *words):
  (start,) = json.loads((run / "provenance.json").read_text())
  (run / "provenance.json").write_text(json.dumps([start | {"command": ["main.py", *words]}]))


def test_a_run_without_a_value_is_refused_in_one_line(run, capsys):
  change(run, value=None, metric="eror", test={"loss": 0.1, "error": 0.9})
  assert add_result.main([str(run)]) == 2
  line = capsys.readouterr().err
  assert "has no value" in line and "reference.metric='eror'" in line and "loss, error" in line
  assert line.count("\n") == 1
  assert not add_result.TABLE.exists()


def test_flags_whose_value_is_the_next_word_and_switches_are_overrides_too(run):
  commanded(run, "--config", "experiments/vision/lenet5.py", "--workdir", "/w", "--config.seed", "3", "--config.train.steps",
            "100", "--config.data.augment.flip", "--noconfig.callbacks.csv", "--config.data.valid=", "--config.seed=4")
  assert add_result.main([str(run)]) == 0
  (row,) = table()
  assert row["config"] == "experiments/vision/lenet5.py"
  assert row["overrides"].split() == ["config.callbacks.csv=false", "config.data.augment.flip=true", "config.data.valid=",
                                      "config.train.steps=100"]


CHAIN = """
from dlsuite import catalog
from dlsuite.config import chain

def get_config(arg=""):
  a, b, c = (catalog.load("experiments/vision/lenet5.py").unlock() for _ in range(3))
  b.init_from = "stage:a"
  return chain("three", {"a": a.lock(), "b": b.lock(), "c": c.lock()})
"""


@pytest.fixture
def stage(run, tmp_path):
  """Returns the function from a stage's name to its folder in a chain's."""
  (tmp_path / "three.py").write_text(CHAIN)
  commanded(run, f"--config={tmp_path / 'three.py'}:mnist", "--workdir=/elsewhere", "--config.train.epochs=5",
            "--config.seed=3", "--config.a.model.width=2", "--config.a.seed=1", "--config.b.seed=3",
            "--config.b.model.width=2", "--config.c.data.batch_size", "64")

  def folder(name):
    path = tmp_path / "chain" / name
    shutil.copytree(run, path)
    return path

  return folder


@pytest.mark.parametrize(("name", "overrides"), [
  ("a", "config.a.model.width=2 config.train.epochs=5"),
  ("b", "config.a.model.width=2 config.a.seed=1 config.b.model.width=2 config.train.epochs=5"),  # starts from what `a` learnt
  ("c", "config.c.data.batch_size=64 config.train.epochs=5"),
])
def test_a_stage_of_a_chain_is_a_row_with_its_name_and_what_was_overridden_for_it(stage, tmp_path, name, overrides):
  assert add_result.main([str(stage(name))]) == 0
  (row,) = table()
  assert row["config"] == f"{tmp_path / 'three.py'}:mnist#{name}"
  assert row["overrides"] == overrides


def test_stages_of_one_fingerprint_are_two_rows(stage):
  folders = [str(stage(name)) for name in ("a", "b")]
  assert add_result.main(folders) == 0
  assert add_result.main(folders) == 0
  assert [row["config"].partition("#")[2] for row in table()] == ["a", "b"]


def test_the_folder_of_a_whole_chain_is_refused_with_one_of_its_stages(stage, capsys):
  chain = stage("a").parent
  assert add_result.main([str(chain)]) == 2
  assert f"{chain}: holds a chain: give the folder of one stage, e.g. {chain / 'a'}" in capsys.readouterr().err


def test_a_folder_that_is_no_stage_of_its_chain_is_refused(stage, capsys):
  assert add_result.main([str(stage("aa"))]) == 2
  assert "stage='aa' is unknown (did you mean 'a'?); allowed: a, b, c" in capsys.readouterr().err


def test_a_run_whose_experiment_is_gone_is_refused(run, capsys):
  commanded(run, "--config=experiments/vision/lenet55.py", "--workdir=/w")
  assert add_result.main([str(run)]) == 2
  assert "no such file (did you mean 'experiments/vision/lenet5.py'?)" in capsys.readouterr().err
