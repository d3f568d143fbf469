"""A fault that comes late does not cost what was found before it; nothing is traced or compiled here."""

import json
import types

import pytest

from dlsuite.errors import DataError
from tools import tpu_compile
from tools.tpu import compiler, environment, export


class Exporter:
  """Stands for that of a config whose steps are those of a batch alone."""

  unit, batch_size, precision, evaluation, acts, length_known = 1, 16, "bfloat16", "none", False, True

  def __init__(self, config, replicas):
    if config.name == "classify":
      raise DataError("its data are not prepared")

  def train(self, batch=16):
    if batch > 100:
      raise export.RefusedError("of 100 and more there is no such op")
    return types.SimpleNamespace(hlo=batch, batch=batch, seconds=0.0, kind="train")

  def evaluate(self):
    return None


@pytest.fixture
def found(monkeypatch, tmp_path):
  """Returns the function from a command line to its exit code and figures."""
  monkeypatch.setattr(environment, "python", lambda: None)
  monkeypatch.setattr(export, "Exporter", Exporter)
  monkeypatch.setattr(compiler, "compile_for", lambda batch, *_: compiler.Compiled(
    batch < 50, "" if batch < 50 else "UNIMPLEMENTED: no such tile", peak=batch, memory={}))

  def run(*arguments):
    path = tmp_path / "found.json"
    code = tpu_compile.main([*arguments, f"--json={path}"])
    return code, json.loads(path.read_text())["stages"]

  return run


def test_a_larger_batch_that_fails_for_another_reason_than_memory_ends_the_search_only(found, capsys):
  code, (stage,) = found("--config=experiments/foundations/mlp.py:smoke", "--largest_batch", "--tolerance=0")
  assert (code, stage["ok"], stage["programs"]["train"]["compiles"]) == (0, True, True)
  assert (stage["largest_batch"]["fits"], stage["largest_batch"]["does_not_fit"]) == (49, 50)
  notes = "\n".join(stage["notes"])
  assert "global batch 50 counts as one that does not fit, though for another reason: UNIMPLEMENTED: no such tile" in notes
  assert "of 100 and more there is no such op" in notes
  assert notes in capsys.readouterr().out.replace("  note      ", "")


def test_a_stage_that_cannot_be_exported_leaves_the_figures_of_those_before(found, capsys):
  code, (first, second) = found("--config=experiments/unsupervised/denoising.py:smoke")
  assert code == 2
  assert first["ok"] and first["programs"]["train"]["compiles"]
  assert (second["ok"], second["faults"]) == (False, ["its data are not prepared"])
  assert capsys.readouterr().err == "tpu_compile: stage classify: its data are not prepared\n"
