"""Finds a tfds data set, prepares it, and answers questions about its splits."""

import atexit
import contextlib
import importlib
import io
import logging
import pathlib
import shutil
import socket
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import builders
from dlsuite.errors import DataError, first_line, nearest
from dlsuite.runs import files
from dlsuite.runs.remote import RemotePath, translated

_BUILDERS = pathlib.Path(builders.__path__[0])
_PROBED_HOST = "storage.googleapis.com"  # where most tfds downloads lie
_PROBE_SECONDS = 3.0
# After its first download has failed, tfds's other threads still begin theirs. Any that found the network as it was would try
# it for minutes, and the process could not end before.
_STRAGGLERS_SECONDS = 1.0


def own_builders() -> list[str]:
  """Returns the names of the data sets whose builder is part of this package."""
  return sorted(path.name for path in _BUILDERS.iterdir() if (path / f"{path.name}_dataset_builder.py").exists())


def _is_made_here(name: str) -> bool:
  """Returns whether a data set's builder is part of this package and downloads nothing."""
  return name in own_builders() and not (_BUILDERS / name / "checksums.tsv").exists()


def use_data_dir(folder: str) -> None:
  """Makes tfds look for data sets, and prepare them, in a folder from now on, as TFDS_DATA_DIR does before its first import."""
  tfds.core.constants.DATA_DIR = str(files.path(folder))


def tfds_data_dir() -> str:
  """Returns the folder where tfds looks for data sets and prepares them."""
  return str(tfds.core.constants.DATA_DIR)


def _builder(name: str, key: str, data_dir: str | None = None) -> Any:
  base = name.partition(":")[0].partition("/")[0]
  if base in own_builders():
    if name != base:
      raise DataError(f"{key}={name!r}: {base} has no variants and one version (did you mean '{base}'?)")
    module = importlib.import_module(f"dlsuite.data.builders.{base}.{base}_dataset_builder")
    return module.Builder(data_dir=data_dir)
  known = own_builders() + tfds.list_builders(with_community_datasets=False)
  try:
    return tfds.builder(name, data_dir=data_dir)
  except (tfds.core.DatasetNotFoundError, ValueError, AssertionError, OSError) as e:
    if base not in known:
      raise DataError(f"{key}={name!r}: tfds knows no such data set{nearest(base, known)}") from None
    configs = list(tfds.builder_cls(base).builder_configs)
    variant = name.partition(":")[0].partition("/")[2]
    if variant and variant not in configs:
      has = f"has no variant '{variant}'{nearest(variant, configs)}; it has: {', '.join(configs[:20])}" if configs else (
        f"has no variants (did you mean '{base}'?)")
      raise DataError(f"{key}={name!r}: {base} {has}") from None
    raise DataError(f"{key}={name!r} cannot be opened: {first_line(e)}") from None


def open_builder(name: str, prepare: bool = True, key: str = "data.name") -> Any:
  """Returns the tfds builder of a data set.

  Args:
    name: a tfds name, or one of `own_builders()`.
    prepare: download and prepare the set if that has not been done. If False nothing is written: a set that needs no
      download is prepared in a temporary folder, another one is returned unprepared (its splits are then empty).
    key: of the config that names the set, for the errors.

  Raises:
    DataError: if there is no such set, or it is missing and cannot be fetched.
  """
  logging.getLogger("absl").setLevel(logging.ERROR)
  tfds.disable_progress_bar()
  try:
    builder = _builder(name, key)
  except tf.errors.NotFoundError:
    builder = _builder_of_new(name, key, prepare)
  except tf.errors.OpError as e:
    raise _out_of_reach(e)  # noqa: B904 - it brings its cause
  if builder.info.splits:
    return builder
  if prepare:
    _prepare(builder, name, key)
  elif _is_made_here(name):
    builder = _builder(name, key, temporary_folder())
    _prepare(builder, name, key)
  return builder


