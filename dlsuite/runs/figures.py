"""Figures in one style: labelled axes with units, colour-blind-safe, readable at 800 pixels."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.runs import files
from dlsuite.runs.files import Path

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"  # Okabe & Ito 2008
_START = 0.02  # share of the run whose steep fall the curves' scale leaves out
_GAP = 1  # pixels between two tiles
_STYLE: Any = {
  "figure.dpi": 100, "savefig.dpi": 120, "font.size": 11, "axes.spines.top": False, "axes.spines.right": False,
  "axes.grid": True, "grid.alpha": 0.3, "axes.titlesize": 12, "axes.titlelocation": "left", "legend.frameon": False,
  "svg.hashsalt": "dlsuite",
}


def check_out(path: Path) -> None:
  """Looks at the ending of a picture's path that was given as `--out`.

  Raises:
    ConfigError: if it is neither .png nor .svg.
  """
  if path.suffix not in (".png", ".svg"):
    raise ConfigError(f"--out={str(path)!r} must end in .png or .svg")


@contextlib.contextmanager
def figure(path: Path, rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 5)
           ) -> Iterator[tuple[Any, Any]]:
  """Yields (figure, axes) and writes the picture."""
  with plt.rc_context(_STYLE):
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    try:
      yield fig, axes
      with files.drawn(path) as target:
        fig.savefig(target, format=path.suffix[1:])
    finally:
      plt.close(fig)


def picture(fig: Any) -> np.ndarray:
  """Returns a figure as pixels, uint8 [H, W, 3]."""
  fig.canvas.draw()
  return np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()


@contextlib.contextmanager
def drawing(size: tuple[float, float] = (4, 4)) -> Iterator[tuple[Any, Any]]:
  """Yields (figure, axes) in the same style without writing a file."""
  with plt.rc_context(_STYLE):
    fig, axes = plt.subplots(figsize=size, layout="constrained")
    try:
      yield fig, axes
    finally:
      plt.close(fig)


def scatter(axis: Any, samples: np.ndarray, reals: np.ndarray) -> None:
  """Draws points [N, 2] over real ones [M, 2], on a plane that stays the same from picture to picture."""
  axis.plot(*reals[:1000].T, ".", color=GREY, markersize=3, label="real")
  axis.plot(*samples.T, ".", color=BLUE, markersize=2, alpha=0.5, label="generated")
  limit = 1.5 * np.abs(reals).max()
  axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x", ylabel="y")
  axis.legend(loc="upper right")


def tiles(images: np.ndarray, columns: int, scale: int = 1) -> np.ndarray:
  """Returns images side by side on white.

  Args:
    images: float [N, H, W, C] in [0, 1] (0 is drawn white where C is 1), C 1 or 3.
    columns: images in a row.
    scale: pixels a side of an image's pixel.

  Returns:
    uint8 [rows, width, 3].
  """
  pixels = np.clip(np.round(255 * images), 0, 255).astype(np.uint8)
  pixels = (255 - pixels if images.shape[-1] == 1 else pixels).repeat(scale, 1).repeat(scale, 2)
  count, height, width = pixels.shape[:3]
  rows = -(-count // columns)
  canvas = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), 200, np.uint8)
  for i, image in enumerate(pixels):
    top, left = _GAP + i // columns * (height + _GAP), _GAP + i % columns * (width + _GAP)
    canvas[top:top + height, left:left + width] = image
  return canvas


def save_frame(folder: Path, step: int, pixels: np.ndarray) -> None:
  """Writes one picture of a run's film; that of a step is always the same file.

  Raises:
    WorkdirError: if it cannot be written.
  """
  try:
    folder.mkdir(exist_ok=True)
  except OSError as e:
    raise WorkdirError(f"{folder} cannot be written: {e.strerror}") from e
  with files.drawn(folder / f"step_{step:09d}.png") as target:
    Image.fromarray(pixels).save(target, format="PNG")


def film(pictures: Sequence[np.ndarray | Path], path: Path, milliseconds: int = 150) -> None:
  """Writes pictures of one size as a GIF that repeats and rests on the last.

  Raises:
    WorkdirError: if it cannot be written, or a picture cannot be read.
  """
  shades = [_pixels(picture).quantize(64, dither=Image.Dither.NONE) for picture in pictures]
  with files.drawn(path) as target:
    shades[0].save(target, format="GIF", save_all=True, append_images=shades[1:], loop=0,
                   duration=[milliseconds] * (len(shades) - 1) + [10 * milliseconds])


def _pixels(picture: np.ndarray | Path) -> Image.Image:
  if isinstance(picture, np.ndarray):
    return Image.fromarray(picture)
  try:
    with files.opened(picture) as f:
      return Image.open(f).convert("RGB")
  except OSError as e:
    raise WorkdirError(f"{picture} cannot be read: {e.strerror}") from e


def learning_curves(rows: list[dict[str, Any]], config: ConfigDict, units: Mapping[str, str], selected_step: int,
                    path: Path) -> None:
  """Draws some metrics over the epochs (or steps), training and validation, and the published value of one.

  Args:
    rows: of metrics.jsonl.
    config: its `reference` says which metric and value.
    units: {metric: its unit, or empty}, of those to draw; one of which there is no row is left out.
    selected_step: marked as the step whose weights were taken.
    path: of the PNG.
  """
  metric = config.reference.metric
  names = [name for name in units if any(name in row for row in rows)]
  over = "epoch" if all("epoch" in row for row in rows) else "step"
  columns = 2 if len(names) == 4 else min(3, len(names))
  height = -(-len(names) // columns)
  with figure(path, height, columns, (4.6 * columns + 1, 4.0 * height)) as (_, axes):
    for name, axis in zip(names, np.atleast_1d(axes).ravel(), strict=False):
      for split, colour, style in (("train", BLUE, "-"), ("valid", ORANGE, "o-")):
        points = [(row[over], row[name]) for row in rows if row["split"] == split and name in row]
        if points:
          axis.plot(*zip(*points, strict=True), style, color=colour, label=split, markersize=3, linewidth=1.3)
      chosen = next((r for r in rows if r["step"] == selected_step and r["split"] == "valid" and name in r), None)
      if chosen:
        axis.plot(chosen[over], chosen[name], "*", color=GREEN, markersize=13, label="weights taken", zorder=5)
      if name == metric and config.reference.value is not None:
        axis.axhline(config.reference.value, color=GREY, linestyle="--", linewidth=1,
                     label=f"published (test): {config.reference.value:g} {config.reference.unit}")
      late = [row[name] for row in rows if name in row and row["step"] >= _START * rows[-1]["step"]]
      if name == metric and config.reference.value is not None and _is_near(config.reference.value, late):
        late.append(config.reference.value)
      if min(late) > 0 and max(late) / min(late) > 30:
        axis.set_yscale("log")
      elif max(late) > min(late):  # the steep fall of the first steps would flatten all that follows
        axis.set_ylim(min(late) - 0.05 * (max(late) - min(late)), max(late) + 0.05 * (max(late) - min(late)))
      axis.set(xlabel=over, ylabel=f"{name} ({units[name]})" if units[name] else name, title=f"{config.name}: {name}")
      axis.xaxis.set_major_locator(ticker.MaxNLocator(5))
      axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
      axis.legend()


def _is_near(value: float, others: list[float]) -> bool:
  """Returns whether a value can be shown beside others without taking more than half of the axis."""
  span = max(others) - min(others)
  return min(others) - span <= value <= max(others) + span
