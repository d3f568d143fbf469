"""A user's own images: `<folder>/<split>/<class>/*.jpg`, made into a tfds data set once, and again when a file changes.

The files are copied as they are into `<data_dir>/folder/<digest>`, where the digest is that of their names, sizes and times.
"""

import concurrent.futures
import contextlib
import hashlib
import io
import logging
import pathlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.errors import DataError, first_line

_SUFFIXES = (".jpg", ".jpeg", ".png")
_NAMED = 5  # files that an error or a warning names
_THREADS = 8
_VERSION = "1.0.0"


def open_builder(folder: str, channels: int, skip_corrupt: bool, prepare: bool = True) -> Any:
  """Returns the tfds builder of a folder of images, prepared.

  Args:
    folder: holds a folder a split (`train` at least), which holds a folder a class.
    channels: 3 or 1, to which all images are converted; 0 if all are alike.
    skip_corrupt: leave out the images that cannot be read.
    prepare: keep the set among the others; else it is made for this process alone.

  Raises:
    DataError: if the folder is not of that form, or one of its images is not what was asked for.
  """
  try:
    root = pathlib.Path(folder).expanduser()
  except RuntimeError:
    raise DataError(f"data.folder={folder!r}: {folder.partition('/')[0]} is no user's home folder here") from None
  files = _listing(root)
  lines = [f"{path.relative_to(root)} {_stamp(path)}" for path in files]
  digest = hashlib.sha256(_bytes("\n".join([f"{channels} {skip_corrupt}", *lines]))).hexdigest()[:12]
  data_dir = sources.tfds_data_dir() if prepare else sources.temporary_folder()
  made = f"{data_dir}/folder/{digest}/{_VERSION}"
  try:
    builder = tfds.builder_from_directory(made) if tf.io.gfile.exists(f"{made}/features.json") else None
    if builder is None:
      shape, unreadable = _look(root, files, channels, skip_corrupt)
      builder = Folder(root, [path for path in files if path not in unreadable], shape, unreadable, digest, data_dir)
      with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
  except OSError as e:
    raise DataError(f"data.folder={folder!r} cannot be prepared in {data_dir}: {e.strerror or first_line(e)}; give a "
                    "--data_dir that can be written") from None
  if builder.info.description.startswith("Without"):
    logging.getLogger("dlsuite").warning("data.folder=%s: %s", folder, builder.info.description)
  return builder


def _listing(root: pathlib.Path) -> list[pathlib.Path]:
  """Returns the images of all splits and classes, sorted."""
  what = f"data.folder={str(root)!r}"
  if not root.is_dir():
    raise DataError(f"{what} is no folder")
  splits = _folders(root)
  if "train" not in splits:
    raise DataError(f"{what} has no folder train; it must hold train/<class>/*.jpg, and the like for valid and test"
                    + (f"; it has: {', '.join(splits[:8])}" if splits else ""))
  classes = _folders(root / "train")
  if len(classes) < 2:
    raise DataError(f"{what}: train holds {len(classes)} folder(s), and there must be one for each of at least two classes")
  found = []
  for split in splits:
    for name in _folders(root / split):
      if name not in classes:
        raise DataError(f"{what}: {split}/{name} is a class that train has not; train has: {', '.join(classes[:20])}")
      for path in sorted((root / split / name).iterdir()):
        if path.suffix.lower() in _SUFFIXES:
          found.append(path)
        elif not path.name.startswith("."):
          raise DataError(f"{what}: {_text(path.relative_to(root))} is none of the images that are read "
                          f"({', '.join(_SUFFIXES)}): convert or remove it")
      if split == "train" and not (found and found[-1].parent == root / split / name):
        raise DataError(f"{what}: train/{name} holds no image")
  return found


def _folders(root: pathlib.Path) -> list[str]:
  """Returns the names of splits or classes, which tfds writes as UTF-8."""
  entries = [path for path in root.iterdir() if not path.name.startswith(".")]
  if lost := sorted(_text(path) for path in entries if path.is_symlink() and not path.exists()):
    raise DataError(f"data.folder: '{lost[0]}' is a link that leads nowhere")
  names = sorted(path.name for path in entries if path.is_dir())
  if wrong := [name for name in names if _text(name) != name]:
    raise DataError(f"data.folder: the name of the folder '{_text(root / wrong[0])}' is not UTF-8: give it another one")
  return names


def _bytes(path: str | pathlib.Path) -> bytes:
  """Returns a path as the file system has it: a name there may be no UTF-8."""
  return str(path).encode(errors="surrogateescape")


def _text(path: str | pathlib.Path) -> str:
  r"""Returns a path as it can be printed and stored: bytes of a name that are not UTF-8 become `\xff`."""
  return _bytes(path).decode(errors="backslashreplace")


def _stamp(path: pathlib.Path) -> str:
  """Returns what changes with a file: its size and time, or that there is none, such as at the end of a broken link."""
  try:
    found = path.stat()
  except OSError as e:
    return str(e.strerror)
  return f"{found.st_size} {found.st_mtime_ns}"


