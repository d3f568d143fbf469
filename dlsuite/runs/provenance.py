"""Where a run came from: commit, versions, machine, command."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "ml_collections", "absl-py")


def _git(*arguments: str) -> str:
  root = pathlib.Path(__file__).resolve().parent.parent.parent
  try:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=False)
  except (OSError, subprocess.TimeoutExpired):
    return ""
  return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return "not installed"


def _processor() -> str:
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return platform.processor()
  return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def hardware(device: str) -> str:
  """Returns e.g. `1 x cpu (Intel Xeon ..., 2 cores)`."""
  return f"{device} ({_processor()}, {len(os.sched_getaffinity(0))} cores)"


def code() -> dict[str, Any]:
  """Returns which code this process runs: `commit`, and whether the work tree is `dirty`, i.e. holds changes."""
  return {"commit": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain"))}


def provenance(device: str, precision: str) -> dict[str, Any]:
  """Returns what config.json and provenance.json together need to repeat a run.

  Args:
    device: the strategy's description.
    precision: what the device computes in: `auto` in the config stands for the device's own.
  """
  return {
    "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
    **code(),
    "python": platform.python_version(),
    "versions": {package: _version(package) for package in _PACKAGES},
    "device": device,
    "hardware": hardware(device),
    "precision": precision,
  }
