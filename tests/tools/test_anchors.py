"""The tool that prints a detector's anchors: what stands in the experiment's file, and what is said of bad input."""

import pytest

from tools import anchors


def test_the_anchors_in_the_experiments_file_are_those_that_the_tool_finds():
  from dlsuite import catalog

  reference = "experiments/vision/detector.py"
  heights, widths, _ = anchors.lines(reference, 3)
  text = catalog.find(reference).read_text()
  assert heights in text
  assert widths in text


@pytest.mark.parametrize(("arguments", "says"), [
  (["experiments/vision/detector.py"], "usage: python -m tools.anchors EXPERIMENT COUNT"),
  (["experiments/vision/detector.py", "0"], "usage"),
  (["experiments/vision/lenet5.py", "3"], "its task is 'classification', not 'detection'"),
  (["experiments/unsupervised/denoising.py", "3"], "its task is 'a chain'"),
  (["experiments/vision/detector.py", "5000"], "5000 anchors were asked for, but the boxes have "),
])
def test_bad_input_gets_one_line(arguments, says, capsys):
  assert anchors.main(arguments) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert says in line
