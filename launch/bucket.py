"""Objects in a Cloud Storage bucket, through `gcloud storage`."""

import json
import re

from launch.errors import LaunchError, OutOfReachError
from launch.gcloud import failure, reason
from launch.shell import Answer, Shell

_NAME = re.compile(r"gs://[a-z0-9][a-z0-9._\-]{1,61}[a-z0-9](/.*)?")
_ABSENT = re.compile(r"\b404\b|not found|matched no objects|does not exist", re.IGNORECASE)
_DENIED = re.compile(r"\b40[13]\b|denied|does not have", re.IGNORECASE)
_LOOKS, _LOOK_SECONDS = 3, 1.0  # at an object that was just made
_HELD = re.compile(r"\b412\b|pre-?condition", re.IGNORECASE)


def is_absent(answer: Answer) -> bool:
  """Whether a command failed because there is no such object or bucket; one that has not been started tells nothing."""
  return answer.code not in (126, 127) and bool(_ABSENT.search(answer.error))


def check_name(bucket: str, flag: str = "--bucket") -> str:
  """Returns `gs://name[/folder]`, the value of a flag, without a slash at its end.

  Raises:
    LaunchError: if that is no such name.
  """
  if not _NAME.fullmatch(bucket):
    hint = f" (did you mean 'gs://{bucket}'?)" if _NAME.fullmatch(f"gs://{bucket}") else ""
    raise LaunchError(f"{flag}={bucket!r} is not the name of a bucket{hint}; it must be gs://NAME or gs://NAME/FOLDER")
  return bucket.rstrip("/")


class Bucket:
  """A bucket, or a folder of one.

  Args:
    shell: what runs the commands.
    url: `gs://name[/folder]`.
    flag: what gave it.
  """

  def __init__(self, shell: Shell, url: str, flag: str = "--bucket") -> None:
    self._shell, self.url, self._flag = shell, url, flag

  @property
  def root(self) -> str:
    """The address of the whole bucket."""
    return "/".join(self.url.split("/")[:3])

  def check_root(self) -> None:
    """Looks whether there is such a bucket.

    Raises:
      LaunchError: if not, or it cannot be read.
    """
    answer = self._shell.run(["gcloud", "storage", "ls", self.root])
    if answer.code:
      raise self._error("read", answer)

  def at(self, path: str) -> str:
    """Returns the address of an object."""
    return f"{self.url}/{path}"

  def exists(self, path: str, dry: bool = False) -> bool:
    """Whether there is an object of that name.

    Raises:
      LaunchError: if the bucket cannot be read.
    """
    answer = self._shell.run(["gcloud", "storage", "ls", self.at(path)], dry=Answer(0 if dry else 1, "", "404"))
    if answer.code and not is_absent(answer):
      raise self._error("read", answer)
    return answer.code == 0

  def read(self, path: str) -> str | None:
    """Returns an object's text, or None if it is not there.

    Raises:
      LaunchError: if the bucket cannot be read.
    """
    answer = self._shell.run(["gcloud", "storage", "cat", self.at(path)], dry=Answer(1, "", "404"))
    if answer.code and not is_absent(answer):
      raise self._error("read", answer)
    return answer.out if answer.code == 0 else None

  def create(self, path: str, text: str) -> str | None:
    """Makes an object that is not there yet; of two who try, one succeeds.

    Returns:
      Its generation, or None if it is there already.

    Raises:
      LaunchError: if the bucket is missing or cannot be written.
      OutOfReachError: if it then does not say which generation that is; the object is removed again.
    """
    answer = self._shell.run(["gcloud", "storage", "cp", "-", self.at(path), "--if-generation-match=0", "--quiet"], text)
    if answer.code and _HELD.search(answer.error):
      return None
    if answer.code:
      raise self._error("written", answer)
    if generation := self._shown(path):
      return generation
    self._shell.run(["gcloud", "storage", "rm", self.at(path), "--quiet"])  # made a moment ago, so nobody else's
    raise OutOfReachError(f"{self._flag}={self.url} does not show {self.at(path)}, which has just been written")

  def renew(self, path: str, text: str, generation: str) -> str:
    """Writes an object anew if it is still of that version, and returns its version then: the old one if that failed."""
    command = ["gcloud", "storage", "cp", "-", self.at(path), f"--if-generation-match={generation}", "--quiet"]
    return generation if self._shell.run(command, text).code else self._shown(path) or generation

  def _shown(self, path: str) -> str:
    """Returns the version of an object that was just written; empty if it is not shown in several looks."""
    for attempt in range(_LOOKS):
      if attempt:
        self._shell.sleep(_LOOK_SECONDS)
      if generation := self.generation(path):
        return generation
    return ""

  def generation(self, path: str) -> str:
    """Returns which version of an object is there; empty if none."""
    if self._shell.dry:
      self._shell.note("GENERATION below stands for the number that this prints")
    return self._shell.run(["gcloud", "storage", "objects", "describe", self.at(path), "--format=value(generation)"],
                           dry=Answer(0, "GENERATION")).out

  def remove(self, path: str, generation: str) -> bool:
    """Removes an object if it is still of that version, and returns whether it was."""
    command = ["gcloud", "storage", "rm", self.at(path), f"--if-generation-match={generation}", "--quiet"]
    return self._shell.run(command).code == 0

  def upload(self, file: str, path: str) -> None:
    """Copies a file of this machine there.

    Raises:
      LaunchError: if that fails.
    """
    answer = self._shell.run(["gcloud", "storage", "cp", file, self.at(path), "--quiet"])
    if answer.code:
      raise self._error("written", answer)

  def _error(self, done: str, answer: Answer) -> LaunchError:
    if _DENIED.search(answer.error):
      return LaunchError(f"{self._flag}={self.url} cannot be {done}: {reason(answer)}; the account needs the role Storage "
                         "Object User on it")
    if is_absent(answer):
      return LaunchError(f"{self._flag}={self.url}: there is no bucket {self.root}; make it with: gcloud storage buckets "
                         f"create {self.root} --location=REGION")
    return failure(f"{self._flag}={self.url} cannot be {done}", answer)


def as_object(text: str | None) -> dict[str, str]:
  """Returns a JSON object's members; none if the text is no such thing."""
  try:
    found = json.loads(text or "")
  except ValueError:
    return {}
  return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
