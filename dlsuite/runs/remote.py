"""Paths on an object store (`gs://bucket/folder`) or in TensorFlow's memory (`ram://name/folder`), through `tf.io.gfile`.

What an object store does otherwise than a disk, and what follows:

- An object appears whole when it is closed, or not at all; renaming is copying. So it is written under its final name at once.
- It cannot be appended to: what grows is written anew (`dlsuite.runs.growing`).
- A folder is only the beginning of names: it is there as soon as something lies below it.
- The network fails now and then. An error that passes (unavailable, too slow, too many requests) is met by trying again for
  `Patience`; TensorFlow's own client of Google's store has by then made ten tries of each request (three minutes).

Every fault is an OSError with one line in `strerror` that says what to do, as a disk's is: what handles one handles the other.
"""

import contextlib
import dataclasses
import errno
import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dlsuite.errors import DlsuiteError, first_line, nearest
from dlsuite.quiet import import_tensorflow
from dlsuite.runs.retries import Patience

T = TypeVar("T")

_HURRIED = Patience(5.0)  # where a person waits for the answer
_OTHERS = ("az", "abfs", "hdfs", "http", "https", "memory", "s3")  # no slip of the pen
_LOCAL_SCHEMES = ("", "file")
_NO_HOST = re.compile(r"resolve host|resolve proxy", re.IGNORECASE)


class RemoteError(OSError):
  """A remote file could not be reached; `strerror` is the line that says why. That it is not there is no such error.

  Attributes:
    passing: whether a later start may find it.
  """

  def __init__(self, line: str, code: int = errno.EIO, passing: bool = False) -> None:
    super().__init__(code, line)
    self.passing = passing


def _gfile() -> Any:
  import_tensorflow()
  import tensorflow as tf

  return tf.io.gfile


def schemes() -> list[str]:
  """Returns the schemes of remote paths that this TensorFlow can open, e.g. `["gs", "ram"]`."""
  return sorted(set(_gfile().get_registered_schemes()) - set(_LOCAL_SCHEMES))


def _is_passing(error: Exception) -> bool:
  """Returns whether a later try may succeed."""
  from tensorflow import errors

  passing = (errors.UnavailableError, errors.DeadlineExceededError, errors.AbortedError, errors.ResourceExhaustedError,
             errors.InternalError, errors.UnknownError, ConnectionError, TimeoutError)
  return isinstance(error, passing) or (isinstance(error, errors.FailedPreconditionError) and bool(_NO_HOST.search(str(error))))


def translated(error: Exception, path: "RemotePath", writes: bool = False) -> OSError:
  """Returns TensorFlow's error about a path, or one below it, as an OSError whose line says what to do."""
  from tensorflow import errors

  if isinstance(error, errors.UnimplementedError):
    known = schemes()
    allowed = ", ".join(["a local folder", *(f"{name}://" for name in known)])
    hint = "" if path.scheme in _OTHERS else nearest(path.scheme, known)
    return RemoteError(f"no file system for {path.scheme}:// is built into this TensorFlow{hint}; "
                       f"allowed: {allowed}", errno.EPROTONOSUPPORT)
  if isinstance(error, errors.NotFoundError):
    if writes:
      return RemoteError(f"bucket {path.bucket} does not exist", errno.ENOENT)
    return FileNotFoundError(errno.ENOENT, "there is no such object", str(path))
  if isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError)):
    return RemoteError(f"not authorised for {path.bucket}: run `gcloud auth application-default login`, or set "
                       "GOOGLE_APPLICATION_CREDENTIALS to the key of an account that may read and write its objects",
                       errno.EACCES)
  if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
    return error
  return RemoteError(f"{path.bucket} cannot be reached: {first_line(error)}", passing=_is_passing(error))


def fault_named_in(error: Exception) -> RemoteError | None:
  """Returns what TensorFlow says of a store that it cannot reach, or may not, as `translated`; None of any other error.

  It meets the store past `RemotePath` where it reads data, and where TensorBoard's files are written.
  """
  from tensorflow import errors

  named = re.search(rf"\b(?:{'|'.join(schemes())})://[\w.-]+", str(error))
  refused = isinstance(error, (errors.PermissionDeniedError, errors.UnauthenticatedError))
  if not named or not (refused or _is_passing(error)):
    return None
  fault = translated(error, RemotePath(named[0]))
  return fault if isinstance(fault, RemoteError) else None


@contextlib.contextmanager
def naming_faults() -> Iterator[None]:
  """Turns what is still raised of a store, by whatever met it, into one line.

  Raises:
    DlsuiteError: its exit code says whether a later start may find the store.
  """
  from tensorflow import errors

  try:
    yield
  except (RemoteError, errors.OpError) as e:
    fault = e if isinstance(e, RemoteError) else fault_named_in(e)
    if fault is None:
      raise
    again = "; the same command goes on from the newest checkpoint" if fault.passing else ""
    raise DlsuiteError(f"{fault.strerror}{again}") from fault


