"""The shell scripts."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = sorted(str(path.relative_to(ROOT)) for pattern in ("launch/*.sh", "launch/*.sbatch", ".ci/*")
                 for path in ROOT.glob(pattern))


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script):
  beside = pathlib.Path(sys.executable).with_name("shellcheck")
  shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
  if shellcheck is None:
    pytest.skip("shellcheck is not installed: extra test")
  done = subprocess.run([shellcheck, "--enable=all", "--exclude=SC2250,SC2312,SC2292", script], cwd=ROOT, capture_output=True,
                        text=True, check=False)
  assert done.stdout + done.stderr == ""


def test_there_are_scripts():
  assert SCRIPTS == [".ci/run", ".ci/weekly", "launch/install.sh", "launch/slurm.sbatch", "launch/tpu_vm.sh"]
