"""The workers of a run, as TF_CONFIG lists them: how they find each other, and which of them was lost. No TensorFlow here."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from dlsuite.errors import ConfigError, WorkerLostError

_RETRY_SECONDS = 0.3
_ANSWER_SECONDS = 2.0  # for a peer that listens to answer
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w-]{1,63}(\.[\w-]{1,63})*\.?):\d{1,5}", re.ASCII)  # host:port or [IPv6]:port


def is_expected(kind: str) -> bool:
  """Returns whether a process is one of several workers, by its `strategy.kind` and the environment."""
  return kind == "workers" or (kind == "auto" and "TF_CONFIG" in os.environ)


@dataclasses.dataclass(frozen=True)
class Said:
  """What a worker tells the others when they meet.

  Attributes:
    same: {what must be the same on every worker: its value on this one}.
    machine: where the numbers of GPUs mean the same ones.
    gpus: those that it takes, as CUDA_VISIBLE_DEVICES names them.
  """

  same: Mapping[str, str] = dataclasses.field(default_factory=dict)
  machine: str = ""
  gpus: Sequence[str] = ()


_NOTHING = Said()


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The worker processes that train together.

  Attributes:
    addresses: `host:port` of each; the first is the chief, which writes.
    index: this process's place among them.
  """

  addresses: tuple[str, ...]
  index: int

  @classmethod
  def from_environment(cls) -> "Cluster":
    """Reads TF_CONFIG.

    Raises:
      ConfigError: if it is missing, malformed, or lists other roles than workers.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
      config = json.loads(text)
      others, task = set(config["cluster"]) - {"worker"}, config["task"]
      addresses = tuple(str(address) for address in config["cluster"]["worker"])
      kind, place = str(task.get("type", "worker")), str(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
      raise ConfigError("strategy.kind='workers' needs TF_CONFIG as JSON with cluster.worker and task.index, got "
                        f"{text[:80]!r}") from None
    if others:
      raise ConfigError(f"TF_CONFIG: cluster lists {', '.join(sorted(others))}; list every process under 'worker', the first "
                        "of which writes")
    if kind != "worker":
      raise ConfigError(f"TF_CONFIG: task.type={kind[:80]!r} must be 'worker', or be left out")
    if not re.fullmatch(r"-?\d{1,9}", place, re.ASCII):  # int() would make a 1 of 1.9 and of true
      raise ConfigError(f"TF_CONFIG: task.index={place[:80]!r} must be a whole number")
    index = int(place)
    if not 0 <= index < len(addresses):
      raise ConfigError(f"TF_CONFIG: task.index={index} but cluster.worker lists {len(addresses)} addresses")
    for i, address in enumerate(addresses):
      if not _ADDRESS.fullmatch(address) or not 0 < int(address.rpartition(":")[2]) < 65536:
        raise ConfigError(f"TF_CONFIG: cluster.worker[{i}]={address!r} is no host:port")
    if len(set(addresses)) < len(addresses):
      twice = next(address for address in addresses if addresses.count(address) > 1)
      raise ConfigError(f"TF_CONFIG: cluster.worker lists {twice} twice")
    return cls(addresses, index)

  def named(self, index: int) -> str:
    """Returns a worker's name for a person, e.g. `worker 1 (10.0.0.7:2222)`."""
    return f"worker {index} ({self.addresses[index]})"

  def meet(self, seconds: float, said: Said = _NOTHING) -> None:
    """Returns once every worker has been seen by this one, and has seen it, and they can train together.

    TensorFlow itself would wait for a missing worker for an hour and then not say which it was. Of workers that were started
    otherwise it would see nothing: they would train on other data each, or wait for each other for ever.

    Raises:
      WorkerLostError: if one is not there in time, or this worker's own port is taken: both may pass.
      ConfigError: if this worker cannot listen for another reason, or another one differs from it or takes the same GPUs.
    """
    peers = set(range(len(self.addresses))) - {self.index}
    if not peers:
      return
    deadline = time.monotonic() + seconds
    faults = dict.fromkeys(peers, "its name was still being looked up")

    def call(peer: int) -> None:
      while (left := deadline - time.monotonic()) > 0:
        faults[peer] = self._call(peer, said, min(_ANSWER_SECONDS, max(left, _RETRY_SECONDS)))
        if not faults[peer]:
          return
        time.sleep(_RETRY_SECONDS)

    with self._listening() as heard:
      # A thread each: silent peers cost time, and the look-up of a name, which has no limit, may outlast the deadline.
      calls = [threading.Thread(target=call, args=(peer,), daemon=True) for peer in peers]
      for thread in calls:
        thread.start()
      for thread in calls:
        thread.join(max(0.0, deadline + 2 * _RETRY_SECONDS - time.monotonic()))
      if silent := [peer for peer in sorted(peers) if faults[peer]]:
        raise WorkerLostError(f"TF_CONFIG: {self.named(silent[0])} did not answer {self.named(self.index)} within "
                              f"{seconds:.0f} s: {faults[silent[0]]}; start every worker with the same list of addresses "
                              "(strategy.connect_seconds sets how long they wait)")
      while missing := peers - heard.keys():
        if time.monotonic() > deadline:
          raise WorkerLostError(f"TF_CONFIG: {self.named(min(missing))} did not reach {self.named(self.index)} within "
                                f"{seconds:.0f} s, though it answers: is the port open to it?")
        time.sleep(_RETRY_SECONDS / 10)
    for peer in sorted(peers):  # only now: all have heard all, so that each can say how it differs
      self._compare(peer, heard[peer], said)

  def _compare(self, peer: int, there: Said, here: Said) -> None:
    for key in sorted(here.same.keys() | there.same.keys()):
      theirs, ours = (said.same.get(key, "absent") for said in (there, here))
      if theirs != ours:
        raise ConfigError(f"{self.named(peer)} was started otherwise than {self.named(self.index)}: {key} ({theirs[:80]} "
                          f"there, {ours[:80]} here); give all workers the same command and as many devices")
    if there.machine == here.machine and (shared := [gpu for gpu in here.gpus if gpu in there.gpus]):
      raise ConfigError(f"{self.named(peer)} is on the machine of {self.named(self.index)} and both would take the GPU "
                        f"{', '.join(shared)}: give each worker its own by CUDA_VISIBLE_DEVICES, or none by "
                        "CUDA_VISIBLE_DEVICES=-1")

  @property
  def _greeting(self) -> str:
    """What the workers of this cluster, and none else, say first."""
    return f"dlsuite {hashlib.sha256(json.dumps(self.addresses).encode()).hexdigest()[:16]}"

  def _call(self, peer: int, said: Said, seconds: float) -> str:
    """Greets a peer and tells it `said`; returns why it did not answer in that time, or nothing."""
    host, _, port = self.addresses[peer].rpartition(":")
    try:
      with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as line:
        line.sendall(f"{self._greeting} {self.index} {json.dumps(dataclasses.asdict(said))}\n".encode())
        answer = line.makefile().readline().strip()
    except (OSError, UnicodeDecodeError) as e:
      return getattr(e, "strerror", "") or str(e) or type(e).__name__
    return "" if answer == f"{self._greeting} {peer}" else "something else answers there"

  @contextlib.contextmanager
  def _listening(self) -> Iterator[dict[int, Said]]:
    """Answers the peers' greetings on this worker's own port; yields what those that have come say."""
    port = int(self.addresses[self.index].rpartition(":")[2])
    heard: dict[int, Said] = {}
    try:
      both = socket.has_dualstack_ipv6()
      server = socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    except OSError as e:
      if e.errno == errno.EADDRINUSE:
        raise WorkerLostError(f"TF_CONFIG: port {port} of {self.named(self.index)} is taken on this machine, by another "
                              "program or by a run that has not ended") from None
      raise ConfigError(f"TF_CONFIG: {self.named(self.index)} cannot listen: {e.strerror}") from None
    server.settimeout(_RETRY_SECONDS)
    done = threading.Event()

    def answer() -> None:
      while not done.is_set():
        with contextlib.suppress(OSError, ValueError, TypeError):  # of whoever it is that does not greet so
          line, _ = server.accept()
          with line:
            line.settimeout(_ANSWER_SECONDS)
            name, cluster, index, text = line.makefile().readline().split(" ", 3)
            if f"{name} {cluster}" == self._greeting:
              peer, said = int(index), Said(**json.loads(text))
              line.sendall(f"{self._greeting} {self.index}\n".encode())
              line.recv(1)  # the caller hangs up first: the port is free at once
              heard[peer] = said

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
      yield heard
    finally:
      done.set()
      thread.join()
      server.close()

  def lost(self, message: str) -> list[int]:
    """Returns the workers that a failed collective points to, [] if none can be named.

    Args:
      message: TensorFlow's.
    """
    if listed := re.search(r"unhealthy[^:]*:((\s*/job:worker/replica:\d+/task:\d+)+)", message):
      # The chief missed their heartbeats: these hang. What comes behind the list names who passed it on, too.
      hanging = {int(i) for i in re.findall(r"/task:(\d+)", listed[1])}
      if hanging - {self.index}:
        return sorted(hanging - {self.index})
    if "CoordinationService/Heartbeat" in message and self.index:
      return [0]
    return [i for i in range(len(self.addresses)) if i != self.index and self._is_gone(i)]

  def _is_gone(self, peer: int) -> bool:
    host, _, port = self.addresses[peer].rpartition(":")
    try:
      socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError:
      return True
    return False
