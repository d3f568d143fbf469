"""TF_CONFIG: how the processes of one training find each other."""

import json
from collections.abc import Sequence


def tf_config(workers: Sequence[str], index: int) -> str:
  """Returns what the variable TF_CONFIG of one process holds.

  Args:
    workers: the address, `host:port`, of each process; the first is the chief, which writes.
    index: this process's place among them.

  Raises:
    ValueError: if there is no such place, or two processes have one address.
  """
  if not 0 <= index < len(workers):
    raise ValueError(f"process {index} of {len(workers)}")
  if len(set(workers)) < len(workers):
    raise ValueError(f"two processes have one address: {', '.join(workers)}")
  return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}})
