"""The compiler's environment: when it is taken for whole, and what of the user's own reaches the compiler."""

import json
import os
import pathlib
import types

import pytest

from dlsuite.errors import ConfigError
from tools.tpu import chips, compiler, environment


@pytest.fixture
def cache(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def made(_=None):
  """Makes the environment as far as it is looked at."""
  (environment.folder() / "bin").mkdir(parents=True, exist_ok=True)
  (environment.folder() / "bin/python").touch()
  (environment.folder() / "complete").touch()


def test_an_environment_whose_interpreter_is_gone_is_refused_with_the_command_that_makes_it_anew(cache, monkeypatch):
  made()
  assert environment.python().exists()
  python = environment.folder() / "bin/python"
  python.unlink()
  python.symlink_to("/no/such/python3.11")
  with pytest.raises(ConfigError, match=r"lost its Python: .* python -m tools.tpu_compile --make_environment"):
    environment.python()
  monkeypatch.setattr(environment, "_run", made)
  environment.make()
  assert environment.python().exists()


def test_flags_for_xla_in_the_environment_do_not_reach_the_compiler_whose_results_are_kept(cache, monkeypatch):
  made()
  monkeypatch.setenv("XLA_FLAGS", "--xla_tpu_x")
  monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_tpu_y")
  found = {}

  def run(command, env=os.environ, **_):
    found.update(env)
    pathlib.Path(command[-1]).write_text(json.dumps({"ok": True}))
    return types.SimpleNamespace(returncode=0)

  monkeypatch.setattr(compiler.subprocess, "run", run)
  assert compiler.compile_for(b"program", chips.topology("v5e:1x1")).ok
  assert found["XDG_CACHE_HOME"] == os.environ["XDG_CACHE_HOME"]
  assert not found.keys() & {"XLA_FLAGS", "LIBTPU_INIT_ARGS"}
