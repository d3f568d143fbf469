"""Processes that live and die together: started at once, their lines told apart, ended when one of them fails."""

import collections
import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from dlsuite.errors import WorkerLostError
from launch.errors import LaunchError
from launch.say import complain, say
from launch.signals import handled

_LOST_ANOTHER = WorkerLostError.exit_code
_KEPT = 30  # lines of each process, for when it fails unseen


class Ports:
  """Free ports of the loopback device, held until the processes that shall use them start.

  Args:
    count: how many.
  """

  def __init__(self, count: int) -> None:
    self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    for held in self._sockets:
      held.bind(("127.0.0.1", 0))
    self.numbers = [int(held.getsockname()[1]) for held in self._sockets]

  def release(self) -> None:
    """Lets go of the ports; in the seconds until they are bound again the kernel gives out other ones first."""
    for held in self._sockets:
      held.close()

  def __enter__(self) -> "Ports":
    return self

  def __exit__(self, *_: object) -> None:
    self.release()


class Group:
  """Processes with one command, each with an environment of its own.

  Args:
    command: the program and its arguments.
    environments: of each process, by rank.
    everyone: whether the lines of all are shown, each with its rank, or those of rank 0 alone.
    grace: seconds until a process that was asked to end is killed.

  Attributes:
    failed: the rank of the process that failed first, if any did.
    signalled: whether this process was asked to end.
  """

  def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]], everyone: bool, grace: float) -> None:
    self.failed: int | None = None
    self.signalled = False
    self._command, self._environments, self._grace, self._everyone = command, environments, grace, everyone
    self._lines = [collections.deque[str](maxlen=_KEPT) for _ in environments]
    self._screen = threading.Lock()  # print writes a line and its end apart: another reader's line may come between
    self._processes: list[subprocess.Popen[bytes]] = []
    self._readers: list[threading.Thread] = []

  def _read(self, rank: int, stream: IO[bytes]) -> None:
    for raw in stream:
      line = raw.decode(errors="replace").rstrip("\n")
      self._lines[rank].append(line)
      if self._everyone or rank == 0:
        with self._screen:
          say(f"[{rank}] {line}" if self._everyone else line)

  def tail(self, rank: int) -> str:
    """Returns a process's last lines."""
    return "\n".join(f"[{rank}] {line}" for line in self._lines[rank])

  def run(self) -> int:
    """Starts all at once and returns when they have ended: the exit code of the one that failed first, or 0.

    Raises:
      LaunchError: if one cannot be started; the others are ended.
    """
    with handled(self._forward):
      try:
        for rank, environment in enumerate(self._environments):
          self._start(rank, environment)
        return self._watch()
      finally:
        self._end()

  def _start(self, rank: int, environment: Mapping[str, str]) -> None:
    try:  # a session of its own: a Ctrl-C at the terminal reaches it once, through `_forward`, not twice
      process = subprocess.Popen(list(self._command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as e:
      raise LaunchError(f"worker {rank} cannot be started: {self._command[0]}: {e.strerror}") from None
    self._processes.append(process)
    if self.signalled:  # meanwhile
      process.terminate()
    reader = threading.Thread(target=self._read, args=(rank, process.stdout), daemon=True)
    reader.start()
    self._readers.append(reader)

  def _watch(self) -> int:
    """Returns once one has failed, or all have ended well."""
    deadline = float("inf")
    while True:
      codes = [process.poll() for process in self._processes]
      if self.signalled and deadline == float("inf"):
        deadline = time.monotonic() + self._grace
      # A process that has lost another one says so by its code: what it lost tells more.
      failed = next((rank for rank, code in enumerate(codes) if code not in (None, 0, _LOST_ANOTHER)),
                    next((rank for rank, code in enumerate(codes) if code), None))
      if failed is not None and not (self.signalled and None in codes and time.monotonic() < deadline):
        self.failed = failed
        code = codes[failed] or 0
        return code if code > 0 else 128 - code
      if all(code == 0 for code in codes):
        return 0
      if time.monotonic() > deadline:
        return 128 + signal.SIGKILL
      time.sleep(0.05)

  def _end(self) -> None:
    """Ends whoever still runs, and reads what they have said."""
    for process in self._processes:
      if process.poll() is None:
        process.terminate()
    deadline = time.monotonic() + self._grace
    for process in self._processes:
      with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, deadline - time.monotonic()))
      if process.poll() is None:
        process.kill()
        process.wait()
    for reader, process in zip(self._readers, self._processes, strict=False):
      reader.join(5)
      if process.stdout is not None and not reader.is_alive():
        process.stdout.close()

  def _forward(self, number: int, _: Any) -> None:
    self.signalled = True
    complain(f"launch: {signal.Signals(number).name}: the processes save their state")
    for process in self._processes:
      if process.poll() is None:
        process.send_signal(signal.SIGTERM)
