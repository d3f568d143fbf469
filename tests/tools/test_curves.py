"""Curves of several runs: which rows count, their mean, and what is said of runs that have none."""

import json

import pytest

from tools import curves


@pytest.fixture
def runs(tmp_path):
  rows = {"a": [("valid", 1, 4.0), ("train", 1, 9.0), ("valid", 2, 3.0), ("valid", 2, 2.0)],  # step 2 was made again
          "b": [("valid", 1, 6.0), ("valid", 2, 4.0), ("valid", 3, 1.0)]}
  for name, found in rows.items():
    (tmp_path / name).mkdir()
    (tmp_path / name / "metrics.jsonl").write_text(
      "".join(json.dumps({"split": split, "step": step, "error": value}) + "\n" for split, step, value in found))
  return tmp_path


def test_the_later_row_of_a_step_counts_and_the_mean_is_over_common_steps(runs):
  found = [curves.curve(runs / name, "error", "valid") for name in "ab"]
  assert found == [{1: 4.0, 2: 2.0}, {1: 6.0, 2: 4.0, 3: 1.0}]
  assert curves.mean(found) == {1: 5.0, 2: 3.0}


def test_the_picture_is_drawn(runs):
  out = runs / "curves.png"
  assert curves.main(["--metric=error", f"--out={out}", "--log", f"both={runs}/a,{runs}/b", f"one={runs}/b"]) == 0
  assert out.stat().st_size > 5_000


@pytest.mark.parametrize(("arguments", "said"), [
  (["--metric=eror", "--out={}/c.png", "x={}/a"], "in no row of {}/a (did you mean 'error'?); there are: error"),
  (["--metric=error", "--out={}/c.png", "x={}/c"], "{}/c: metrics.jsonl cannot be read"),
  (["--metric=error", "--out={}/c.png", "--split=test", "x={}/a"], "{}/a: has no rows of the split 'test'"),
  (["--metric=error", "--out={}/c.png", "{}/a"], "'{}/a': expected NAME=RUN,RUN,..."),
  (["--metric=error", "--out={}/c.gif", "x={}/a"], "--out='{}/c.gif' must end in .png or .svg"),
])
def test_what_cannot_be_drawn_is_said_in_one_line(runs, capsys, arguments, said):
  assert curves.main([argument.replace("{}", str(runs)) for argument in arguments]) == 2
  error = capsys.readouterr().err
  assert error.startswith("curves: ") and error.count("\n") == 1
  assert said.replace("{}", str(runs)) in error
  assert not list(runs.glob("c.*"))
