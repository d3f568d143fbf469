"""The data sets of an experiment, prepared once in a folder that all its machines read.

    TFDS_DATA_DIR=gs://my-bucket/data python -m launch.data mnist
"""

import pathlib
import platform
import re
import sys
from collections.abc import Mapping

from ml_collections import ConfigDict

from dlsuite.data import builders
from dlsuite.errors import DlsuiteError

_ROOT = pathlib.Path(__file__).parent


def names(stages: Mapping[str, ConfigDict]) -> list[str]:
  """Returns the tfds names that the stages of an experiment read; none where it learns from an environment."""
  read = {config.data.get(key, "") for config in stages.values() for key in ("name", "test_name")}
  return sorted(read - {""})


def version(name: str) -> str:
  """Returns what tells one version of a data set from another, without tfds, whose import takes seconds.

  That is the version itself where the name gives it, or the set's builder is part of dlsuite (that of `python_library` is
  Python's own). Of the others the release of tfds that a TPU machine has says it: `tfds-4.9.10`.
  """
  base, _, given = name.partition(":")
  if given and "*" not in given:
    return given
  builder = pathlib.Path(builders.__path__[0]) / base / f"{base}_dataset_builder.py"
  if builder.exists():
    literal = re.search(r'VERSION = tfds\.core\.Version\("([\d.]+)"\)', builder.read_text())
    return literal[1] if literal else platform.python_version()
  release = re.search(r"^tensorflow-datasets==(.*)$", (_ROOT / "requirements-tpu.txt").read_text(), re.MULTILINE)
  assert release is not None
  return f"tfds-{release[1]}"


def marker(name: str) -> str:
  """Returns the object that says that this version of a data set lies prepared in the folder beside it."""
  plain = re.sub(r"[/:*]", "-", name.removesuffix(f":{version(name)}"))
  return f"prepared/{plain}-{version(name)}"


def main(argv: list[str] | None = None) -> int:
  """Prepares data sets, given by their tfds names, in TFDS_DATA_DIR, and returns the exit code."""
  try:
    from dlsuite.quiet import import_tensorflow

    import_tensorflow()
    from dlsuite.data import sources

    for name in sys.argv[1:] if argv is None else argv:
      print(f"launch: {name} lies in {sources.open_builder(name).data_dir}", flush=True)
    return 0
  except DlsuiteError as e:
    print(f"launch: {e}", file=sys.stderr)
    return e.exit_code


if __name__ == "__main__":
  sys.exit(main())
