"""Whose a process is, and whether it still runs: what locks write down of their owner. No TensorFlow import."""

import getpass
import os
import pathlib


def user() -> str:
  """Returns the name of this process's user, or the number where that has none, as in some containers."""
  try:
    return getpass.getuser()
  except (KeyError, OSError):
    return str(os.getuid())


def machine() -> str:
  """Returns what tells this boot of this machine, and the processes that one sees there, from all others; or an empty text."""
  try:
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
  except OSError:
    return ""


def start_of(process: int) -> str:
  """Returns the tick at which a living process began, or an empty text."""
  try:
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
  except OSError:
    return ""
  return "" if fields[0] in "ZX" else fields[19]


def is_gone(process: str, start: object, where: object) -> bool:
  """Returns whether a process of this machine has ended; False where that cannot be seen.

  Args:
    process: its number.
    start: `start_of` it, when it ran.
    where: `machine` there.
  """
  return bool(where) and where == machine() and process.isdigit() and start_of(int(process)) != start
