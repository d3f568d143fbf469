"""A user's own folder of images: what is read, converted, counted and refused."""

import os
import re
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite import checks, flags
from dlsuite.data import folder, pipeline
from dlsuite.errors import ConfigError, DataError
from dlsuite.tasks.classification import Classification
from tests.conftest import ROOT

RANDOM = np.random.default_rng(0)


def image(height=12, width=10, channels=3):
  return RANDOM.integers(0, 256, (height, width, channels), np.uint8)


def write(root, name, pixels, encode=tf.io.encode_png):
  path = root / name
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(encode(pixels).numpy())


@pytest.fixture
def pets(tmp_path, monkeypatch):
  """Two classes: 4 + 3 to train on, 1 + 1 to test on, of two sizes."""
  root = tmp_path / "pets"
  for i in range(4):
    write(root, f"train/cat/{i}.png", image())
  for i in range(3):
    write(root, f"train/dog/{i}.jpg", image(8, 9), tf.io.encode_jpeg)
  write(root, "test/cat/9.png", image())
  write(root, "test/dog/9.PNG", image())
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "data"))
  return root


def opened(config, strategy, root, **changes):
  given = {"name": "folder", "folder": str(root), "train": "train", "valid": "", "test": "test", "batch_size": 2, "resize": 0}
  config.data.update(given | changes)
  config.checkpoint.select = "last"
  checks.check(config)
  task = Classification(config, strategy)
  task.open()
  return task


def test_each_image_comes_once_with_the_class_of_its_folder(digits_config, strategy, pets):
  task = opened(digits_config, strategy, pets, resize=8)
  assert (task.num_classes, task.input_shape) == (2, (8, 8, 3))
  assert task.builder.info.features["label"].names == ["cat", "dog"]
  found = task.arrays("train")
  assert np.bincount(found["label"]).tolist() == [4, 3]
  assert next(task.train_batches(0))["image"].shape == (2, 8, 8, 3)
  whole = tfds.as_numpy(task.builder.as_dataset(split="test"))
  expected = {int(label): tf.io.decode_image((pets / f"test/{name}").read_bytes()).numpy()
              for label, name in enumerate(("cat/9.png", "dog/9.PNG"))}
  for example in whole:
    np.testing.assert_array_equal(example["image"], expected[int(example["label"])])


def test_a_folder_is_prepared_once_and_again_when_it_has_changed(digits_config, strategy, pets, tmp_path):
  first = opened(digits_config, strategy, pets, resize=8).data_identity
  assert opened(digits_config, strategy, pets).data_identity == first
  assert len(list((tmp_path / "data/folder").iterdir())) == 1
  write(pets, "train/dog/7.png", image())
  task = opened(digits_config, strategy, pets)
  assert task.data_identity != first
  assert task.builder.info.splits["train"].num_examples == 8


def test_images_of_many_sizes_are_cropped(digits_config, strategy, pets):
  task = opened(digits_config, strategy, pets, crop=4, shorter=6)
  batch = next(task.train_batches(0))
  assert batch["image"].shape == (2, 4, 4, 3)
  assert pipeline.Split.open(task.builder, digits_config, "test").arrays()["image"].shape == (2, 4, 4, 3)


def test_the_recipe_of_a_set_with_other_splits_takes_a_folder_with_the_flags_that_the_readme_names(strategy, pets):
  write(pets, "valid/cat/0.png", image())
  splits = re.search(r"`resnet.py:imagenet`, also `(--config.data.train[^`]*)`", (ROOT / "README.md").read_text())[1].split()
  assert len(splits) == 3
  config = flags.parse(["--config=experiments/vision/resnet.py:imagenet,depth=18", "--config.data.name=folder", *splits,
                        f"--config.data.folder={pets}", "--config.data.batch_size=2", "--workdir=run"]).stages[""]
  task = Classification(config, strategy)
  task.open()
  assert next(task.train_batches(0))["image"].shape == (2, 224, 224, 3)
  assert task.num_classes == 2


