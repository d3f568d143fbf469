"""`python -m dlsuite.main --config=experiments/... --workdir=...`: flags -> config -> strategy -> one mode.

TensorFlow is imported only after the flags and the config are known to be good.
"""

import sys

from dlsuite import flags
from dlsuite.cluster import Cluster, is_expected
from dlsuite.errors import DlsuiteError
from dlsuite.quiet import import_tensorflow
from dlsuite.runs import remote
from dlsuite.runs.record import Record, check_chain_folder


def main(argv: list[str] | None = None) -> int:
  """Runs one command and returns its exit code (`dlsuite.errors` says which)."""
  try:
    options = flags.parse(sys.argv[1:] if argv is None else argv)
    if not options.stages:
      print(options.message)
      return 0
    if options.mode != "describe" and options.workdir:  # a folder that cannot be used is said before TensorFlow's seconds
      if len(options.stages) > 1:
        check_chain_folder(options.workdir, options.stages)
      for folder, config in options.runs():
        Record(folder, config).check(options.mode)
    if is_expected(next(iter(options.stages.values())).strategy.kind):
      Cluster.from_environment()  # as is a TF_CONFIG that cannot be used
    import_tensorflow()
    from dlsuite import modes
    from dlsuite.strategy import Strategy

    strategy = Strategy.from_configs(list(options.stages.values()))
    with remote.naming_faults(), strategy.naming_lost_workers():
      modes.run_all(options, strategy)
    return 0
  except KeyboardInterrupt:
    print("dlsuite: interrupted; the same command goes on from the newest checkpoint", file=sys.stderr)
    return 130
  except DlsuiteError as e:
    print(f"dlsuite: {e}", file=sys.stderr)
    return e.exit_code


if __name__ == "__main__":
  sys.exit(main())
