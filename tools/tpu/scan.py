"""Finds what a TPU cannot do, or does badly, in the graph of a traced step.

TensorFlow's own export refuses some of it with a long message; the rest compiles and then runs on padded, emulated or
recompiled shapes. Both are told here before anything is exported.
"""

import dataclasses
import re

import tensorflow as tf

from tools.tpu import blame

HOST, FLOAT64, DYNAMIC = "host operation", "float64", "dynamic shape"
_HOST = re.compile(
  r"(Eager)?PyFunc(Stateless)?|Print(V2)?|Timestamp|Write\w*Summary|\w+Summary(V2)?|(Read|Write)File|MatchingFiles|"
  r"(Save|Restore)(V2|Slices?)?|(Decode|Encode)\w+|Parse(Single)?(Example|Sequence)\w*|ImageProjectiveTransformV[23]|"
  r"(Lookup|(Mutable)?Hash)Table\w*|(Iterator|Queue|Reader)\w*|\w+(Queue|Dataset)(V\d)?|RaggedTensor\w*|"
  r"DrawBoundingBoxes(V2)?|SampleDistortedBoundingBox(V2)?")
_DYNAMIC = re.compile(
  r"Where|Unique(V2|WithCounts|WithCountsV2)?|(Combined)?NonMaxSuppression(V\d|WithOverlaps)?|DynamicPartition|ListDiff|"
  r"SetSize|\w+ToSparseSetOperation|DenseToDenseSetOperation|Sparse(Slice|FillEmptyRows|Concat|Split|Reorder)\w*|"
  r"StringSplit(V2)?")
_WIDE = (tf.float64, tf.complex128)
_SILENT = ("Assert", "NoOp", "Const")  # XLA drops assertions, and with them the text that they would print


@dataclasses.dataclass(frozen=True)
class Finding:
  """One thing that is refused.

  Attributes:
    kind: `HOST`, `FLOAT64` or `DYNAMIC`.
    blame: which operation, and whose line asked for it.
  """

  kind: str
  blame: blame.Blame

  def __str__(self) -> str:
    return f"{self.kind}: {self.blame}"


def scan(graph: tf.Graph, sites: blame.Sites) -> list[Finding]:
  """Returns what is refused in a graph and in the functions that it calls, one finding a line of code and kind."""
  found: dict[tuple[str, str], Finding] = {}
  for op in blame.operations(graph):
    kind = _kind(op)
    if kind:
      finding = Finding(kind, blame.of_operation(op, sites))
      found.setdefault((kind, finding.blame.place or finding.blame.name), finding)
  return list(found.values())


def _kind(op: tf.Operation) -> str:
  """Returns why an operation is refused, or an empty text."""
  if _HOST.fullmatch(op.type):
    return HOST
  dtypes = {tensor.dtype.base_dtype for tensor in (*op.inputs, *op.outputs)}
  if tf.string in dtypes and op.type not in _SILENT:
    return HOST
  if _DYNAMIC.fullmatch(op.type):
    return DYNAMIC
  return FLOAT64 if dtypes & set(_WIDE) and not _is_folded(op) else ""


def _is_folded(op: tf.Operation) -> bool:
  """Returns whether an operation is a constant that only goes into casts, or such a cast: nothing of it is left to compute."""
  constant = op.inputs[0].op if op.type == "Cast" else op
  return constant.type in _SILENT and all(user.type == "Cast" for out in constant.outputs for user in out.consumers())


def dynamic_inputs(batch: dict[str, tf.TensorSpec]) -> list[str]:
  """Returns a line for each part of a batch whose shape is not known before the run."""
  return [f"{DYNAMIC}: the batch's '{word}' is {spec.dtype.name} {list(spec.shape) if spec.shape.rank is not None else '[...]'}"
          for word, spec in batch.items() if not spec.shape.is_fully_defined()]
