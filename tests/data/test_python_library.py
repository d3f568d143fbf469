"""The text of Python's own library. The hashes are those of `cat FILES | sha256sum` in an unpacked CPython 3.11.7."""

import hashlib
import json
import pathlib
import sys

import pytest
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.data.builders.python_library import python_library_dataset_builder as library
from dlsuite.errors import DataError

LIBRARY = pathlib.Path(json.__file__).parents[1]
SPLITS = ("train", "valid", "test")
SHA256_OF_3_11_7 = {
  "train": "374f25d84432302dbd13c9aec6d2cd3f091055705463b306d0fd76b8940ef848",
  "valid": "72b536251ebd3a1ffe905a1e77b0b0a48f2309bb6f340b990fd20d68723493dd",
  "test": "45341f5319df34bce0f4cf7056e21e1fc9b34b9ddee4e6ca18d792dbc43468ef",
}


@pytest.fixture(scope="module")
def builder():
  return sources.open_builder("python_library")


def _modules(split):
  return {path.removesuffix(".py").split("/")[0] for path in library.FILES[split]}


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_one_example_that_holds_the_whole_text(builder, split):
  example, = tfds.as_numpy(builder.as_dataset(split=split))
  assert example == {"text": library.corpus(split)}


@pytest.mark.parametrize("split", SPLITS)
def test_the_text_is_that_of_the_files_in_their_order(split):
  text = b"".join((LIBRARY / path).read_bytes() for path in library.FILES[split])
  if not text.isascii():
    pytest.skip("a file of this Python is not plain ASCII, so the text differs from it")
  assert library.corpus(split) == text


@pytest.mark.skipif(sys.version_info[:3] != (3, 11, 7), reason="the hashes are those of Python 3.11.7")
@pytest.mark.parametrize("split", SPLITS)
def test_the_hash_is_that_of_python_3_11_7(builder, split):
  assert library.sha256(split) == builder.info.metadata["sha256"][split] == SHA256_OF_3_11_7[split]
  assert hashlib.sha256(library.corpus(split)).hexdigest() == SHA256_OF_3_11_7[split]


@pytest.mark.parametrize("split", SPLITS)
def test_the_text_is_ascii_without_carriage_returns(split):
  text = library.corpus(split)
  assert text.isascii()
  assert b"\r" not in text


def test_the_splits_have_90_5_and_5_percent_of_3_megabytes():
  sizes = {split: len(library.corpus(split)) for split in SPLITS}
  total = sum(sizes.values())
  assert total == pytest.approx(3.0e6, rel=0.05)
  assert [round(100 * sizes[split] / total) for split in SPLITS] == [90, 5, 5]


def test_no_module_is_in_two_splits_and_no_file_is_there_twice():
  train, valid, test = (_modules(split) for split in SPLITS)
  assert not train & valid
  assert not train & test
  assert not valid & test
  files = [path for split in SPLITS for path in library.FILES[split]]
  assert len(files) == len(set(files))


def test_all_modules_are_ones_of_the_standard_library():
  assert set().union(*map(_modules, SPLITS)) <= sys.stdlib_module_names


def test_the_version_is_that_of_the_python_that_runs(builder):
  assert str(builder.version) == ".".join(map(str, sys.version_info[:3]))
  assert pathlib.Path(builder.data_dir).name == str(builder.version)


def test_what_another_python_prepared_is_not_opened(builder, monkeypatch):
  monkeypatch.setattr(library.Builder, "VERSION", tfds.core.Version("3.10.99"))
  assert builder.info.splits
  assert not library.Builder().info.splits


def test_text_of_a_patched_python_of_the_same_version_is_refused(tmp_path, monkeypatch):
  library.Builder(data_dir=str(tmp_path)).download_and_prepare()
  assert library.Builder(data_dir=str(tmp_path)).info.splits
  monkeypatch.setitem(library.FILES, "test", library.FILES["test"][1:])
  with pytest.raises(DataError, match=r"python_library.* holds the text of another Python .*; delete it$") as caught:
    library.Builder(data_dir=str(tmp_path))
  assert str(tmp_path) in str(caught.value)


def test_a_file_that_this_python_lacks_is_named_in_one_line(monkeypatch):
  monkeypatch.setitem(library.FILES, "valid", ("zoneinfo/__init__.py", "zoneinfo/_missing.py"))
  with pytest.raises(DataError, match=r"this Python has no readable \S*_missing\.py \(No such file") as caught:
    sources.open_builder("python_library")
  assert "\n" not in str(caught.value)


def test_other_characters_and_line_ends_of_a_later_release_become_plain_ones(tmp_path, monkeypatch):
  (tmp_path / "late.py").write_bytes("# Łukasz\r\npass\r\n".encode())
  monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
  monkeypatch.setitem(library.FILES, "test", ("late.py",))
  assert library.corpus("test") == b"# ?ukasz\npass\n"
