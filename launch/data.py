"""The data sets of an experiment, prepared once in a folder that all its machines read.

    TFDS_DATA_DIR=gs://my-bucket/data python -m launch.data --config=experiments/vision/lenet5.py:mnist
"""

import sys
from collections.abc import Mapping

from ml_collections import ConfigDict

from dlsuite import flags
from dlsuite.errors import DlsuiteError


def names(stages: Mapping[str, ConfigDict]) -> list[str]:
  """Returns the tfds names that the stages of an experiment read; none where it learns from an environment."""
  read = {config.data.get(key, "") for config in stages.values() for key in ("name", "test_name")}
  return sorted(read - {""})


def marker(name: str) -> str:
  """Returns the object that says that a data set lies prepared in the folder beside it."""
  return f"prepared/{name.replace('/', '-').replace(':', '-')}"


def main(argv: list[str] | None = None) -> int:
  """Prepares what an experiment reads, in TFDS_DATA_DIR, and returns the exit code."""
  try:
    stages = flags.parse([*(sys.argv[1:] if argv is None else argv), "--mode=describe"]).stages
    from dlsuite.quiet import import_tensorflow

    import_tensorflow()
    from dlsuite.data import sources

    for name in names(stages):
      print(f"launch: {name} lies in {sources.open_builder(name).data_dir}", flush=True)
    return 0
  except DlsuiteError as e:
    print(f"launch: {e}", file=sys.stderr)
    return e.exit_code


if __name__ == "__main__":
  sys.exit(main())
