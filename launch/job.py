"""One training on a TPU that may be taken away: asked for, waited for, installed, watched, asked for again, given back."""

import dataclasses
import pathlib
import re
import shlex
import tempfile
from collections.abc import Sequence

from dlsuite.errors import Stopped
from launch import data
from launch.bucket import Bucket
from launch.deletion import delete, delete_or_say, delete_what_was_left
from launch.errors import FailedError, LaunchError, TakenError, UnavailableError
from launch.gcloud import GONE, QueuedResource, is_passing, is_quota, reason
from launch.on_vm import ENDED
from launch.shell import Shell
from launch.signals import waiting
from launch.topology import environment
from launch.trainer_log import Log, judge

ROOT = pathlib.Path(__file__).resolve().parent.parent
_THERE = re.compile("ALREADY_EXISTS|already exists")  # the request got through though its answer did not
_LONGEST_WAIT = 1800.0  # seconds between two tries when there is no quota


@dataclasses.dataclass(frozen=True)
class Patience:
  """How long and how often a job waits.

  Attributes:
    poll: seconds between looks at the TPU.
    retry: seconds until the second try where there is no quota; twice as long until each further one.
    retries: how many tries without quota or capacity there are.
    restarts: how often a trainer that broke, without the TPU being lost, is started again before the job fails.
  """

  poll: float = 30.0
  retry: float = 60.0
  retries: int = 20
  restarts: int = 3


@dataclasses.dataclass(frozen=True)
class Order:
  """What a job does.

  Attributes:
    commit: of the code.
    workdir: the run's folder below the bucket.
    data_dir: the address of the folder of the data sets.
    prepare: `once` or `never`: whether data sets that are not there are prepared.
    sets: the names of the data sets.
    trainer: the flags of `dlsuite.main` without the workdir.
  """

  commit: str
  workdir: str
  data_dir: str
  prepare: str
  sets: Sequence[str]
  trainer: Sequence[str]


class Lost(Exception):  # noqa: N818 - nobody's error
  """The TPU was taken away."""


