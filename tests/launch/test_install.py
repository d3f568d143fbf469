"""The exact packages of a TPU machine satisfy what the project asks for."""

import configparser
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def pins():
  lines = (ROOT / "launch/requirements-tpu.txt").read_text().splitlines()
  found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
  return {canonicalize_name(name): version for name, version in found.items()}


def asked():
  setup = configparser.ConfigParser()
  setup.read(ROOT / "setup.cfg")
  extras = setup["options.extras_require"]
  lines = setup["options"]["install_requires"] + "".join(extras[name] for name in ("detection", "vision", "driving"))
  return [Requirement(re.sub(r"\s+#.*", "", line)) for line in lines.splitlines() if line.strip()]


def test_every_package_that_the_project_asks_for_is_there_in_a_version_that_it_takes():
  for requirement in asked():
    name = canonicalize_name(requirement.name)
    version = pins()["tensorflow-tpu" if name == "tensorflow" else name]
    assert version in requirement.specifier, requirement


def test_what_these_ask_for_themselves_is_there_too():
  """By the metadata of scikit-image 0.26.0, and of Gymnasium 1.4.0's extra box2d."""
  assert {"scipy", "networkx", "pillow", "imageio", "tifffile", "packaging", "lazy-loader", "box2d", "pygame-ce"} <= set(pins())


def test_plain_tensorflow_is_not_there_to_overwrite_that_for_tpus():
  assert "tensorflow" not in pins()
  assert "libtpu" in pins()


def test_the_script_installs_nothing_but_in_an_exact_version():
  lines = [line for line in (ROOT / "launch/install.sh").read_text().splitlines() if " pip install " in line]
  assert len(lines) == 3
  for line in lines:
    words = line.split()
    exact = words[-1] == "launch/requirements-tpu.txt" or words[-2:] == ["--editable", "."]
    assert exact or re.fullmatch(r"uv==[\d.]+", words[-1]), line
