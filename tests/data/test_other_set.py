"""A test on another set than the training's: which number comes out, what says so, and which sets do not go together."""

import json
import re
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from dlsuite import catalog, checks, modes
from dlsuite.data import other_set, sources
from dlsuite.errors import ConfigError, DataError
from dlsuite.main import main
from launch import data as launch_data

RUN = ["--config=experiments/vision/lenet5.py:smoke", "--config.strategy.kind=cpu", "--config.analyses=()",
       "--config.callbacks.tensorboard=false", "--config.train.steps=20"]


def write(root, arrays, classes="0123456789"):
  """Writes images as `<root>/<label>/<place>.png`."""
  for i, (image, label) in enumerate(zip(arrays["image"], arrays["label"], strict=True)):
    path = root / classes[label] / f"{i:04}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


@pytest.fixture(scope="module")
def arrays():
  """{split: the embedded digits}."""
  builder = sources.open_builder("optical_digits")
  return {split: tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def scans(arrays, tmp_path_factory):
  """The first half of the embedded test scans as files, beside some of the training's."""
  root = tmp_path_factory.mktemp("scans")
  write(root / "train", {word: values[:60] for word, values in arrays["train"].items()})
  write(root / "test", {word: values[:200] for word, values in arrays["test"].items()})
  return root


@pytest.fixture(scope="module")
def run(scans, tmp_path_factory):
  """A run that was tested on the files: its folder and the words of its command."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  words = [*RUN, "--config.data.test_name=folder", f"--config.data.folder={scans}", f"--workdir={workdir}"]
  assert main(words) == 0
  return workdir, words


def printed(text):
  """Returns {metric: the first number beside it} of a printed table."""
  return {name: float(value) for name, value in re.findall(r"^(\w+) +([\d.]+)", text, re.MULTILINE)}


def test_a_run_is_tested_on_the_other_set_and_its_record_says_so(run, capsys):
  workdir, words = run
  result = json.loads((workdir / "result.json").read_text())
  assert re.fullmatch(r"optical_digits/1\.0\.0, tested on folder/\w{12}/1\.0\.0", result["data"])
  assert main([*words, "--mode=evaluate"]) == 0
  shown = capsys.readouterr().out
  assert "lenet5, test split of folder, weights" in shown and "200 examples" in shown
  assert printed(shown)["error"] == pytest.approx(result["test"]["error"], abs=1e-4)
  # The files are the first 200 of the set's own test scans: the same weights make the same of them.
  own = [*RUN, "--config.data.test=test[:200]", f"--workdir={workdir}", "--mode=evaluate"]
  assert main(own) == 0
  again = printed(capsys.readouterr().out)
  assert {name: again[name] for name in ("loss", "error")} == pytest.approx(
    {name: result["test"][name] for name in ("loss", "error")}, abs=2e-4)
  assert main([*words, "--mode=evaluate", "--split=valid"]) == 0  # that is of the training's set
  shown = capsys.readouterr().out
  assert "valid split, weights" in shown
  assert printed(shown)["error"] == pytest.approx(result["valid"]["error"], abs=1e-4)


def test_predictions_are_of_the_other_set(run):
  workdir, words = run
  assert main([*words, "--mode=predict"]) == 0
  assert len((workdir / "predictions_test.csv").read_text().splitlines()) == 1 + 200
  (workdir / "predictions_test.csv").unlink()


def test_runs_together_are_asked_about_the_first_ones_set(run, tmp_path, capsys):
  _, words = run
  plain = [*RUN, "--config.seed=1", f"--workdir={tmp_path / 'plain'}"]
  assert main(plain) == 0
  capsys.readouterr()
  assert main([*words, "--mode=evaluate", f"--ensemble={tmp_path / 'plain'}"]) == 0
  assert "2 runs together, test split of folder" in capsys.readouterr().out
  assert main([*plain, "--mode=evaluate", f"--ensemble={run[0]}"]) == 0
  assert "2 runs together, test split\n" in capsys.readouterr().out


def test_what_writes_into_a_runs_folder_is_not_tested_on_another_set(run, capsys):
  workdir, _ = run
  for mode in ("predict", "analyse", "train"):
    assert main([*RUN, f"--workdir={workdir}", f"--mode={mode}", "--config.analyses=('mistakes',)"]) == 2
    assert "another config: data.folder" in capsys.readouterr().err


def test_a_dry_run_tells_both_sets_and_the_size_of_the_other_ones_split(run, capsys):
  _, words = run
  assert main([*words, "--mode=describe"]) == 0
  shown = capsys.readouterr().out
  assert re.search(r"data: optical_digits/1\.0\.0, tested on folder/", shown)
  assert re.search(r"valid +valid +200\n *test +test +200\n", shown)


def config_of(**options):
  config = catalog.load("experiments/vision/lenet5.py:smoke").copy_and_resolve_references().unlock()
  config.update_from_flattened_dict(options)
  return config


def test_images_of_another_shape_are_refused_with_what_makes_them_alike(strategy, arrays, tmp_path):
  grey, labels = arrays["test"]["image"][:100], arrays["test"]["label"][:100]
  for split in ("train", "test"):
    part = slice(0, 50) if split == "train" else slice(50, 100)
    write(tmp_path / split, {"image": np.repeat(grey[part], 3, -1), "label": labels[part]})
  given = {"data.test_name": "folder", "data.folder": str(tmp_path)}
  with pytest.raises(DataError, match=r"the image of an example is uint8 \[32, 32, 3\], that of data\.name='optical_digits' "
                                      r"uint8 \[32, 32, 1\]; data\.resize, data\.crop, data\.channels make images alike"):
    modes.task_of(config_of(**given), strategy)
  modes.task_of(config_of(**given | {"data.channels": 1}), strategy)


def test_classes_of_other_names_are_refused_though_there_are_as_many(strategy, arrays, tmp_path):
  write(tmp_path / "train", arrays["test"], classes="abcdefghij")
  config = config_of(**{"data.test_name": "folder", "data.folder": str(tmp_path), "data.test": "train"})
  with pytest.raises(DataError, match=r"data\.test_name='folder': its label calls class 0 'a', that of "
                                      r"data\.name='optical_digits' '0': a test needs the same classes in the same order"):
    modes.task_of(config, strategy)


def test_a_set_without_the_feature_is_refused(strategy):
  with pytest.raises(DataError, match=r"'moving_digits' has no feature 'image', which data\.features\.image takes of "
                                      r"data\.name='optical_digits'; it has: video, label, digit"):
    modes.task_of(config_of(**{"data.test_name": "moving_digits"}), strategy, prepare=False)


def test_variants_of_one_set_may_not_share_a_split_of_the_training():
  builder = sources.open_builder("optical_digits")
  variant = types.SimpleNamespace(name=builder.name, info=builder.info)
  data = config_of(**{"data.test_name": "optical_digits:other"}).data
  other_set.check(builder, variant, data)
  data.test = "train[:10]"
  with pytest.raises(DataError, match=r"are variants of optical_digits: both read its split 'train'"):
    other_set.check(builder, variant, data)


def test_the_same_set_by_its_own_name_is_no_other_set(strategy):
  task = modes.task_of(config_of(**{"data.test_name": "optical_digits"}), strategy)
  assert task.data_identity == "optical_digits/1.0.0"
  with pytest.raises(DataError, match="share 197 examples"):
    modes.task_of(config_of(**{"data.test_name": "optical_digits", "data.test": "train[1000:]"}), strategy)


def test_a_split_of_the_other_set_must_be_named_and_may_be_its_train(strategy):
  with pytest.raises(ConfigError, match=r"data\.test_name='folder' but data\.test is empty"):
    checks.check(config_of(**{"data.test_name": "folder", "data.folder": "x", "data.test": ""}))
  checks.check(config_of(**{"data.test_name": "digit_halves", "data.test": "train"}))
  with pytest.raises(ConfigError, match="reads the test split 'train'"):
    checks.check(config_of(**{"data.test": "train"}))


def test_both_sets_of_an_experiment_are_prepared_for_its_machines():
  config = config_of(**{"data.test_name": "mnist"})
  assert launch_data.names({"": config, "second": config_of()}) == ["mnist", "optical_digits"]


@pytest.mark.parametrize("variant", ["matched-frequency", "threshold-0.7", "topimages"])
def test_imagenet_v2_has_the_thousand_classes_of_imagenet_in_the_same_order(variant, tmp_path):
  imagenet, v2 = (sources.open_builder(name, prepare=False) for name in ("imagenet2012", f"imagenet_v2/{variant}"))
  names = imagenet.info.features["label"].names
  assert v2.info.features["label"].names == names == sorted(names)  # by WordNet's numbers
  assert (len(names), names[0], names[-1]) == (1000, "n01440764", "n15075141")  # a tench and toilet tissue
  # Its archives have a folder a class, called by the place in that order.
  (tmp_path / "999").mkdir()
  (tmp_path / "999/one.jpeg").write_bytes(b"")
  ((_, example),) = v2._generate_examples(str(tmp_path))
  assert example["label"] == 999
  data = config_of(**{"data.name": "imagenet2012", "data.test_name": v2.info.full_name}).data
  other_set.check(imagenet, v2, data)
