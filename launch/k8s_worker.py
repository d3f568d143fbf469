"""Trains on the pods of a Kubernetes JobSet: each turns what its pod is told into TF_CONFIG, then becomes `dlsuite.main`.

    python -m launch.k8s_worker --config=experiments/vision/lenet5.py --workdir=/runs/lenet5

`launch/k8s/workers.yaml` starts it with JOBSET_NAME, REPLICATED_JOB, SUBDOMAIN, WORKERS and Kubernetes' own
JOB_COMPLETION_INDEX. A JobSet gives every pod a name that lasts: <set>-<job>-<job's index>-<pod's index>.<subdomain>.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from dlsuite.errors import DlsuiteError
from launch.cluster import tf_config
from launch.errors import LaunchError

PORT = 2222
CONNECT_SECONDS = 600  # pods start when a node is found for them and the image is there, which may be minutes apart
_NEEDED = ("JOBSET_NAME", "REPLICATED_JOB", "SUBDOMAIN", "WORKERS", "JOB_COMPLETION_INDEX")


def to_tf_config(environment: Mapping[str, str]) -> str:
  """Returns the TF_CONFIG of the pod that has this environment.

  Raises:
    LaunchError: if a variable is missing or not a number.
  """
  if missing := [name for name in _NEEDED if not environment.get(name)]:
    raise LaunchError(f"{missing[0]} is not in the environment: the manifest launch/k8s/workers.yaml sets it")
  name, job, subdomain = (environment[key] for key in _NEEDED[:3])
  try:
    count, index = int(environment["WORKERS"]), int(environment["JOB_COMPLETION_INDEX"])
    return tf_config([f"{name}-{job}-0-{i}.{subdomain}:{PORT}" for i in range(count)], index)
  except ValueError as e:
    given = ", ".join(f"{key}={environment[key]}" for key in _NEEDED[3:])
    raise LaunchError(f"{given}: {e}") from None


def main(argv: Sequence[str] | None = None) -> int:
  """Sets TF_CONFIG and trains; returns the exit code."""
  try:
    os.environ["TF_CONFIG"] = to_tf_config(os.environ)
  except DlsuiteError as e:
    print(f"launch: {e}", file=sys.stderr)
    return e.exit_code
  from dlsuite.main import main as train

  given = sys.argv[1:] if argv is None else argv
  return train([f"--config.strategy.connect_seconds={CONNECT_SECONDS}", *given, "--config.strategy.kind=workers"])


if __name__ == "__main__":
  sys.exit(main())