class Job:
  """A training on a TPU.

  Args:
    shell: what runs the commands.
    resource: the TPU.
    bucket: where everything lies.
    order: what to do.
    patience: how long to wait.
    shared: whether a TPU of that name may be another job's.
  """

  def __init__(self, shell: Shell, resource: QueuedResource, bucket: Bucket, order: Order, patience: Patience,
               shared: bool = False) -> None:
    self._shell, self._resource, self._bucket, self._order, self._patience = shell, resource, bucket, order, patience
    self._shared, self._tries = shared, 0
    self._ours = self._theirs = False  # whether it is known that the TPU is this job's, or another one's
    self._pending = True  # whether the training may go on

  def run(self) -> None:
    """Trains to the end and gives the TPU back, whatever happens.

    Raises:
      DlsuiteError: why there is no result.
    """
    try:
      self._upload_code()
      while True:
        try:
          self._get()
          self._install()
          return self._train()
        except Lost:
          self._shell.note(f"{self._resource.name} was taken away; it is asked for again")
          self._remove()
    except TakenError:
      self._ours, self._theirs = False, True
      raise
    except BaseException:
      with waiting("saves the state"):
        self._stop_trainer()
      raise
    finally:
      with waiting("gives the TPU back"):
        self._give_back()

  def _upload_code(self) -> None:
    path = f"code/{self._order.commit}.bundle"
    if self._bucket.exists(path):
      return
    self._shell.note(f"copies the code of commit {self._order.commit[:12]} to {self._bucket.at(path)}")
    with tempfile.TemporaryDirectory(prefix="launch-") as folder:
      place = pathlib.Path.cwd() if self._shell.dry else folder
      file, copy = f"{place}/code.bundle", f"{place}/code.git"
      # A bundle is of a ref, and HEAD may have moved since it was looked at: a copy without files has one that does not.
      for command in (["clone", "-q", "--bare", "--shared", str(ROOT), copy],
                      ["-C", copy, "update-ref", "--no-deref", "HEAD", self._order.commit],
                      ["-C", copy, "bundle", "create", "-q", file, "HEAD"]):
        made = self._shell.run(["git", *command])
        if made.code:
          raise LaunchError(f"the code cannot be packed: {reason(made)}")
      self._bucket.upload(file, path)

  def _get(self) -> None:
    """Returns once the TPU is there.

    Raises:
      LaunchError: if the service refuses the request.
      UnavailableError: if there was no quota or capacity in all tries.
    """
    said = ""
    state, why = self._resource.state(dry="")
    self._ours = not self._shared
    while state != "ACTIVE":
      if state and state != said:
        self._shell.note(f"{self._resource.name} is {state}" + (f": {why}" if why else ""))
        said = state
      if not state:
        self._create()
      elif state in GONE:
        self._remove()
        if state == "FAILED":
          self._back_off(why or "the request failed")
      else:
        self._shell.sleep(self._patience.poll)
      state, why = self._look()
    self._tries = 0
    self._shell.note(f"{self._resource.name} is ACTIVE")

  def _look(self) -> tuple[str, str]:
    """Returns the TPU's state; where that cannot be seen, as without a network, it is tried again for a while."""
    for attempt in range(self._patience.retries):
      try:
        return self._resource.state()
      except TakenError:
        raise
      except LaunchError as e:
        if attempt + 1 == self._patience.retries:
          raise
        self._shell.note(f"{e}; tried again")
        self._shell.sleep(self._patience.poll)
    raise AssertionError("there is at least one try")

  def _create(self) -> None:
    kind = self._resource.topology
    self._shell.note(f"asks for {kind.name}: {kind.chips} chips in {kind.hosts} machine(s)")
    answer = self._resource.create()
    if answer.code == 0:
      self._ours = True
      self._shell.note(f"looks every {self._patience.poll:g} s until it is ACTIVE")
    elif is_quota(answer.error) or is_passing(answer.error) or _THERE.search(answer.error):
      self._back_off(reason(answer))
    else:
      raise LaunchError(f"--topology={kind.name} was refused: {reason(answer)}")

  def _back_off(self, why: str) -> None:
    self._tries += 1
    if self._tries >= self._patience.retries:
      raise UnavailableError(f"no {self._resource.topology.name} after {self._tries} tries: {why}; the same command "
                             "tries again; see IAM & Admin > Quotas, or another --zone")
    seconds = min(_LONGEST_WAIT, self._patience.retry * 2.0 ** min(self._tries - 1, 99))
    self._shell.note(f"try {self._tries} of {self._patience.retries} failed, the next in {seconds:g} s: {why}")
    self._shell.sleep(seconds)

  def _is_lost(self) -> bool:
    """Whether the TPU has been taken away, as far as can be seen."""
    try:
      state, _ = self._resource.state()
    except LaunchError as e:
      self._shell.note(str(e))
      return False
    return state in ("", "DELETING", *GONE) or self._resource.node_is_lost()

  def _install(self) -> None:
    """Puts the code of the commit on every machine of the TPU, with what it needs.

    Raises:
      Lost: if the TPU goes away meanwhile.
      FailedError: if that cannot be done.
    """
    bundle = shlex.quote(self._bucket.at(f"code/{self._order.commit}.bundle"))
    self._shell.note("installs the code on every machine")
    command = " && ".join((
      f"test -e {self._home}/.git || {{ gcloud storage cp {bundle} code.bundle --quiet"
      f" && git -c advice.detachedHead=false clone --quiet code.bundle {self._home}; }}",
      f"bash {self._home}/launch/install.sh",
    ))
    for attempt in range(self._patience.restarts + 1):
      said: list[str] = []
      code = self._resource.ssh(command, said.append, lambda: not self._is_lost(), self._patience.poll, worker="all")
      if code == 0:
        return
      if self._is_lost():
        raise Lost
      if attempt < self._patience.restarts:
        self._shell.sleep(self._patience.poll)  # a machine that has just started may refuse connections for a while
    raise FailedError(f"the code cannot be installed (code {code}): {' | '.join(said[-3:])[:400]}")

  @property
  def _home(self) -> str:
    """The folder of the code on a machine."""
    return f"dlsuite-{self._order.commit[:12]}"

  @property
  def _run(self) -> str:
    """The address of the run."""
    return self._bucket.at(self._order.workdir)

  def _on_vm(self, do: str, *options: str, trainer: Sequence[str] = ()) -> str:
    words = [".venv/bin/python", "-m", "launch.on_vm", do, f"--name={self._resource.name}", *options]
    return f"cd {self._home} && " + shlex.join([*words, *(["--", *trainer] if trainer else [])])

  def _train(self) -> None:
    """Trains on the TPU that is there, on one machine of a pod, and shows the trainer's output.

    Raises:
      Lost: if the TPU goes away meanwhile.
      DlsuiteError: if the trainer's exit code says so.
    """
    order, known, broken, silent = self._order, 0, 0, 0
    kind = self._resource.topology
    variables = environment(kind, self._resource.name, ".../site-packages/libtpu/libtpu.so")
    self._shell.note("set there before TensorFlow is imported: " + " ".join(f"{k}={v}" for k, v in variables.items()))
    self._shell.note("trains" + (" from the first machine" if kind.is_pod else "") + "; what follows is the trainer's")
    self._explain()
    while True:
      log = Log(known)
      command = self._on_vm(
        "run", f"--topology={kind.name}", f"--run={self._run}", f"--data_dir={order.data_dir}", f"--prepare={order.prepare}",
        f"--after={known}", "--numbered", trainer=order.trainer)
      try:
        self._resource.ssh(command, log.take, lambda: not self._is_lost(), self._patience.poll, dry=[f"{ENDED}0"])
      finally:  # also where a signal has ended it: a TPU that shows this run's log is this job's
        self._ours = self._ours or log.known > known or log.code is not None
      if log.busy:
        raise TakenError(log.busy)
      if log.code in (0, 2, 3):
        self._pending = False
        return judge(log)
      if self._is_lost():
        raise Lost
      broken += log.code not in (None, Stopped.exit_code)  # the machine had it stop, as for maintenance: nothing is broken
      silent = silent + 1 if log.code is None and log.known == known else 0
      known = log.known
      if broken > self._patience.restarts or silent >= self._patience.retries:
        raise FailedError(f"the trainer broke {broken} times, the connection {silent} times, last code {log.code}: "
                          f"{(log.noise if log.code is None else log.last)[:300]}")
      self._shell.note(f"the trainer ended with code {log.code}; it is started again" if log.code is not None
                       else f"the connection broke ({log.noise[:120]}); the TPU is still there, looks on again")
      self._shell.sleep(self._patience.poll)  # what broke it, as a bucket out of reach, may pass

  def _explain(self) -> None:
    """Says in a dry run what the command that trains does on its machine."""
    order = self._order
    for name in order.sets if order.prepare == "once" else ():
      self._shell.explain(f"there, unless {order.data_dir}/{data.marker(name)} is there: "
                          f"TFDS_DATA_DIR={shlex.quote(order.data_dir)} python -m launch.data {shlex.quote(name)}")
    self._shell.explain("then there: " + shlex.join(["python", "-m", "dlsuite.main", *order.trainer, f"--workdir={self._run}"]))

  def _stop_trainer(self) -> None:
    """Lets a training that may go on save its state; the TPU is given back next."""
    if not self._pending or self._shell.dry:
      return
    try:
      if self._resource.state()[0] == "ACTIVE":
        self._shell.note("lets the trainer save its state")
        self._resource.ssh(self._on_vm("stop", f"--run={self._run}"), self._shell.note, lambda: True, self._patience.poll)
    except LaunchError as e:
      self._shell.note(str(e))

  def _remove(self) -> None:
    """Deletes what was taken away or has failed, on which nobody trains: it stands in the way of the next one."""
    while not delete(self._shell, self._resource, self._patience.poll):
      self._back_off(f"{self._resource.name} cannot be deleted")

  def _give_back(self) -> None:
    if self._ours:
      delete_or_say(self._shell, self._resource, self._patience.poll)
    elif not self._theirs:
      delete_what_was_left(self._shell, self._resource, self._run if self._shared else "", self._patience.poll)


def stopped(name: str) -> Stopped:
  """Returns what a job that was asked to stop says."""
  return Stopped(f"stopped by {name}; the run's state lies in the bucket, the same command goes on")
