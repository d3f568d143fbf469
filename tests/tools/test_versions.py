"""The command that makes an environment with another TensorFlow: what it refuses."""

import pytest

from tools.versions import __main__ as versions


@pytest.mark.parametrize(("version", "pythons"), [("2.19", "3.11 or 3.12"), ("2.20", "3.11, 3.12 or 3.13")])
def test_where_the_python_is_missing_those_are_named_for_which_this_tensorflow_has_wheels(version, pythons, capsys):
  assert versions.main([version, "--python=python3.0"]) == 2
  assert capsys.readouterr().err == f"--python=python3.0 is not on PATH; TensorFlow {version} needs a Python {pythons}\n"
