"""A data set of a bucket, prepared by one machine while the others wait for it.

The one that prepares holds a lock, an object beside the set's marker, and writes it anew every minute. A lock that has stayed
the same for five belongs to a machine that is no more, and is taken over. Two machines' clocks are never compared.
"""

import datetime
import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence

from launch import data
from launch.bucket import Bucket, as_object
from launch.shell import Shell

_BEAT = 60.0  # seconds between two signs of life
_LEASE = 300.0  # seconds without one after which a lock is taken over
_LOOK = 15.0  # seconds between two looks at somebody else's lock


def once(shell: Shell, folder: Bucket, name: str, run: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
  """Returns once a data set lies prepared: it did, somebody else has prepared it, or the command has.

  Args:
    shell: what runs the looks at the bucket.
    folder: of the data sets.
    name: the data set's tfds name.
    run: the address of the run that needs it. A lock of the same run is one of a machine that was taken away from it.
    command: prepares the set.
    environment: of the command.

  Returns:
    The command's exit code; 0 where it was not needed.

  Raises:
    LaunchError: if the bucket cannot be read or written.
  """
  lock, seen, since = f"{data.marker(name)}.lock", "", time.monotonic()
  while not folder.exists(data.marker(name)):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    ours = json.dumps({"run": run, "host": platform.node(), "since": now})
    if generation := folder.create(lock, ours):
      return _prepare(shell, folder, name, ours, generation, command, environment)
    there = folder.generation(lock)
    holder = as_object(folder.read(lock))
    if there and not seen and holder.get("run") != run:
      known = {"run", "since"} <= holder.keys()  # it may be gone by now, or not be ours to read
      by = f"{holder['run']} prepares since {holder['since']}" if known else "another machine prepares"
      shell.note(f"waits for {name}, which {by}")
    if there != seen:
      seen, since = there, time.monotonic()
    if there and (holder.get("run") == run or time.monotonic() - since > _LEASE):
      folder.remove(lock, there)
    else:
      shell.sleep(_LOOK)
  return 0


def _prepare(shell: Shell, folder: Bucket, name: str, ours: str, generation: str, command: Sequence[str],
             environment: Mapping[str, str]) -> int:
  """Prepares a set whose lock is held, and gives the lock back."""
  marker = data.marker(name)
  try:
    if folder.exists(marker):  # made after our look, before our lock
      return 0
    shell.note(f"prepares {name} in {folder.url}")
    process = subprocess.Popen(list(command), env=dict(environment), stdin=subprocess.DEVNULL)
    while True:
      try:
        code = process.wait(_BEAT)
        break
      except subprocess.TimeoutExpired:
        generation = folder.renew(f"{marker}.lock", ours, generation)
    if code == 0:
      folder.create(marker, "prepared\n")
    return code if code >= 0 else 128 - code
  finally:
    folder.remove(f"{marker}.lock", generation)
