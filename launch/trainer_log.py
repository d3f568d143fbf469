"""What a trainer says over a connection that may break and be made again, and what its exit code means."""

from dlsuite.errors import DivergedError
from launch.errors import LaunchError
from launch.on_vm import BUSY, ENDED
from launch.say import say


class Log:
  """What the trainer has said, each line once, however often its log is read again from the start.

  Args:
    known: the number of the last line that has been shown.

  Attributes:
    known: the same, as lines come in.
    last: the last line that is not empty.
    noise: the last line that was not the trainer's but the connection's.
    busy: why the machine refused, as it trains another run; else empty.
    code: the trainer's exit code once it has ended.
  """

  def __init__(self, known: int) -> None:
    self.known, self.last, self.noise, self.busy = known, "", "", ""
    self.code: int | None = None

  def take(self, line: str) -> None:
    """Takes a line that came over the connection."""
    if line.startswith(ENDED):
      self.code = int(line.removeprefix(ENDED))
      return
    if line.startswith(BUSY):
      self.busy = line.removeprefix("launch: ")
      return
    number, tab, text = line.partition("\t")
    if not tab or not number.isdigit():
      self.noise = line.strip() or self.noise  # ssh and gcloud talk of their own
      return
    if int(number) > self.known:
      self.known, self.last = int(number), text or self.last
      say(text)


def judge(log: Log) -> None:
  """Raises what an exit code that ends the job stands for.

  Raises:
    LaunchError: if the trainer refused its input.
    DivergedError: if the training diverged.
  """
  if log.code == 2:
    raise LaunchError(f"the trainer refused its input: {log.last}")
  if log.code == 3:
    raise DivergedError(f"the training diverged: {log.last}")