def _builder_of_new(name: str, key: str, prepare: bool) -> Any:
  """Returns the builder of a set of which a remote data_dir has nothing yet: tfds asks there for the versions, and trips.

  The set's folder is made for it, or with `prepare` False a temporary one on this machine.
  """
  if not prepare:
    return _builder(name, key, temporary_folder())
  base = name.partition(":")[0].partition("/")[0]
  root, unprepared = tfds.core.constants.DATA_DIR, _builder(name, key, temporary_folder())
  folder = "/".join([root, base, *([unprepared.builder_config.name] if unprepared.builder_config else [])])
  try:
    files.check_writable(files.hurried(files.path(root)))  # making folders in a bucket that is missing would never end
    tf.io.gfile.makedirs(folder)
    return _builder(name, key)
  except OSError as e:
    raise DataError(f"--data_dir={root} is not writable: {e.strerror}") from None
  except tf.errors.OpError as e:
    raise _out_of_reach(e)  # noqa: B904 - it brings its cause


def temporary_folder() -> str:
  """Returns a folder that lives as long as the process."""
  folder = tempfile.mkdtemp(prefix="dlsuite-")
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  return folder


def _out_of_reach(error: Exception) -> DataError:
  """Returns TensorFlow's error about a remote data_dir as a line that says what to do."""
  folder = files.path(tfds.core.constants.DATA_DIR)
  if not isinstance(folder, RemotePath):
    return DataError(f"--data_dir={folder}: {first_line(error)}")
  fault = translated(error, folder, writes=True)
  found = DataError(f"--data_dir={folder}: {fault.strerror}")
  found.__cause__ = fault
  return found


class _NoNetworkError(Exception):
  """Not an OSError, so that no layer below retries for minutes."""


def _probed_address() -> tuple[str, int]:
  """Returns the first machine that a download would talk to: the proxy, where there is one."""
  proxy = urllib.request.getproxies().get("https")
  if proxy and not urllib.request.proxy_bypass(_PROBED_HOST):
    parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return parts.hostname or _PROBED_HOST, parts.port or 80
  return _PROBED_HOST, 443


def _online() -> bool:
  try:
    socket.create_connection(_probed_address(), timeout=_PROBE_SECONDS).close()
  except OSError:
    return False
  return True


@contextlib.contextmanager
def _failing_fast() -> Iterator[None]:
  """Makes every look-up of a host fail at once: tfds alone retries a missing network for minutes."""
  real = socket.getaddrinfo

  def refuse(host: Any, *args: Any, **kwargs: Any) -> Any:
    raise _NoNetworkError(f"no network: {host} is out of reach")

  socket.getaddrinfo = refuse  # type: ignore[assignment]
  try:
    yield
  except BaseException:
    time.sleep(_STRAGGLERS_SECONDS)
    raise
  finally:
    socket.getaddrinfo = real


def _prepare(builder: Any, name: str, key: str) -> None:
  own = _is_made_here(builder.name)
  download_dir = files.path(str(builder.data_dir)).parent.parent / "downloads"
  get = (f"from dlsuite.data import sources; sources.open_builder('{name}')" if builder.name in own_builders() else
         f"import tensorflow_datasets as tfds; tfds.builder('{name}').download_and_prepare()")
  how = f'get it where there is a network with: python -c "{get}" and copy the folder'
  where = f"looked in {builder.data_dir} and {download_dir}"
  try:
    # Of a set that is made in a second, tfds's talk of downloading says nothing; of another one a person wants it.
    quiet = contextlib.redirect_stdout(io.StringIO()) if own else contextlib.nullcontext()
    with quiet, contextlib.nullcontext() if own or _online() else _failing_fast():
      builder.download_and_prepare()
  except tf.errors.OpError as e:
    raise _out_of_reach(e)  # noqa: B904 - it brings its cause
  except _NoNetworkError as e:
    raise DataError(f"{key}={name!r} is missing and there is {e}; {where}; {how}") from None
  except PermissionError as e:
    raise DataError(f"{key}={name!r} cannot be prepared: {e.filename or builder.data_dir} is not writable; "
                    "give a --data_dir that is, or set TFDS_DATA_DIR") from None
  except Exception as e:  # tfds raises many kinds; all of them mean that the set is not there
    rest = "give a --data_dir that can be written, or set TFDS_DATA_DIR" if own else f"{where}; {how}"
    raise DataError(f"{key}={name!r} cannot be prepared: {first_line(e)}; {rest}") from e