def test_images_that_cannot_be_read_are_counted_and_named_and_left_out_only_if_asked(digits_config, strategy, pets, caplog):
  whole = (pets / "train/dog/0.jpg").read_bytes()
  (pets / "train/dog/0.jpg").write_bytes(whole[:len(whole) // 2])
  (pets / "train/cat/2.png").write_bytes(b"not an image")
  (pets / "train/cat/broken.jpg").symlink_to(pets / "nowhere.jpg")
  with pytest.raises(DataError, match=r"3 of 10 images cannot be read: train/cat/2\.png \(neither JPEG nor PNG inside\), "
                                      r"train/cat/broken\.jpg \(No such file or directory\), train/dog/0\.jpg "
                                      r"\(jpeg::Uncompress failed\. Invalid JPEG data .*; .*data\.skip_corrupt=true"):
    opened(digits_config, strategy, pets)
  for _ in range(2):  # said again at each start
    caplog.clear()
    task = opened(digits_config, strategy, pets, skip_corrupt=True)
    assert task.builder.info.splits["train"].num_examples == 5
    assert "Without 3 image(s) that cannot be read: train/cat/2.png" in caplog.text


def test_names_that_are_not_utf8_are_read_and_printed_with_their_bytes(digits_config, strategy, pets, caplog):
  (pets / "train/cat/0.png").rename(pets / "train/cat" / os.fsdecode(b"good\xff.png"))
  (pets / "train/cat" / os.fsdecode(b"bad\xff.png")).write_bytes(b"not an image")
  with pytest.raises(DataError, match=r"1 of 10 images cannot be read: train/cat/bad\\xff\.png \(neither"):
    opened(digits_config, strategy, pets)
  task = opened(digits_config, strategy, pets, skip_corrupt=True, resize=8)
  assert r"train/cat/bad\xff.png" in caplog.text
  assert np.bincount(task.arrays("train")["label"]).tolist() == [4, 3]


def test_a_file_that_two_splits_hold_is_refused_by_name(digits_config, strategy, pets):
  (pets / "test/cat/again.png").write_bytes((pets / "train/cat/2.png").read_bytes())
  with pytest.raises(DataError, match=r"1 image\(s\) .* in another one, too, e\.g\. train/cat/2\.png and test/cat/again\.png"):
    opened(digits_config, strategy, pets)


def test_a_class_of_which_no_training_image_can_be_read_is_refused(digits_config, strategy, pets):
  for path in (pets / "train/dog").iterdir():
    path.write_bytes(b"no image")
  with pytest.raises(DataError, match="train/dog holds no image that can be read"):
    opened(digits_config, strategy, pets, skip_corrupt=True)


def test_grey_images_among_rgb_ones_are_converted_only_if_asked(digits_config, strategy, pets):
  write(pets, "train/cat/grey.png", image(channels=1))
  with pytest.raises(DataError, match=r"1 of 1 channel\(s\), e\.g\. train/cat/grey\.png; 9 of 3 .*data\.channels=3 makes all"):
    opened(digits_config, strategy, pets)
  assert opened(digits_config, strategy, pets, channels=3, resize=8).input_shape == (8, 8, 3)
  assert opened(digits_config, strategy, pets, channels=1, resize=8).arrays("train")["image"].shape == (8, 8, 8, 1)


def test_images_with_transparency_are_converted_only_if_asked(digits_config, strategy, pets):
  write(pets, "test/dog/clear.png", image(channels=4))
  with pytest.raises(DataError, match=r"1 of 4 channel\(s\), e\.g\. test/dog/clear\.png"):
    opened(digits_config, strategy, pets)
  assert opened(digits_config, strategy, pets, channels=3, resize=8).arrays("test")["image"].shape == (3, 8, 8, 3)


def test_images_of_one_size_need_none_given(digits_config, strategy, tmp_path, monkeypatch):
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "data"))
  for name in ("train/a/0.png", "train/b/1.png", "test/b/2.png"):
    write(tmp_path / "same", name, image(5, 6, 1))
  assert opened(digits_config, strategy, tmp_path / "same").input_shape == (5, 6, 1)