@dataclasses.dataclass(frozen=True, order=True)
class RemotePath:
  """What the record of a run needs of `pathlib.Path`, on a remote file system.

  Attributes:
    text: `scheme://bucket/name`, without a slash at its end.
    patience: how long a passing error is met by trying again.
  """

  text: str
  patience: Patience = dataclasses.field(default=Patience(), compare=False, repr=False)

  def __str__(self) -> str:
    return self.text

  def __truediv__(self, name: str) -> "RemotePath":
    return dataclasses.replace(self, text=f"{self.text}/{name}")

  @property
  def scheme(self) -> str:
    """What stands before `://`."""
    return self.text.partition("://")[0]

  @property
  def bucket(self) -> str:
    """The store that holds the path, e.g. `gs://bucket`."""
    return f"{self.scheme}://{self.text.partition('://')[2].partition('/')[0]}"

  @property
  def name(self) -> str:
    """The last part."""
    return self.text.partition("://")[2].rpartition("/")[2]

  @property
  def stem(self) -> str:
    """The last part without its ending."""
    return self.name.rpartition(".")[0] or self.name

  @property
  def suffix(self) -> str:
    """The ending of the last part, e.g. `.png`."""
    return self.name[len(self.stem):]

  @property
  def parent(self) -> "RemotePath":
    """The folder that holds it."""
    return self if self.text == self.bucket else dataclasses.replace(self, text=self.text.rpartition("/")[0])

  def resolve(self) -> "RemotePath":
    """Returns itself: a store has no links."""
    return self

  def with_name(self, name: str) -> "RemotePath":
    """Returns the path of another name in the same folder."""
    return self.parent / name

  def with_suffix(self, suffix: str) -> "RemotePath":
    """Returns the path with another ending."""
    return self.with_name(self.stem + suffix)

  def hurried(self) -> "RemotePath":
    """Returns the same path for a person who waits: an error that may pass is believed after seconds."""
    return dataclasses.replace(self, patience=_HURRIED)

  def _do(self, call: Callable[[Any], T], verb: str = "reading", writes: bool = False) -> T:
    gfile = _gfile()
    try:
      return self.patience(lambda: call(gfile), _is_passing, f"{verb} {self}")
    except Exception as e:
      from tensorflow import errors

      if isinstance(e, (errors.OpError, OSError)):
        raise translated(e, self, writes) from None
      raise

  def exists(self) -> bool:
    """Returns whether there is such an object, or anything below such a folder."""
    return self._do(lambda gfile: gfile.exists(self.text))

  def is_dir(self) -> bool:
    """Returns whether anything lies below."""
    return any(True for _ in self.iterdir())  # gfile.isdir takes every error for a no

  def iterdir(self) -> Iterator["RemotePath"]:
    """Yields what lies right below; nothing, if there is no such folder."""
    yield from (self / name.rstrip("/") for name in self._do(self._names) if name.rstrip("/"))

  def _names(self, gfile: Any) -> list[str]:
    from tensorflow import errors

    try:
      return gfile.listdir(self.text)
    except errors.NotFoundError:
      # It says so of every error too. These two tell them apart; a checkpoint that is not seen would be trained over.
      if not gfile.exists(self.text) or not gfile.stat(self.text).is_directory:
        return []
      raise errors.UnavailableError(None, None, f"{self.text} is there but was not listed") from None

  def glob(self, pattern: str) -> Iterator["RemotePath"]:
    """Yields what lies below and agrees with a pattern; `*` stands for no slash."""
    first, _, rest = pattern.partition("/")
    for path in self.iterdir():
      if fnmatch.fnmatchcase(path.name, first):
        yield from path.glob(rest) if rest else [path]

  def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
    """Does what `pathlib.Path.mkdir` with both arguments true does where folders are more than the beginning of names."""
    if self.scheme == "ram":  # on a store it would ask for rights on the whole bucket, and gain nothing
      self._do(lambda gfile: gfile.makedirs(self.text), "making", writes=True)

  def read_bytes(self) -> bytes:
    """Returns what the object holds.

    Raises:
      FileNotFoundError: if there is none.
      RemoteError: if it cannot be reached.
    """
    def read(gfile: Any) -> bytes:
      with gfile.GFile(self.text, "rb") as f:
        return bytes(f.read())

    return self._do(read)

  def read_text(self) -> str:
    """Returns the text that the object holds, as `read_bytes` does."""
    return self.read_bytes().decode("utf-8")

  def write_bytes(self, data: bytes) -> None:
    """Writes an object whole: at any instant it is the old one or the new one.

    Raises:
      RemoteError: if it cannot be written.
    """
    def write(gfile: Any) -> None:
      if self.scheme == "ram" and gfile.exists(self.text):
        gfile.remove(self.text)  # TensorFlow's memory would append, whatever the mode
      with gfile.GFile(self.text, "wb") as f:
        f.write(data)

    self._do(write, "writing", writes=True)

  def unlink(self, missing_ok: bool = False) -> None:
    """Removes the object.

    Raises:
      FileNotFoundError: if there is none and that is not right.
      RemoteError: if it cannot be removed.
    """
    try:
      self._do(lambda gfile: gfile.remove(self.text), "removing")
    except FileNotFoundError:
      if not missing_ok:
        raise
