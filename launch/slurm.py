"""Trains on the processes of a Slurm job step: each turns what Slurm says into TF_CONFIG, then becomes `dlsuite.main`.

    srun python -m launch.slurm --config=experiments/vision/lenet5.py --workdir=/shared/lenet5

`launch/slurm.sbatch` is a job of that. TensorFlow's SlurmClusterResolver reads the hosts and their numbers of processes. It
lists the hosts in the order of their spelling (n10 before n9) while Slurm numbers processes in the order of its own list, so a
process here takes its place in the list by its host and its number on that host, not by its rank in the job.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from dlsuite.errors import DlsuiteError
from launch.cluster import tf_config
from launch.errors import LaunchError

_NEEDED = ("SLURM_PROCID", "SLURM_LOCALID", "SLURMD_NODENAME", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST",
           "SLURM_STEP_TASKS_PER_NODE")
CONNECT_SECONDS = 600  # after a requeue the hosts' prologues, and loading from a shared disk, may take minutes
_FIRST_PORT, _PORTS = 20000, 10000  # below those that Linux gives out by itself


def first_port(environment: Mapping[str, str]) -> int:
  """Returns the port of a host's first process, the same for all processes of a step.

  There are 10000 / 16 = 625 such ports, so of jobs that share a host those whose numbers are a multiple of 625 apart clash: the
  later one ends with code 76, by which it is queued again. More than 16 processes on a host reach into a neighbour's ports.
  """
  step = int(environment.get("SLURM_JOB_ID", "0")) * 31 + int(environment.get("SLURM_STEP_ID", "0"))
  return _FIRST_PORT + step * 16 % _PORTS


def to_tf_config(environment: Mapping[str, str]) -> str:
  """Returns the TF_CONFIG of the process that has this environment.

  Raises:
    LaunchError: if the process is none of a Slurm job step, or the step's variables contradict each other.
  """
  if missing := [name for name in _NEEDED if name not in environment]:
    raise LaunchError(f"{missing[0]} is not in the environment: start it in a Slurm job step: srun python -m launch.slurm ...")
  try:
    workers = _workers(environment)
    own = f"{environment['SLURMD_NODENAME']}:{first_port(environment) + int(environment['SLURM_LOCALID'])}"
    return tf_config(workers, workers.index(own))
  except (ValueError, RuntimeError, KeyError, IndexError) as e:
    listed = ", ".join(f"{name}={environment[name]}" for name in _NEEDED)
    raise LaunchError(f"Slurm's variables do not fit together: {e}; {listed}") from None


def _workers(environment: Mapping[str, str]) -> list[str]:
  """Returns every process's address, as TensorFlow's resolver lists them."""
  from dlsuite.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  count = int(environment["SLURM_STEP_NUM_TASKS"])
  before = dict(os.environ)
  os.environ.update({name: environment[name] for name in _NEEDED})  # the resolver reads no other environment
  try:
    # Its sharing out of GPUs is not asked for: Slurm binds them (--gpus-per-task). By its own count it fails where there is no
    # GPU, and leaves out processes where a host has fewer GPUs than processes.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
      port_base=first_port(environment), gpus_per_node=count, gpus_per_task=1, auto_set_gpu=False)
    return list(resolver.cluster_spec().as_dict()["worker"])
  finally:
    os.environ.clear()
    os.environ.update(before)


def main(argv: Sequence[str] | None = None) -> int:
  """Sets TF_CONFIG if the step has several processes, and trains; returns the exit code."""
  arguments = list(sys.argv[1:] if argv is None else argv)
  try:
    if os.environ.get("SLURM_STEP_NUM_TASKS") != "1":
      os.environ["TF_CONFIG"] = to_tf_config(os.environ)
      arguments = [f"--config.strategy.connect_seconds={CONNECT_SECONDS}", *arguments, "--config.strategy.kind=workers"]
  except DlsuiteError as e:
    print(f"launch: {e}", file=sys.stderr)
    return e.exit_code
  from dlsuite.main import main as train

  return train(arguments)


if __name__ == "__main__":
  sys.exit(main())