def split_ranges(builder: Any, split: str, key: str) -> list[tuple[str, int, int]]:
  """Returns [(split, first, last + 1)] of a tfds split string.

  Raises:
    DataError: if the set has no such split, or it is empty.
  """
  splits = builder.info.splits
  try:
    instructions = tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    ranges = [(i.splitname, i.from_ or 0, splits[i.splitname].num_examples if i.to is None else i.to) for i in instructions]
  except (KeyError, ValueError, AssertionError) as e:
    base = split.partition("[")[0]
    if base not in splits:
      raise DataError(f"{key}={split!r}: {builder.name} has no split '{base}'{nearest(base, splits)}; "
                      f"it has: {', '.join(splits)}") from None
    raise DataError(f"{key}={split!r} is not a split of {builder.name}: {first_line(e)}") from None
  if sum(stop - start for _, start, stop in ranges) <= 0:
    raise DataError(f"{key}={split!r} holds no example of {builder.name}")
  return ranges


def check_disjoint(builder: Any, splits: dict[str, str]) -> None:
  """Raises DataError if two of the named splits share examples: a number would not be honest."""
  ranges = {key: split_ranges(builder, split, f"data.{key}") for key, split in splits.items() if split}
  names = list(ranges)
  for i, a in enumerate(names):
    for b in names[i + 1:]:
      for name_a, start_a, stop_a in ranges[a]:
        for name_b, start_b, stop_b in ranges[b]:
          if name_a == name_b and max(start_a, start_b) < min(stop_a, stop_b):
            shared = min(stop_a, stop_b) - max(start_a, start_b)
            raise DataError(f"data.{a}={splits[a]!r} and data.{b}={splits[b]!r} share {shared} examples of {builder.name}")


def num_examples(builder: Any, split: str, key: str) -> int:
  """Returns how many examples a tfds split string names."""
  return sum(stop - start for _, start, stop in split_ranges(builder, split, key))


def check_batch(builder: Any, split: str, batch_size: int) -> None:
  """Raises DataError if the training split holds less than one batch."""
  size = num_examples(builder, split, "data.train")
  if batch_size > size:
    raise DataError(f"data.batch_size={batch_size} is larger than data.train={split!r}: {size} examples of {builder.name}")


def feature(builder: Any, features: Mapping[str, str], word: str, kind: type) -> Any:
  """Returns the tfds feature that the config maps a task's word to.

  Args:
    builder: the data set's.
    features: the config's section `data.features`.
    word: the task's word, e.g. `label`.
    kind: the class of `tfds.features` that the task needs, e.g. `ClassLabel`.

  Raises:
    DataError: if the word is not mapped, the set has no such feature, or it is of another kind.
  """
  known, key = dict(builder.info.features), f"data.features.{word}"
  right = f"a {kind.__name__} ({', '.join(name for name, value in known.items() if isinstance(value, kind)) or 'it has none'})"
  if word not in features:
    raise DataError(f"{key} is missing: the task needs of {builder.name} {right}")
  name = features[word]
  if name not in known:
    raise DataError(f"{key}={name!r} is not a feature of {builder.name}{nearest(name, known)}; it has: {', '.join(known)}")
  if not isinstance(known[name], kind):
    raise DataError(f"{key}={name!r} of {builder.name} is a {type(known[name]).__name__}; the task needs {right}")
  return known[name]
