"""The commands as the Google Cloud SDK itself knows them, and what its messages mean."""

import importlib.util
import pathlib
import shlex
import shutil

import pytest

from launch import deletion, tpu_vm
from launch.errors import LaunchError
from launch.gcloud import QueuedResource, is_absent, is_passing, is_quota, reason
from launch.shell import Answer, Shell
from launch.topology import parse
from tests.launch.conftest import JOB


def known_commands():
  """Returns the SDK's own table of commands and flags, or skips the test."""
  program = shutil.which("gcloud", path="/usr/bin:/usr/local/bin:/snap/bin")
  table = pathlib.Path(program).resolve().parent.parent / "data/cli/gcloud_completions.py" if program else None
  if table is None or not table.exists():
    pytest.skip("the Google Cloud SDK is not installed")
  spec = importlib.util.spec_from_file_location("gcloud_completions", table)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.STATIC_COMPLETION_CLI_TREE


def assert_known(tree, command):
  """Walks down a command's words, then looks for each of its flags."""
  node, everywhere = tree, set(tree["flags"])
  for word in command[1:]:
    if word.startswith("-") or word not in node["commands"]:
      break
    node = node["commands"][word]
  assert not node.get("commands"), command
  for flag in (item.partition("=")[0] for item in command if item.startswith("--")):
    assert flag in node["flags"] or flag in everywhere, (command, flag)


def test_the_sdk_knows_every_command_and_flag_of_a_job(cloud, capsys):
  tree = known_commands()
  assert tpu_vm.main([*JOB, "--spot", "--project=mine", "--dry_run"]) == 0
  lines = [line.partition("| ")[2] if line.startswith("printf") else line for line in capsys.readouterr().out.splitlines()]
  commands = [shlex.split(line) for line in lines if line.startswith("gcloud")]
  assert len(commands) == 14
  for command in commands:
    assert_known(tree, command)


def test_the_sdk_knows_every_command_and_flag_that_the_played_one_takes(cloud):
  from tests.launch import fake_gcloud

  tree = known_commands()
  for group, flags in fake_gcloud.FLAGS.items():
    assert_known(tree, ["gcloud", *group.split(), *(f"--{flag}" for flag in flags)])


@pytest.mark.parametrize(("message", "expected"), [
  ("RESOURCE_EXHAUSTED: Quota limit 'TPUS_PER_TPU_FAMILY' has been exceeded", True),
  ("There is no more capacity in the zone \"us-west4-a\"", True),
  ("ERROR: You have reached the quota of 0 TPUs", True),
  ("PERMISSION_DENIED: Permission 'tpu.queuedResources.create' denied", False),
  ("INVALID_ARGUMENT: accelerator type not found", False),
])
def test_want_of_quota_and_capacity_is_told_from_what_waiting_does_not_mend(message, expected):
  assert is_quota(message) == expected


@pytest.mark.parametrize(("message", "expected"), [
  ("UNAVAILABLE: The service is currently unavailable.", True),
  ("INTERNAL: an internal error has occurred", True),
  ("DEADLINE_EXCEEDED: Deadline exceeded", True),
  ("HTTPError 503: Service Unavailable", True),
  ("There was a problem: [Errno 101] Network is unreachable", True),
  ("Unable to find the server at tpu.googleapis.com", True),
  ("INVALID_ARGUMENT: accelerator type v3-512 is not available in zone us-west4-a", False),
  ("INVALID_ARGUMENT: network default does not exist", False),
])
def test_an_outage_is_told_from_what_waiting_does_not_mend(message, expected):
  assert is_passing(message) == expected


@pytest.mark.parametrize(("answer", "expected"), [
  (Answer(1, "", "NOT_FOUND: Resource 'projects/p/locations/z/queuedResources/tpu' was not found"), True),
  (Answer(1, "", "HTTPError 404: no such resource"), True),
  (Answer(127, "", "gcloud: not found"), False),
  (Answer(1, "", "dlsuite-404-ab12cd: network is unreachable"), False),
])
def test_a_tpu_counts_as_absent_only_by_the_services_word(answer, expected):
  assert is_absent(answer) == expected


def test_a_gcloud_that_is_no_more_says_nothing_of_the_tpu_which_may_still_cost_money(monkeypatch, capsys):
  monkeypatch.setattr(Shell, "run", lambda *_, **__: Answer(127, "", "gcloud: not found"))
  resource = QueuedResource(Shell(), "tpu", parse("v5e-8"), "zone", "image")
  with pytest.raises(LaunchError, match="gcloud cannot describe tpu: gcloud: not found"):
    resource.state()
  assert not resource.node_is_lost()
  deletion.delete_or_say(Shell(), resource, 0.0)
  assert "ATTENTION: tpu MAY STILL COST MONEY" in capsys.readouterr().out


def test_a_program_that_cannot_be_started_is_a_line_and_a_code(tmp_path):
  said = []
  assert Shell().stream([str(tmp_path / "absent")], said.append, lambda: True, 1.0) == 127
  assert said == [f"{tmp_path / 'absent'}: not found"]


def test_the_reason_is_gclouds_own_in_one_line():
  error = "WARNING: hm\nERROR: (gcloud.compute.tpus.queued-resources.create) INVALID_ARGUMENT:\n  no such zone"
  assert reason(Answer(1, "", error)) == "INVALID_ARGUMENT: no such zone"
  assert reason(Answer(9)) == "exit status 9"


def described(monkeypatch, text):
  monkeypatch.setattr(Shell, "run", lambda *_, **__: Answer(0, text))
  return QueuedResource(Shell(), "tpu", parse("v5e-8"), "zone", "image").state()


@pytest.mark.parametrize("text", ["", "oops", "null", "[]", '{"state": null}', '{"state": {"state": 3}}', "{}"])
def test_a_description_that_tells_no_state_is_one_line_and_not_taken_for_an_absent_tpu(monkeypatch, text):
  with pytest.raises(LaunchError, match="gcloud cannot describe tpu: its answer"):
    described(monkeypatch, text)


@pytest.mark.parametrize("tpu", ["null", "{}", '{"nodeSpec": []}', '{"nodeSpec": [null]}'])
def test_a_description_without_a_node_still_tells_the_state(monkeypatch, tpu):
  assert described(monkeypatch, f'{{"state": {{"state": "FAILED", "failedData": null}}, "tpu": {tpu}}}') == ("FAILED", "")
