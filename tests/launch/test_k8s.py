"""The Kubernetes manifests against JobSet's public schema, and what a pod makes of its environment."""

import json
import pathlib
import re
import subprocess

import pytest

from dlsuite import flags
from launch import k8s_worker, topology
from launch.errors import LaunchError
from tests.conftest import ROOT

MANIFESTS = sorted(path.name for path in (ROOT / "launch/k8s").glob("*.yaml"))


def manifest(name):
  yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
  return yaml.safe_load((ROOT / "launch/k8s" / name).read_text())


def differences(given, understood, where=""):
  """Yields what a schema's reader did not take over from a manifest."""
  if isinstance(given, dict):
    for key, value in given.items():
      if not isinstance(understood, dict) or key not in understood:
        yield f"{where}.{key}"
      else:
        yield from differences(value, understood[key], f"{where}.{key}")
  elif isinstance(given, list):
    for i, value in enumerate(given):
      yield from differences(value, understood[i], f"{where}[{i}]")
  elif str(given) != str(understood):
    yield f"{where}: {given!r} became {understood!r}"


@pytest.fixture
def schema():
  models = pytest.importorskip("kubeflow_trainer_api.models", reason="the schema's package is not installed: extra test")
  return models.JobsetV1alpha2JobSet


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_what_the_schema_of_jobset_says(schema, name):
  given = manifest(name)
  assert list(differences(given, schema.from_dict(given).to_dict())) == []


def test_the_check_finds_a_misspelt_key_and_a_wrong_type(schema):
  from pydantic import ValidationError

  misspelt = manifest("workers.yaml")
  misspelt["spec"]["replicatedJobs"][0]["template"]["spec"]["paralelism"] = 2
  assert list(differences(misspelt, schema.from_dict(misspelt).to_dict())) == [
    ".spec.replicatedJobs[0].template.spec.paralelism"]
  wrong = manifest("workers.yaml")
  wrong["spec"]["replicatedJobs"][0]["replicas"] = "one"
  with pytest.raises(ValidationError):
    schema.from_dict(wrong)


def container(name):
  return manifest(name)["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]


def test_the_number_of_pods_and_the_subdomain_are_the_same_wherever_they_stand():
  whole = manifest("workers.yaml")
  job = whole["spec"]["replicatedJobs"][0]["template"]["spec"]
  variables = {item["name"]: item.get("value") for item in container("workers.yaml")["env"]}
  assert job["parallelism"] == job["completions"] == int(variables["WORKERS"])
  assert whole["spec"]["network"]["subdomain"] == variables["SUBDOMAIN"]
  assert container("workers.yaml")["ports"] == [{"containerPort": k8s_worker.PORT}]
  assert set(variables) | {"JOB_COMPLETION_INDEX"} == {*k8s_worker._NEEDED, "TFDS_DATA_DIR"}


def test_the_tpu_pod_has_the_environment_of_its_topology():
  trainer = container("tpu.yaml")
  variables = {item["name"]: item["value"] for item in trainer["env"]}
  found = topology.parse("v5e-8")
  dockerfile = (ROOT / "launch/k8s/Dockerfile").read_text()
  assert "venv" not in dockerfile  # so pip's packages lie where the official images of Python have theirs
  release = re.search(r"^FROM python:(\d+\.\d+)-slim", dockerfile, re.MULTILINE)[1]
  libtpu = f"/usr/local/lib/python{release}/site-packages/libtpu/libtpu.so"
  for name, value in topology.environment(found, "", libtpu).items():
    assert variables[name] == value
  assert trainer["resources"]["limits"] == {"google.com/tpu": str(found.chips)}


def test_the_image_leaves_out_what_git_ignores_and_no_file_that_git_tracks():
  left_out = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
  ignored = (ROOT / ".gitignore").read_text().splitlines()
  assert sorted(line.removeprefix("**").strip("/") for line in left_out) == sorted(line.strip("/") for line in ignored)
  # Of such patterns, each with a slash at its front, git makes what Docker does.
  tracked = subprocess.run(["git", "ls-files", "--cached", "--ignored", "--exclude-from=.dockerignore"], cwd=ROOT,
                           capture_output=True, text=True, check=True)
  assert tracked.stdout == ""


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_trainers_flags_are_good(name):
  from dlsuite import flags

  assert flags.parse(container(name)["args"]).stages


POD = {"JOBSET_NAME": "dlsuite", "REPLICATED_JOB": "worker", "SUBDOMAIN": "net", "WORKERS": "2", "JOB_COMPLETION_INDEX": "1"}


def test_a_pod_finds_the_others_by_their_lasting_names():
  assert json.loads(k8s_worker.to_tf_config(POD)) == {
    "cluster": {"worker": ["dlsuite-worker-0-0.net:2222", "dlsuite-worker-0-1.net:2222"]},
    "task": {"type": "worker", "index": 1}}


@pytest.mark.parametrize(("changes", "expected"), [
  ({"WORKERS": ""}, "WORKERS is not in the environment"), ({"JOB_COMPLETION_INDEX": "2"}, "process 2 of 2"),
  ({"WORKERS": "two"}, "WORKERS=two")])
def test_a_pod_with_a_wrong_environment_says_what_is_wrong(changes, expected):
  with pytest.raises(LaunchError, match=expected):
    k8s_worker.to_tf_config(POD | changes)


def test_there_are_manifests():
  assert [pathlib.Path(name).stem for name in MANIFESTS] == ["tpu", "workers"]


def test_pods_wait_ten_minutes_for_each_other_unless_told_otherwise(monkeypatch):
  given = []
  monkeypatch.setattr("dlsuite.main.main", lambda argv: given.append(flags.parse(argv).stages[""].strategy))
  for name, value in POD.items():
    monkeypatch.setenv(name, value)
  monkeypatch.setenv("TF_CONFIG", "")
  for more in ([], ["--config.strategy.connect_seconds=30"]):
    k8s_worker.main(["--config=experiments/vision/lenet5.py:smoke", "--mode=describe", *more])
  assert [(strategy.kind, strategy.connect_seconds) for strategy in given] == [("workers", 600), ("workers", 30)]
