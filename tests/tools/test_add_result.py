"""Only whole runs of known code enter the table of results."""

import csv
import json

import pytest

from tools import add_result


@pytest.fixture
def run(tmp_path, monkeypatch):
  """A finished run's two records, and a table of the test's own."""
  monkeypatch.setattr(add_result, "TABLE", tmp_path / "results.csv")
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


def table():
  with open(add_result.TABLE, newline="") as f:
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
