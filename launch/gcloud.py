"""The Cloud TPU commands of gcloud: account, queued resource, and commands on its machines."""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from launch.errors import LaunchError, OutOfReachError, TakenError
from launch.shell import Answer, Shell
from launch.topology import Topology

GONE = ("SUSPENDING", "SUSPENDED", "FAILED")  # only deleting and creating again helps
_LOST_NODE = ("PREEMPTED", "TERMINATED", "STOPPING", "STOPPED", "DELETING")
_QUOTA = re.compile(r"RESOURCE_EXHAUSTED|quota|no more capacity|not enough (?:resources|capacity)|stockout", re.IGNORECASE)
# A number is a status where it stands alone: v3-512 is none, nor is the TPU of runs/404.
_ABSENT = re.compile(r"NOT_FOUND|was not found|(?<![\w-])404\b", re.IGNORECASE)
_PASSING = re.compile(r"(?<![\w-])(?:408|429|5\d\d)\b|timed out|unreachable|connection|network (?:is|error)|resolve|"
                      r"find the server|\bunavailable\b|\binternal error|\bINTERNAL:|DEADLINE_EXCEEDED", re.IGNORECASE)
# A machine that vanishes in the middle of a command must be noticed, as must one that does not come: ssh alone would wait for
# it for hours or minutes, and gcloud starts ssh up to ten times.
_KEEP_ALIVE = ("--ssh-flag=-o ConnectTimeout=15", "--ssh-flag=-o ServerAliveInterval=15", "--ssh-flag=-o ServerAliveCountMax=4")


def reason(answer: Answer) -> str:
  """Returns gcloud's own reason for a failure in one line."""
  text = " ".join((answer.error or answer.out).split())
  found = re.search(r"ERROR: (?:\([\w.\-]+\) )?(.*)", text)
  return (found[1] if found else text)[:300] or f"exit status {answer.code}"


def is_quota(text: str) -> bool:
  """Whether a message says that there is no quota or no capacity, which may change by itself."""
  return bool(_QUOTA.search(text))


def is_absent(answer: Answer) -> bool:
  """Whether a command failed because there is no such TPU; one that has not been started tells nothing."""
  return answer.code not in (126, 127) and bool(_ABSENT.search(answer.error))


def is_passing(text: str) -> bool:
  """Whether a message is of a network or a service that did not answer, which may change by itself."""
  return bool(_PASSING.search(text))


def failure(what: str, answer: Answer) -> LaunchError:
  """Returns the error that says what gcloud could not do; its exit code tells whether the same command may succeed later."""
  return (OutOfReachError if is_passing(answer.error) else LaunchError)(f"{what}: {reason(answer)}")


def check_login(shell: Shell) -> str:
  """Returns the account that gcloud acts for.

  Raises:
    LaunchError: if gcloud is absent or nobody is logged in.
  """
  answer = shell.run(["gcloud", "auth", "list", "--filter=status:ACTIVE", "--format=value(account)"], dry=Answer(0, "you"))
  if answer.code == 127:
    raise LaunchError("gcloud is not on PATH: install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install), then "
                      "run: gcloud auth login")
  if answer.code:
    raise failure("gcloud auth list", answer)
  if not answer.out:
    raise LaunchError("gcloud has no active account: run: gcloud auth login")
  return answer.out.split()[0]


def _at(found: Any, *path: str | int) -> str:
  """Returns the text at a place of gcloud's answer; empty if there is none."""
  for key in path:
    try:
      found = found[key]
    except (TypeError, KeyError, IndexError):
      return ""
  return found if isinstance(found, str) else ""


class QueuedResource:
  """One queued resource, and the TPU node of the same name in it.

  Args:
    shell: what runs the commands.
    name: of the resource and of its node.
    topology: what is asked for.
    zone: where.
    runtime_version: the machine image.
    spot: whether it may be taken away at any time, at a lower price.
    project: the Google Cloud project; empty for gcloud's own setting.
  """

  def __init__(self, shell: Shell, name: str, topology: Topology, zone: str, runtime_version: str, spot: bool = False,
               project: str = "") -> None:
    self.name, self.topology = name, topology
    self._shell, self._runtime_version, self._spot = shell, runtime_version, spot
    self._where = [f"--zone={zone}", *([f"--project={project}"] if project else [])]

  def _tpus(self, *command: str) -> list[str]:
    return ["gcloud", "compute", "tpus", *command]

  def create(self) -> Answer:
    """Asks for the TPU; it comes when there is one."""
    return self._shell.run(self._tpus(
      "queued-resources", "create", self.name, f"--node-id={self.name}", *self._where,
      f"--accelerator-type={self.topology.accelerator_type}", f"--runtime-version={self._runtime_version}",
      *(["--spot"] if self._spot else []), "--quiet"))

  def state(self, dry: str = "ACTIVE") -> tuple[str, str]:
    """Returns the state, empty if there is no such resource, and the service's reason for a failure.

    Raises:
      LaunchError: if gcloud cannot tell.
      TakenError: if the resource is of another kind than the job asks for.
    """
    plain = json.dumps({"state": {"state": dry}}) if dry else ""
    answer = self._shell.run(self._tpus("queued-resources", "describe", self.name, *self._where, "--format=json"),
                             dry=Answer(0, plain) if dry else Answer(1, "", "NOT_FOUND"))
    if answer.code:
      if is_absent(answer):
        return "", ""
      raise failure(f"gcloud cannot describe {self.name}", answer)
    try:
      found = json.loads(answer.out)
    except ValueError:
      found = None
    if not isinstance(found, dict):
      raise LaunchError(f"gcloud cannot describe {self.name}: its answer is no JSON object: {answer.out[:80]!r}")
    kind = _at(found, "tpu", "nodeSpec", 0, "node", "acceleratorType") or self.topology.accelerator_type
    if kind != self.topology.accelerator_type:
      raise TakenError(f"--topology={self.topology.name}: the queued resource {self.name} exists and is a {kind}; give "
                       "another --name, or delete it first")
    state = _at(found, "state", "state")
    if not state:  # not the same as no such resource: another one would be asked for
      raise LaunchError(f"gcloud cannot describe {self.name}: its answer tells no state: {answer.out[:80]!r}")
    return state, _at(found, "state", "failedData", "error", "message")

  def node_is_lost(self) -> bool:
    """Whether the node has been taken away, which the resource's own state shows only later."""
    answer = self._shell.run(self._tpus("tpu-vm", "describe", self.name, *self._where, "--format=value(state)"),
                             dry=Answer(0, "READY"))
    return answer.out in _LOST_NODE if answer.code == 0 else is_absent(answer)

  def delete(self) -> Answer:
    """Gives the TPU back, and the request with it; returns when that is done."""
    return self._shell.run([*self._delete, "--quiet"])

  @property
  def by_hand(self) -> str:
    """What somebody types to give the TPU back."""
    return "delete it by hand: " + shlex.join(self._delete)

  @property
  def _delete(self) -> list[str]:
    return self._tpus("queued-resources", "delete", self.name, *self._where, "--force")

  def ssh(self, command: str, on_line: Callable[[str], None], still_wanted: Callable[[], bool], every: float,
          worker: str = "0", dry: Sequence[str] = ()) -> int:
    """Runs a shell command on one machine of the node, or on `all`, and hands on its lines."""
    return self._shell.stream(self._tpus("tpu-vm", "ssh", self.name, *self._where, f"--worker={worker}", "--quiet",
                                         *_KEEP_ALIVE, f"--command={command}"), on_line, still_wanted, every, dry)
