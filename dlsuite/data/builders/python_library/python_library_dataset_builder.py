"""`python_library`: the source text of modules of the standard library of the Python that runs, one text a split.

The modules are a fixed list of ones that every Python from 3.11 to 3.13 has, split by whole modules: a package is one
module, and modules that belong together, such as pprint and reprlib, are on one side. A split's text is its files one
after the other in the order of the list, with nothing in between.

Each release of Python has other text, and so another version of this set: 3.11.7's is `python_library/3.11.7`.
"""

import hashlib
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from dlsuite.errors import DataError


def _paths(folders: dict[str, str]) -> tuple[str, ...]:
  """Returns the files of {folder: names without .py}, relative to the standard library."""
  return tuple(str(pathlib.PurePosixPath(folder, f"{name}.py")) for folder, names in folders.items() for name in names.split())


# Packages hold all their files but those that are empty or, like email/message.py, not plain ASCII in all three releases.
FILES: dict[str, tuple[str, ...]] = {
  "train": _paths({
    "collections": "__init__ abc",
    "json": "__init__ decoder encoder scanner tool",
    "concurrent": "__init__",
    "concurrent/futures": "__init__ _base process thread",
    "urllib": "error request response robotparser",
    "logging": "__init__ config handlers",
    "http": "__init__ client cookiejar cookies server",
    "unittest": "__init__ __main__ _log async_case case loader main mock result runner signals suite util",
    "email": ("__init__ _encoded_words _header_value_parser _parseaddr _policybase base64mime charset contentmanager encoders "
              "errors feedparser generator header headerregistry iterators parser policy quoprimime utils"),
    "email/mime": "application audio base image message multipart nonmultipart text",
    "asyncio": ("__init__ __main__ base_events base_futures base_subprocess base_tasks constants coroutines events exceptions "
                "format_helpers futures locks log mixins proactor_events protocols queues runners selector_events sslproto "
                "staggered streams subprocess taskgroups tasks threads timeouts transports trsock unix_events windows_events "
                "windows_utils"),
    ".": ("_collections_abc argparse ast bisect contextlib copy dataclasses difflib enum fnmatch inspect operator os pickle "
          "shutil socket subprocess threading tokenize"),
  }),
  "valid": _paths({
    "zoneinfo": "__init__ _common _tzpath _zoneinfo",
    ".": "colorsys csv gettext pprint reprlib sched symtable tempfile",
  }),
  "test": _paths({
    "tomllib": "__init__ _parser _re _types",
    ".": "cmd filecmp graphlib shelve socketserver textwrap timeit wave",
  }),
}


def corpus(split: str) -> bytes:
  r"""Returns the text of `train`, `valid` or `test`: ASCII, lines end with \n.

  Raises:
    DataError: if this Python lacks one of the files.
  """
  return b"".join(_text(path) for path in FILES[split])


def sha256(split: str) -> str:
  """Returns the SHA-256 of `corpus(split)`, 64 hexadecimal digits."""
  return hashlib.sha256(corpus(split)).hexdigest()


def _text(path: str) -> bytes:
  file = pathlib.Path(sysconfig.get_path("stdlib"), path)
  try:
    text = file.read_text(encoding="utf-8")  # makes every line end a \n
  except OSError as e:
    raise DataError(f"data.name='python_library': this Python has no readable {file} ({e.strerror}); use one that has its "
                    "whole standard library as files") from None
  # All the files are ASCII in 3.11.7, 3.12.1 and 3.13.0; a later release may bring a name with an accent.
  return text.encode("ascii", "replace")


class Builder(tfds.core.GeneratorBasedBuilder):
  """Text (), one example a split: about 2.7 MB of training text, 0.15 MB each of the others; nothing is downloaded."""

  VERSION = tfds.core.Version(".".join(map(str, sys.version_info[:3])))
  RELEASE_NOTES: ClassVar[dict[str, str]] = {str(VERSION): "The files of the Python release of this number."}

  def __init__(self, **kwargs: Any):
    super().__init__(**kwargs)
    # Two Pythons of one number can differ: a Linux distribution patches its own.
    if self.info.splits and self.info.metadata["sha256"] != self._sha256():
      raise DataError(f"data.name='python_library': {self.data_dir} holds the text of another Python {self.version}; delete it")

  def _sha256(self) -> dict[str, str]:
    return {split: sha256(split) for split in FILES}

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Source text of the standard library of Python, from the Python that runs.",
      features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
      supervised_keys=None,
      homepage="https://docs.python.org/3/library/",
      metadata=tfds.core.MetadataDict({"sha256": self._sha256()}),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    return {split: self._generate_examples(split) for split in FILES}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
    yield split, {"text": corpus(split).decode("ascii")}