@pytest.mark.parametrize(("change", "message"), [
  (lambda root: write(root, "test/bird/0.png", image()), r"test/bird is a class that train has not; train has: cat, dog"),
  (lambda root: (root / "train/bird").mkdir(), r"train/bird holds no image"),
  (lambda root: (root / "train/cat/notes.txt").write_text("x"), r"train/cat/notes\.txt is none of the images that are read"),
  (lambda root: (root / "train" / os.fsdecode(b"bir\xff")).mkdir(), r"the folder '.*/train/bir\\xff' is not UTF-8"),
  (lambda root: (root / "train/bird").symlink_to(root / "nowhere"), "'.*/train/bird' is a link that leads nowhere"),
  (lambda root: (root / "train").rename(root / "trian"), r"has no folder train; it must hold .* it has: test, trian"),
])
def test_folders_of_another_form_are_refused(digits_config, strategy, pets, change, message):
  change(pets)
  with pytest.raises(DataError, match=message):
    opened(digits_config, strategy, pets)


def test_a_folder_in_nobodys_home_is_refused():
  with pytest.raises(DataError, match=r"data\.folder='~nobody-here/pets': ~nobody-here is no user's home folder"):
    folder.open_builder("~nobody-here/pets", 3, skip_corrupt=False)


def test_a_folder_needs_its_name_and_its_path(digits_config, strategy, tmp_path):
  with pytest.raises(DataError, match=r"data\.folder='.*nowhere' is no folder"):
    opened(digits_config, strategy, tmp_path / "nowhere")
  digits_config.data.folder = ""
  with pytest.raises(ConfigError, match=r"data\.folder='' and data\.name='folder': a folder of your own needs both"):
    checks.check(digits_config)


def test_grey_scans_become_rgb_if_asked(digits_config, strategy):
  plain = Classification(digits_config, strategy)
  plain.open()
  images = plain.arrays("valid")["image"]
  digits_config.data.channels = 3
  task = Classification(digits_config, strategy)
  task.open()
  assert task.input_shape == (32, 32, 3)
  np.testing.assert_array_equal(task.arrays("valid")["image"], images.repeat(3, -1))


@pytest.mark.parametrize(("own", "channels"), [(1, 3), (3, 1)])
def test_the_channels_of_videos_are_converted_if_asked_and_others_refused(digits_config, own, channels):
  features = {"image": tfds.features.Tensor(shape=(4, 6, 6, own), dtype=np.uint8)}
  builder = types.SimpleNamespace(name="films", info=types.SimpleNamespace(features=features))
  digits_config.data.update(channels=channels, frames=2, resize=3, features={"image": "image"})
  shape = pipeline.feature_shape(builder, digits_config, "image")
  video = RANDOM.integers(0, 256, (4, 6, 6, own), np.uint8)
  plain, converted = (pipeline.Split(builder, "train", 1, {"image": "image"}, 3, True, frames=2, channels=given).decode(
    {"image": tf.constant(video)})["image"] for given in (0, channels))
  assert shape == tuple(converted.shape) == (2, 3, 3, channels)
  expected = tf.repeat(plain, 3, -1) if channels == 3 else tf.image.rgb_to_grayscale(plain)
  np.testing.assert_array_equal(converted, expected)
  features["image"] = tfds.features.Tensor(shape=(4, 6, 6, 2), dtype=np.uint8)
  with pytest.raises(DataError, match=rf"data\.channels={channels} converts between 1 channel and 3, but image of films has 2"):
    pipeline.feature_shape(builder, digits_config, "image")


def test_three_means_for_grey_images_say_how_to_convert_them(digits_config, strategy):
  digits_config.data.mean = digits_config.data.std = (0.5, 0.5, 0.5)
  task = Classification(digits_config, strategy)
  task.open()
  with pytest.raises(ConfigError, match=r"data\.mean has 3 values but the images have 1 .*; data\.channels=3 converts"):
    task.build_networks()
