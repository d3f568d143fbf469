"""The virtual environment that compiles: jax, jaxlib and libtpu at exact versions, apart from the project's own packages.

It is apart because libtpu brings TensorFlow-free TPU compilers whose pins need not suit the project's, and because
libtpu comes under Google Cloud's terms of service: it is fetched from the package index by whoever wants it.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from dlsuite.errors import ConfigError, DataError

REQUIREMENTS = pathlib.Path(__file__).parent / "requirements.txt"
_MARK = "complete"  # written when the last package is in


def pins() -> list[str]:
  """Returns the pinned requirements, one a line of `requirements.txt`."""
  return REQUIREMENTS.read_text(encoding="utf-8").split()


def cache_folder() -> pathlib.Path:
  """Returns the folder below the user's cache for all that this tool keeps."""
  base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(base).expanduser() / "dlsuite" / "tpu_compile"


def folder() -> pathlib.Path:
  """Returns where the environment of today's pins is, or would be made."""
  return cache_folder() / f"venv-{hashlib.sha256(' '.join(pins()).encode()).hexdigest()[:12]}"


def python() -> pathlib.Path:
  """Returns the environment's interpreter.

  Raises:
    ConfigError: if the environment is not there; the line says how to make it.
  """
  if not _is_whole(folder()):
    raise ConfigError(f"{folder()} is missing or has lost its Python: the TPU compiler has an environment of its own; make it "
                      "once with: python -m tools.tpu_compile --make_environment")
  return folder() / "bin" / "python"


def _is_whole(target: pathlib.Path) -> bool:
  """Returns whether all packages are in and the interpreter, a link to another one, is still there."""
  return (target / _MARK).exists() and (target / "bin" / "python").exists()


def make() -> pathlib.Path:
  """Makes the environment, if it is not there, and returns its folder.

  Raises:
    DataError: if it cannot be made.
  """
  target = folder()
  if _is_whole(target):
    return target
  try:
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(target)])
    _run([str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
          "-r", str(REQUIREMENTS)])
    (target / _MARK).write_text("\n".join(pins()) + "\n", encoding="utf-8")
  except OSError as e:
    raise DataError(f"{target} cannot be made: {e.strerror}; XDG_CACHE_HOME sets another place") from e
  return target


def _run(command: list[str]) -> None:
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no message")
    raise DataError(f"{folder()} cannot be made: {told.strip()[:300]}")
