"""`data.test_name`: a test on another set than the training's, such as one collected again by the same protocol."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data import sources
from dlsuite.errors import DataError

Spec = Mapping[str, tf.TensorSpec]


def check(builder: Any, other: Any, data: ConfigDict) -> None:
  """Looks whether what is learnt on one set can be tested on another one.

  Args:
    builder: of the set that is learnt, `data.name`.
    other: of the set that is tested on, `data.test_name`.
    data: the config's section.

  Raises:
    DataError: if the other set lacks a feature, has one of another kind or other classes, or may share examples.
  """
  ours, theirs = f"data.name={data.name!r}", f"data.test_name={data.test_name!r}"
  for word, path in data.features.items():
    feature, same = _at(builder, path), _at(other, path)
    if feature is None:
      continue  # the task says so
    if same is None:
      raise DataError(f"{theirs} has no feature {path!r}, which data.features.{word} takes of {ours}; it has: "
                      f"{', '.join(other.info.features)}")
    if not isinstance(same, type(feature)) and not isinstance(feature, type(same)):
      raise DataError(f"{theirs}: its {path} is a {type(same).__name__}, that of {ours} a {type(feature).__name__}")
    _check_classes(f"{theirs}: its {path}", f"that of {ours}", getattr(same, "names", None), getattr(feature, "names", None))
  if other.name == builder.name and (shared := _bases(other, data.test) & (_bases(builder, data.train) | _bases(
      builder, data.valid))):
    raise DataError(f"{theirs} and {ours} are variants of {builder.name}: both read its split {min(shared)!r}, and examples of "
                    "the training may be among those of the test; take another split as data.test")


def check_specs(ours: Spec, theirs: Spec, data: ConfigDict) -> None:
  """Raises DataError unless the examples of both sets, as the config has them decoded, are of the same shapes and types."""
  for word, spec in ours.items():
    if theirs[word] != spec:
      alike = [f"data.{key}" for key in ("resize", "crop", "channels") if key in data]
      raise DataError(f"data.test_name={data.test_name!r}: the {word} of an example is {_text(theirs[word])}, that of "
                      f"data.name={data.name!r} {_text(spec)}" + f"; {', '.join(alike)} make images alike" * (word == "image"))


def _at(builder: Any, path: str) -> Any:
  """Returns the feature at a path such as `label` or `objects/label`, or None."""
  found = builder.info.features
  if path in found:
    return found[path]
  for part in path.split("/"):
    try:
      found = found[part]
    except (KeyError, TypeError, AttributeError):
      return None
  return found


def _check_classes(its: str, that: str, theirs: list[str] | None, ours: list[str] | None) -> None:
  if theirs is None or ours is None:
    return
  wanted = "a test needs the same classes in the same order"
  if len(theirs) != len(ours):
    raise DataError(f"{its} has {len(theirs)} classes, {that} {len(ours)}: {wanted}")
  for i, (their, our) in enumerate(zip(theirs, ours, strict=True)):
    if their != our:
      raise DataError(f"{its} calls class {i} {their!r}, {that} {our!r}: {wanted}")


def _bases(builder: Any, split: str) -> set[str]:
  """Returns the names of the splits that a tfds split string reads, of a prepared set."""
  return {name for name, *_ in sources.split_ranges(builder, split, "data")} if split and builder.info.splits else set()


def _text(spec: tf.TensorSpec) -> str:
  return f"{spec.dtype.name} {list(spec.shape)}"
