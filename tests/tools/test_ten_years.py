"""The chart of ImageNet's networks by year: which rows count, and what is said where there is none."""

import pytest

from dlsuite import catalog, checks
from dlsuite.errors import ConfigError
from tools import ten_years

HEAD = "config,overrides,seed,value\n"
RUN = '"experiments/vision/ten_years.py:cifar10,network={}",{},{},{}\n'


@pytest.fixture
def table(tmp_path):
  path = tmp_path / "results.csv"
  rows = [("resnet", "", 0, 12.0), ("alexnet", "", 0, 30.0), ("resnet", "", 1, 14.0), ("vgg", "data.batch_size=64", 0, 20.0)]
  path.write_text(HEAD + "".join(RUN.format(*row) for row in rows) + "experiments/vision/resnet.py,,0,1.0\n")
  return path


def test_rows_without_overrides_count_by_network_in_the_order_of_the_years(table):
  assert list(ten_years.ours(table).items()) == [("alexnet", [30.0]), ("resnet", [12.0, 14.0])]


def test_a_table_without_rows_is_refused(tmp_path):
  (tmp_path / "results.csv").write_text(HEAD)
  with pytest.raises(ConfigError, match=r"results\.csv has no row of experiments/vision/ten_years"):
    ten_years.ours(tmp_path / "results.csv")


@pytest.mark.parametrize("name", ten_years.ENTRIES)
def test_every_network_of_the_chart_has_an_experiment_that_holds_nothing_wrong(name):
  for arg in ("", "cifar10,"):
    checks.check(catalog.load(f"experiments/vision/ten_years.py:{arg}network={name}"))


def test_every_network_of_the_experiment_is_in_the_chart():
  with pytest.raises(ConfigError, match="allowed: " + ", ".join(sorted(ten_years.ENTRIES)) + "$"):
    catalog.load("experiments/vision/ten_years.py:network=lenet")


def test_the_picture_is_drawn(table, tmp_path):
  ten_years.draw(ten_years.ours(table), tmp_path / "years.png")
  assert (tmp_path / "years.png").stat().st_size > 5_000


def test_another_kind_of_picture_is_refused_in_one_line(tmp_path, capsys):
  assert ten_years.main([f"--out={tmp_path}/years.gif"]) == 2
  assert capsys.readouterr().err == f"ten_years: --out='{tmp_path}/years.gif' must end in .png or .svg\n"
