"""What the tests of the analyses share."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
  """The figures that are written, in their order: what stands in them can be read."""
  figures, write = [], Figure.savefig

  def savefig(figure, *args, **options):
    figures.append(figure)
    write(figure, *args, **options)

  monkeypatch.setattr(Figure, "savefig", savefig)
  return figures
