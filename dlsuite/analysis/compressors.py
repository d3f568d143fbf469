"""A language model beside general compressors, in bits per byte of the same text."""

import bz2
import gzip
import lzma
from typing import Any

import numpy as np

from dlsuite.runs.figures import BLUE, GREY, figure
from dlsuite.runs.files import Path

NEEDS = ("text", "bits")

_DICTIONARY = 64 * 2**20  # bytes that xz looks back, more than any training text here


def _xz(data: bytes) -> int:
  filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": _DICTIONARY}]
  return len(lzma.compress(data, format=lzma.FORMAT_XZ, filters=filters))


def bits_per_byte(text: bytes, before: bytes) -> dict[str, float]:
  """Returns what general compressors need for a text, bits per byte.

  Args:
    text: what is compressed.
    before: what is known already; `xz_after_training` is the length of both together minus that of `before`.
  """
  sizes = {"gzip": len(gzip.compress(text, 9)), "bzip2": len(bz2.compress(text, 9)), "xz": _xz(text),
           "xz_after_training": _xz(before + text) - _xz(before)}
  return {name: 8 * size / len(text) for name, size in sizes.items()}


def draw(task: Any, found: dict[str, np.ndarray], path: Path) -> dict[str, float]:
  """Draws a bar for each compressor and one for the network, test split.

  Args:
    task: a language model's.
    found: `text` uint8 [N] and `bits` [N] that each byte costs the network.
    path: of the PNG.

  Returns:
    Bits per byte, by name.
  """
  numbers = bits_per_byte(found["text"].tobytes(), task.text("train").tobytes())
  bars = {**{name.replace("_", " "): value for name, value in numbers.items()}, "network": float(found["bits"].mean())}
  with figure(path, size=(8, 4)) as (_, axis):
    axis.barh(list(bars), list(bars.values()), color=[GREY] * len(numbers) + [BLUE])
    for i, value in enumerate(bars.values()):
      axis.text(value, i, f" {value:.3f}", va="center")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set(xlabel="bits per byte of the test text (less is better)", xlim=(0, 1.12 * max(bars.values())),
             title=f"{task.config.name}: {len(found['text']):,} bytes of {task.builder_of('test').name}")
  return numbers
