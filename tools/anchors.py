"""Prints the anchors that a detector's training split asks for, as lines for its experiment's file.

    python -m tools.anchors experiments/vision/detector.py:bccd 5

They are found by k-means over the boxes as the network sees them, in pixels of `data.size`, without augmentation.
"""

import sys

from dlsuite import catalog
from dlsuite.errors import ConfigError, DlsuiteError
from dlsuite.quiet import import_tensorflow


def lines(reference: str, count: int) -> list[str]:
  """Returns the lines of an experiment's anchors.

  Raises:
    ConfigError: if the experiment cannot be loaded or is no detector, or has too few boxes.
    DataError: if its data cannot be read.
  """
  config = catalog.load(reference)
  if config.get("task") != "detection":
    raise ConfigError(f"{reference} has no anchors: its task is {config.get('task', 'a chain')!r}, not 'detection'")
  import_tensorflow()
  from dlsuite.data import anchors, sources
  from dlsuite.data.boxes import BoxedSplit

  split = BoxedSplit.open(sources.open_builder(config.data.name), config, "train")
  split.count("train")
  arrays = split.arrays()
  boxes = arrays["boxes"][arrays["labels"] >= 0]
  sizes = (boxes[:, 2:] - boxes[:, :2]) * split.shape[:2]
  try:
    found, mean = anchors.find(sizes, count)
  except ValueError as e:
    raise ConfigError(f"{reference}: {e}") from None
  return [f"  c.anchors.{name} = {tuple(round(float(side), 1) for side in sides)}"
          for name, sides in zip(("heights", "widths"), found.T, strict=True)] + [
    f"  # mean overlap of a box with the anchor most like it: {mean:.3f}, over {len(sizes):,} boxes"]


def main(arguments: list[str]) -> int:
  """Prints the lines; returns 2 with one line if there is something wrong."""
  if len(arguments) != 2 or not arguments[1].isdigit() or arguments[1] == "0":
    print("usage: python -m tools.anchors EXPERIMENT COUNT", file=sys.stderr)
    return 2
  try:
    print("\n".join(lines(arguments[0], int(arguments[1]))))
  except DlsuiteError as e:
    print(f"anchors: {e}", file=sys.stderr)
    return e.exit_code
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
