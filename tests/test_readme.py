"""The README's section "Add your own" is carried out word for word."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from dlsuite import catalog
from tests.conftest import ROOT

SECTION = re.search(r"## Add your own\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)[1]
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", SECTION, re.DOTALL))
TOOLS = [path.stem for path in (ROOT / "tools").glob("*.py")
         if "__main__" in path.read_text() and path.stem != "bench_torch"]  # which bench starts
COMMAND = re.search(r"    python -m (dlsuite\.main .*)", SECTION)[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
  """A copy of the project with the section's files added."""
  folder = tmp_path_factory.mktemp("own")
  for name in ("dlsuite", "experiments"):
    shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
  for name, text in FILES.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
  return folder


def run(project, *arguments):
  environment = os.environ | {"PYTHONPATH": str(project), "TFDS_DATA_DIR": str(project / "data")}
  return subprocess.run([sys.executable, "-m", *arguments], cwd=project, env=environment, capture_output=True, text=True,
                        timeout=300, check=False)


def test_model_data_set_and_task_take_under_sixty_lines_together():
  assert {name.split("/")[1] for name in FILES} == {"data", "models", "tasks", "foundations"}
  assert sum(len(text.strip().splitlines()) + 1 for text in FILES.values()) < 60  # with the line that names the file


def test_the_readme_names_every_experiment_and_every_tool():
  text = (ROOT / "README.md").read_text()
  chapters = text.partition("## Chapters")[2].partition("\n## ")[0]
  assert [path for path in catalog.names() if f"`{path.rpartition('/')[2]}`" not in chapters] == []
  built = text.partition("## How it is built")[2].partition("\n## ")[0].partition("tools/")[2]
  assert [tool for tool in TOOLS if not re.search(rf"\b{tool}\b", built)] == []


def test_the_text_runs_and_learns_the_median(project):
  workdir = project / "run"
  done = run(project, *re.sub(r"--workdir=\S+", f"--workdir={workdir}", COMMAND).split())
  assert done.returncode == 0, done.stderr[-2000:]
  result = json.loads((workdir / "result.json").read_text())
  # The sine itself leaves 0.1 E|Cauchy noise| on these 500 points; the best constant leaves more than twice as much.
  assert result["value"] == pytest.approx(sine_error(), rel=0.1)
  assert (workdir / "figures/learning_curves.png").exists()


def sine_error():
  """Returns the mean absolute error of the sine itself on the test split, from the README's own generator."""
  import numpy as np

  random = np.random.RandomState(2)
  errors = []
  random_x = random.uniform(-3, 3, size=(500, 1)).astype(np.float32)
  for _ in random_x:
    errors.append(abs(0.1 * random.standard_cauchy(1)[0]))
  return float(np.mean(errors))


def test_a_misspelt_argument_of_the_new_model_gets_its_nearest_name(project):
  done = run(project, "dlsuite.main", "--config=experiments/foundations/noisy_sine.py", "--workdir=x", "--config.model.widht=3")
  assert done.returncode == 2
  assert "'width'" in done.stderr
  assert len(done.stderr.strip().splitlines()) == 1


def test_the_catalogue_lists_the_new_experiment(project):
  assert "experiments/foundations/noisy_sine.py" in run(project, "dlsuite.main", "--list").stdout
