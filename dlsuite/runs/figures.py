"""Figures in one style: labelled axes with units, colour-blind-safe, readable at 800 pixels."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib
from ml_collections import ConfigDict

from dlsuite.errors import WorkdirError

matplotlib.use("Agg")
from matplotlib import pyplot as plt

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe & Ito 2008
_STYLE: Any = {
  "figure.dpi": 100, "savefig.dpi": 120, "font.size": 11, "axes.spines.top": False, "axes.spines.right": False,
  "axes.grid": True, "grid.alpha": 0.3, "axes.titlesize": 12, "axes.titlelocation": "left", "legend.frameon": False,
  "svg.hashsalt": "dlsuite",
}


@contextlib.contextmanager
def figure(path: pathlib.Path, rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 5)
           ) -> Iterator[tuple[Any, Any]]:
  """Yields (figure, axes) and writes the picture."""
  with plt.rc_context(_STYLE):
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    try:
      yield fig, axes
      fig.savefig(path)
    except OSError as e:
      raise WorkdirError(f"{path} cannot be written: {e.strerror}") from e
    finally:
      plt.close(fig)


def learning_curves(rows: list[dict[str, Any]], config: ConfigDict, selected_step: int, path: pathlib.Path) -> None:
  """Draws the loss and the reference's metric over the epochs, training and validation, and the published value.

  Args:
    rows: of metrics.jsonl.
    config: its `reference` says which metric and value.
    selected_step: marked as the step whose weights were taken.
    path: of the PNG.
  """
  metric = config.reference.metric
  names = ["loss"] + ([metric] if metric and metric != "loss" and any(metric in row for row in rows) else [])
  with figure(path, 1, len(names), (4.6 * len(names) + 1, 4.2)) as (_, axes):
    for name, axis in zip(names, axes if len(names) > 1 else [axes], strict=True):
      for split, colour, style in (("train", BLUE, "-"), ("valid", ORANGE, "o-")):
        points = [(row["epoch"], row[name]) for row in rows if row["split"] == split and name in row]
        if points:
          axis.plot(*zip(*points, strict=True), style, color=colour, label=split, markersize=3, linewidth=1.3)
      chosen = next((r for r in rows if r["step"] == selected_step and r["split"] == "valid" and name in r), None)
      if chosen:
        axis.plot(chosen["epoch"], chosen[name], "*", color=GREEN, markersize=13, label="weights taken", zorder=5)
      if name == metric and config.reference.value is not None:
        axis.axhline(config.reference.value, color=GREY, linestyle="--", linewidth=1,
                     label=f"published (test): {config.reference.value:g} {config.reference.unit}")
      values = [row[name] for row in rows if name in row]
      if values and min(values) > 0 and max(values) / min(values) > 30:
        axis.set_yscale("log")
      unit = config.reference.unit if name == metric else "nats" if name == "loss" else ""
      axis.set(xlabel="epoch", ylabel=f"{name} ({unit})" if unit else name, title=f"{config.name}: {name}")
      axis.legend()