def _shape_of(path: pathlib.Path) -> tuple[tuple[int, int, int], bytes] | str:
  """Returns height, width and channels of a file that is decoded whole and the digest of its bytes, or why it cannot be."""
  try:
    data = path.read_bytes()
    if data[:3] != b"\xff\xd8\xff" and data[:4] != b"\x89PNG":
      return "neither JPEG nor PNG inside"
    height, width, channels = tf.io.decode_image(data, expand_animations=False).shape
    return (int(height), int(width), int(channels)), hashlib.sha256(data).digest()
  except tf.errors.OpError as e:  # `{{function_node ...}} the reason [Op:DecodeImage]`
    return textwrap.shorten(re.sub(r"^\{\{.*?\}\} | \[Op:\w+\].*", "", str(e)), 80, placeholder="...")
  except OSError as e:
    return e.strerror or first_line(e, 80)


def _look(root: pathlib.Path, files: Sequence[pathlib.Path], channels: int, skip_corrupt: bool
          ) -> tuple[tuple[int | None, int | None, int], dict[pathlib.Path, str]]:
  """Decodes every image; returns the shape that they share and the files that cannot be read, with the reason."""
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    looked = dict(zip(files, pool.map(_shape_of, files), strict=True))
  unreadable = {path: found for path, found in looked.items() if isinstance(found, str)}
  shapes = {path: found[0] for path, found in looked.items() if not isinstance(found, str)}
  what = f"data.folder={str(root)!r}"
  if unreadable and not skip_corrupt:
    raise DataError(f"{what}: {len(unreadable)} of {len(files):,} images cannot be read: {_named(root, unreadable)}; mend or "
                    "remove them, or leave them out with data.skip_corrupt=true")
  if not shapes:
    raise DataError(f"{what}: none of {len(files):,} images can be read")
  train = {path.parent.name for path in shapes if path.parent.parent == root / "train"}
  if bare := sorted({path.parent.name for path in files} - train):
    raise DataError(f"{what}: train/{bare[0]} holds no image that can be read")
  _check_disjoint(root, {path: found[1] for path, found in looked.items() if not isinstance(found, str)})
  kinds: dict[int, list[pathlib.Path]] = {}
  for path, (_, _, count) in shapes.items():
    kinds.setdefault(count, []).append(path)
  if not channels and (len(kinds) > 1 or not set(kinds) <= {1, 3}):
    found = "; ".join(f"{len(paths):,} of {count} channel(s), e.g. {_text(paths[0].relative_to(root))}"
                      for count, paths in sorted(kinds.items()))
    raise DataError(f"{what} holds images of other than 1 or 3 channels, or of both: {found}; data.channels=3 makes all of "
                    "them RGB, data.channels=1 grey")
  heights, widths = ({shape[axis] for shape in shapes.values()} for axis in (0, 1))
  same = len(heights) == len(widths) == 1
  return (*((heights.pop(), widths.pop()) if same else (None, None)), channels or next(iter(kinds))), unreadable


def _check_disjoint(root: pathlib.Path, digests: dict[pathlib.Path, bytes]) -> None:
  """Raises DataError if two splits hold the same file: a number would not be honest."""
  first: dict[bytes, pathlib.Path] = {}
  shared = [(path, first[digest]) for path, digest in digests.items()
            if first.setdefault(digest, path).parent.parent != path.parent.parent]
  if shared:
    a, b = (_text(path.relative_to(root)) for path in shared[0])
    raise DataError(f"data.folder={str(root)!r}: {len(shared):,} image(s) of one split are in another one, too, e.g. {a} and "
                    f"{b}: remove them from one of the two")


def _named(root: pathlib.Path, unreadable: dict[pathlib.Path, str]) -> str:
  shown = [f"{_text(path.relative_to(root))} ({reason})" for path, reason in list(unreadable.items())[:_NAMED]]
  return ", ".join(shown) + (f" and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else "")


class Folder(tfds.core.GeneratorBasedBuilder):
  """Images [H, W, channels] and the class that the name of their folder says."""

  VERSION = tfds.core.Version(_VERSION)
  RELEASE_NOTES: ClassVar[dict[str, str]] = {_VERSION: "First version."}

  def __init__(self, root: pathlib.Path, files: Sequence[pathlib.Path], shape: tuple[int | None, int | None, int],
               unreadable: dict[pathlib.Path, str], digest: str, data_dir: str) -> None:
    self._root, self._files, self._image_shape = root, files, shape
    self._about = f"Images of {_text(root)}."
    if unreadable:
      self._about = f"Without {len(unreadable)} image(s) that cannot be read: {_named(root, unreadable)}"
    super().__init__(data_dir=data_dir, config=tfds.core.BuilderConfig(name=digest, version=_VERSION))

  def _info(self) -> tfds.core.DatasetInfo:
    classes = sorted({path.parent.name for path in self._files})
    features = {"image": tfds.features.Image(shape=self._image_shape), "label": tfds.features.ClassLabel(names=classes)}
    return tfds.core.DatasetInfo(builder=self, description=self._about, features=tfds.features.FeaturesDict(features))

  def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
    splits = sorted({path.relative_to(self._root).parts[0] for path in self._files})
    return {split: self._generate_examples(split) for split in splits}

  def _generate_examples(self, split: str) -> Iterator[tuple[bytes, dict]]:
    for path in self._files:
      relative = path.relative_to(self._root)
      if relative.parts[0] == split:
        yield _bytes(relative), {"image": path.read_bytes(), "label": path.parent.name}
