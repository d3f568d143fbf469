"""The command: `python -m tools.versions 2.19 [--python=python3.11] [--no_test] [pytest's arguments]`."""

import argparse
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PINS = {
  "2.19": ROOT / "tools/versions/tf2.19.txt",
  "2.20": ROOT / "tools/versions/tf2.20.txt",
  "2.21": ROOT / "constraints.txt",
}
PYTHONS = {"2.19": "3.11 or 3.12", "2.20": "3.11, 3.12 or 3.13", "2.21": "3.11, 3.12 or 3.13"}  # of TensorFlow's wheels


def commands(version: str, python: str, folder: pathlib.Path) -> list[list[str]]:
  """Returns what makes the environment in a folder: the interpreter, then the packages with exact pins."""
  pip = [str(folder / "bin/pip"), "install", "-q", "-c", str(PINS[version]), "-e", f"{ROOT}[test]"]
  return [[python, "-m", "venv", str(folder)], pip]


def main(argv: list[str] | None = None) -> int:
  """Runs the command and returns its exit code, that of the tests if they ran."""
  parser = argparse.ArgumentParser(prog="python -m tools.versions", description=__doc__)
  parser.add_argument("version", help=f"of TensorFlow: {', '.join(PINS)}")
  parser.add_argument("--python", default="python3.11", help="the interpreter to make it with")
  parser.add_argument("--no_test", action="store_true", help="only make the environment")
  arguments, rest = parser.parse_known_args(argv)
  if arguments.version not in PINS:
    print(f"version {arguments.version!r} of TensorFlow is not supported; allowed: {', '.join(PINS)}", file=sys.stderr)
    return 2
  if shutil.which(arguments.python) is None:
    print(f"--python={arguments.python} is not on PATH; TensorFlow {arguments.version} needs a Python "
          f"{PYTHONS[arguments.version]}", file=sys.stderr)
    return 2
  folder = ROOT / f".venv-tf{arguments.version}"
  for command in commands(arguments.version, arguments.python, folder):
    print("+", *command, flush=True)
    if (code := subprocess.run(command, check=False).returncode) != 0:
      return code
  if arguments.no_test:
    return 0
  test = [str(folder / "bin/python"), "-m", "pytest", *rest]
  print("+", *test, flush=True)
  return subprocess.run(test, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
  sys.exit(main())
