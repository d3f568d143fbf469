"""The input pipeline's benchmark runs from the files to the table, and leaves no data set behind."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_table_has_every_rate_and_the_users_data_folder_stays_as_it_was(tmp_path):
  command = [sys.executable, "-m", "tools.bench_input", "--rounds=1", "--seconds=0.1"]
  done = subprocess.run(command, cwd=ROOT, env=os.environ | {"TFDS_DATA_DIR": str(tmp_path)}, capture_output=True, text=True,
                        check=True)
  rates = dict(re.findall(r"^(\S.*?) +([\d,]+) images/s$", done.stdout, re.MULTILINE))
  assert rates.keys() == {"shifts", "strong", "step float32", "step bfloat16", "jpeg", "jpeg one thread"}
  assert all(int(rate.replace(",", "")) > 0 for rate in rates.values())
  assert not list(tmp_path.iterdir())
