"""Finding data sets and splits. The facts about MNIST (60,000 and 10,000 images) are LeCun's own."""

import pytest
import tensorflow_datasets as tfds

from dlsuite.data import sources
from dlsuite.errors import DataError


@pytest.fixture(scope="module")
def digits():
  return sources.open_builder("optical_digits")


def test_the_embedded_digits_are_the_1797_scans_in_three_splits(digits):
  sizes = [sources.num_examples(digits, split, "data.train") for split in ("train", "valid", "test")]
  assert sizes == [1197, 200, 400]
  assert sources.num_examples(digits, "train+valid+test", "data.train") == 1797


def test_a_split_string_is_read_as_tfds_reads_it(digits):
  assert sources.split_ranges(digits, "train[:10%]+test[5:7]", "data.train") == [("train", 0, 120), ("test", 5, 7)]


def test_carved_splits_are_disjoint_and_together_whole(digits):
  sources.check_disjoint(digits, {"train": "train[:90%]", "valid": "train[90%:]", "test": "test"})
  first, last = (sources.num_examples(digits, split, "data.train") for split in ("train[:90%]", "train[90%:]"))
  assert first + last == 1197


@pytest.mark.parametrize(("valid", "shared"), [("train[1000:]", 197), ("train[:1]", 1), ("valid+train[10:20]", 10)])
def test_splits_that_share_examples_are_refused_with_their_number(digits, valid, shared):
  with pytest.raises(DataError, match=f"share {shared} examples"):
    sources.check_disjoint(digits, {"train": "train", "valid": valid, "test": "test"})


def test_a_batch_as_large_as_the_split_is_allowed_and_one_more_is_not(digits):
  sources.check_batch(digits, "train", 1197)
  with pytest.raises(DataError, match=r"data\.batch_size=1198 is larger than data\.train='train': 1197 examples"):
    sources.check_batch(digits, "train", 1198)


def test_a_feature_is_found_by_the_tasks_word(digits):
  assert sources.feature(digits, {"label": "label"}, "label", tfds.features.ClassLabel).num_classes == 10


@pytest.mark.parametrize(("features", "line"), [
  ({}, r"data.features.label is missing: the task needs of optical_digits a ClassLabel \(label\)"),
  ({"label": "lable"}, r"data.features.label='lable' is not a feature of optical_digits \(did you mean 'label'\?\)"),
  ({"label": "image"}, r"data.features.label='image' of optical_digits is a Image; the task needs a ClassLabel \(label\)"),
])
def test_a_feature_that_cannot_be_used_is_named_with_those_that_can(digits, features, line):
  with pytest.raises(DataError, match=line):
    sources.feature(digits, features, "label", tfds.features.ClassLabel)


def test_without_prepare_a_foreign_set_is_opened_and_nothing_is_written(tmp_path, monkeypatch):
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
  builder = sources.open_builder("mnist", prepare=False)
  assert builder.info.features["label"].num_classes == 10
  assert not builder.info.splits
  assert list(tmp_path.iterdir()) == []


def test_a_proxy_is_the_first_machine_to_ask_for_a_network(monkeypatch):
  for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
    monkeypatch.delenv(name, raising=False)
  assert sources._probed_address() == ("storage.googleapis.com", 443)
  monkeypatch.setenv("https_proxy", "http://user:word@proxy.example:3128")
  assert sources._probed_address() == ("proxy.example", 3128)
  monkeypatch.setenv("no_proxy", "googleapis.com")
  assert sources._probed_address() == ("storage.googleapis.com", 443)


def test_name_look_ups_fail_at_once_only_while_there_is_no_network():
  import socket

  real = socket.getaddrinfo
  with sources._failing_fast(), pytest.raises(sources._NoNetworkError, match=r"no\.example"):
    socket.create_connection(("no.example", 443))
  assert socket.getaddrinfo is real
