"""Paired comparison of recorded runs against a worked textbook case and SciPy's own test."""

import pytest
from scipy import stats

from tools import compare

_TABLE = """config,overrides,seed,metric,value
a.py,,0,error,8.0
a.py,,1,error,9.0
a.py,,2,error,8.5
b.py,,0,error,7.0
b.py,,1,error,8.5
b.py,,2,error,8.5
b.py,,3,error,5.0
c.py,,0,loss,1.0
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
  path = tmp_path / "results.csv"
  path.write_text(_TABLE)
  monkeypatch.setattr(compare, "TABLE", path)


def test_only_seeds_that_both_have_are_paired(table):
  assert compare.paired("a.py", "b.py") == {0: (8.0, 7.0), 1: (9.0, 8.5), 2: (8.5, 8.5)}


def test_the_interval_of_minus_1_minus_half_and_0_is_that_of_the_t_table():
  # mean -0.5, standard deviation 0.5, t of 97.5% and 2 degrees of freedom 4.303: half width 4.303 x 0.5 / sqrt(3) = 1.242.
  assert compare.interval([-1.0, -0.5, 0.0]) == pytest.approx((-0.5, -1.742, 0.742), abs=5e-4)


def test_the_interval_is_that_of_scipys_paired_test():
  a, b = [3.1, 2.9, 3.4, 3.3], [2.8, 2.9, 3.0, 3.1]
  expected = stats.ttest_rel(b, a).confidence_interval(0.95)
  assert compare.interval([y - x for x, y in zip(a, b, strict=True)])[1:] == pytest.approx((expected.low, expected.high))


def test_what_cannot_be_compared_is_said_in_one_line(table, capsys):
  assert compare.main(["a.py", "bb.py"]) == 2
  assert capsys.readouterr().err == "compare: 'bb.py' has no row in results.csv (did you mean 'b.py'?)\n"
  assert compare.main(["a.py", "c.py"]) == 2
  assert "different metrics: error, loss" in capsys.readouterr().err


def test_the_printed_table_holds_pairs_and_interval(table, capsys):
  assert compare.main(["a.py", "b.py"]) == 0
  assert capsys.readouterr().out.splitlines()[-1] == "mean b - a: -0.5, 95% interval -1.742 to +0.7421 (3 pairs)"
