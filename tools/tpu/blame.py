"""From an operation of a traced graph to the line of a model, layer or task that asked for it."""

import contextlib
import dataclasses
import functools
import linecache
import os
import pathlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType
from unittest import mock

import keras
import tensorflow as tf

_HERE = str(pathlib.Path(__file__).resolve().parent)
_MACHINERY = ("training", "strategy.py", "modes.py")  # of dlsuite: runs every step, so a model is to blame only if none else is
_KERAS_CALL = re.compile(r"keras/src/(layers/layer|ops/operation)\.py$")
Place = tuple[str, int]  # file and line


@dataclasses.dataclass(frozen=True)
class Blame:
  """What is known of an operation.

  Attributes:
    type: e.g. `Unique`.
    name: in its graph.
    layer: name of the Keras layer in which it was made, or empty.
    place: `file:line`, or empty.
    code: the text of that line.
  """

  type: str
  name: str
  layer: str = ""
  place: str = ""
  code: str = ""

  def __str__(self) -> str:
    layer = f" of layer '{self.layer}'" if self.layer else ""
    line = f" at {self.place}" + (f": {self.code}" if self.code else "") if self.place else ""
    return f"{self.type} '{self.name}'{layer}{line}"


class Sites:
  """Where each Keras layer was made, by its name."""

  def __init__(self) -> None:
    self._made: list[tuple[keras.Operation, Place]] = []

  @contextlib.contextmanager
  def recorded(self) -> Iterator[None]:
    """Notes the line of every layer that is made in the block."""
    original = keras.Operation.__new__
    made = self._made

    def noting(cls: type, *args: object, **kwargs: object) -> keras.Operation:
      operation = original(cls, *args, **kwargs)
      place = _innermost(_live_frames(sys._getframe(1)))
      if place is not None:
        made.append((operation, place))
      return operation

    with mock.patch.object(keras.Operation, "__new__", noting):
      yield

  def of(self, name: str) -> tuple[str, Place] | None:
    """Returns the innermost layer in whose name scope an operation lies, and where the layer was made."""
    places = {operation.name: place for operation, place in self._made if hasattr(operation, "name")}
    for part in reversed(name.split("/")[:-1]):
      for candidate in (part, re.sub(r"_\d+$", "", part)):
        if candidate in places:
          return candidate, places[candidate]
    return None


def of_operation(op: tf.Operation, sites: Sites) -> Blame:
  """Returns the line to blame for an operation.

  It is the innermost line outside of the libraries; where that only calls a library's layer, or where the operation is
  the derivative of one inside a layer, it is the line that made the layer.
  """
  frames = [(os.path.abspath(frame.filename), frame.lineno or 0) for frame in op.traceback]
  own = [i for i, (file, _) in enumerate(frames) if _is_own(file)]
  calls = [i for i, (file, _) in enumerate(frames) if _KERAS_CALL.search(file)]
  place = frames[own[-1]] if own else None
  layer = sites.of(op.name)
  in_library = not own or (bool(calls) and calls[-1] > own[-1]) or _is_machinery(frames[own[-1]][0])
  if layer is not None and in_library:
    place = layer[1]
  return Blame(op.type, op.name, layer[0] if layer else "", *_told(place))


def of_names(names: Iterable[str], graph: tf.Graph, sites: Sites) -> list[Blame]:
  """Returns the lines to blame for operations that another program names, each once; unknown names are left out."""
  known = {op.name: op for op in operations(graph)}
  found: dict[str, Blame] = {}
  for name in names:
    for candidate in (name, name.rpartition("/")[0]):  # XLA adds a part of its own to some names
      if candidate in known and candidate not in found:
        found[candidate] = of_operation(known[candidate], sites)
        break
  return list(found.values())


def of_exception(error: BaseException) -> str:
  """Returns `file:line: code` of the innermost own line that an exception passed, or an empty text."""
  frames = [(os.path.abspath(frame.filename), frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
  text = " ".join(str(error).split())
  if re.search(r'File "[^"]+", line \d+, in \w+\s+\*', text):  # AutoGraph tells the user's line in its message
    matches = re.findall(r'File "([^"]+)", line (\d+), in \w+', text)
    frames += [(file, int(line)) for file, line in matches]
  own = [frame for frame in frames if _is_own(frame[0])]
  models = [frame for frame in own if not _is_machinery(frame[0])]
  place, code = _told((models or own)[-1] if own else None)
  return f"{place}: {code}" if code else place


def operations(graph: tf.Graph) -> Iterator[tf.Operation]:
  """Yields every operation of a graph and of the functions that it calls."""
  yield from graph.get_operations()
  for function in list(graph._functions.values()):
    inner = getattr(function, "graph", None)
    if inner is not None:
      yield from inner.get_operations()


def _told(place: Place | None) -> tuple[str, str]:
  """Returns `file:line`, the file relative to here if it is below, and the line's text."""
  if place is None:
    return "", ""
  file, line = place
  with contextlib.suppress(ValueError):
    file = str(pathlib.Path(file).relative_to(pathlib.Path.cwd()))
  return f"{file}:{line}", linecache.getline(place[0], line).strip()


@functools.cache
def _library_folders() -> tuple[str, ...]:
  paths = sysconfig.get_paths()
  return tuple({os.path.abspath(paths[key]) + os.sep for key in ("purelib", "platlib", "stdlib", "platstdlib")})


def _is_own(file: str) -> bool:
  """Returns whether a file is a person's own: none of a library's, of Python's, or of this tool's."""
  if file.startswith("<") or "__autograph_generated_file" in file or os.path.dirname(file) == _HERE:
    return False
  return not file.startswith(_library_folders()) and "site-packages" not in file and os.path.exists(file)


def _is_machinery(file: str) -> bool:
  root = os.path.dirname(os.path.dirname(_HERE)) + os.sep + "dlsuite" + os.sep
  return file.startswith(tuple(root + part for part in _MACHINERY))


def _live_frames(frame: FrameType | None) -> list[Place]:
  """Returns the frames of a running call, the outermost first."""
  frames = []
  while frame is not None:
    frames.append((os.path.abspath(frame.f_code.co_filename), frame.f_lineno))
    frame = frame.f_back
  return frames[::-1]


def _innermost(frames: list[Place]) -> Place | None:
  own = [frame for frame in frames if _is_own(frame[0])]
  return own[-1] if own else None
