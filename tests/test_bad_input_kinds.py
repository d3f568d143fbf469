"""Bad input to the other kinds of learning: one line on stderr, exit code 2, nothing written; what diverges exits with 3."""

import re
import sys

import pytest

from dlsuite.main import main
from tests.test_bad_input import ROOT, snapshot, the_line

CPU = "--config.strategy.kind=cpu"
EXPERIMENTS = {
  "autoencoder": "experiments/unsupervised/autoencoder.py:smoke", "denoising": "experiments/unsupervised/denoising.py:smoke",
  "diabetes": "experiments/foundations/diabetes.py:smoke", "dqn": "experiments/reinforcement/dqn.py:smoke",
  "gan": "experiments/unsupervised/gan.py:smoke", "lenet": "experiments/vision/lenet5.py:smoke",
  "detector": "experiments/vision/detector.py:smoke", "lstm": "experiments/sequence/lstm.py:smoke",
  "vae": "experiments/unsupervised/vae.py:smoke",
}
IMAGES = "--config.data.name=optical_digits --config.data.features.sample=image "
# Seen without TensorFlow: an experiment, overrides, and all that the line must say.
AT_ONCE = {
  "an_empty_prompt": ("lstm", "--mode=predict --prompt=", "--prompt is empty"),
  "an_adversarial_loss_misspelt": ("gan", "--config.loss.adversarial=non_saturatin", "loss.adversarial='non_saturatin'",
                                   "'non_saturating'"),
  "a_reconstruction_misspelt": ("vae", "--config.loss.reconstruction=bernouli", "loss.reconstruction='bernouli'",
                                "'bernoulli'"),
  "a_quality_misspelt": ("gan", "--config.evaluate.quality=rings", "evaluate.quality='rings'", "modes"),
  "a_flip_misspelt": ("detector", "--config.data.augment.flip=horizontl", "data.augment.flip='horizontl'", "'horizontal'"),
  "a_network_for_classes_as_detector": ("detector", "--config.model.name=vision.lenet5", "model.name='vision.lenet5'",
                                        "task='detection'", "num_anchors"),
  "all_pixels_hidden": ("denoising", "--config.denoise.data.corrupt=1", "data.corrupt=1.0", "below 1"),
  "a_discount_above_one": ("dqn", "--config.agent.gamma=1.5", "agent.gamma=1.5", "from 0 to 1"),
  "windows_of_no_step": ("dqn", "--config.agent.n_step=0", "agent.n_step=0", "above 0"),
  "a_penalty_below_zero": ("gan", "--config.loss.r1=-1", "loss.r1=-1.0", "0 or more"),
  "a_temperature_of_zero": ("lstm", "--config.generate.temperature=0", "generate.temperature=0.0", "above 0"),
  "an_option_of_another_task": ("vae", "--config.agent.gamma=0.9", "--config.agent.gamma", "its sections"),
  "a_network_for_images_as_language_model": ("lstm", "--config.model.name=vision.lenet5", "model.name='vision.lenet5'",
                                             "task='language_model'", "vocabulary_size"),
  "a_gans_networks_as_autoencoder": ("autoencoder", "--config.model.name=gan_mlp", "model.name='gan_mlp'", "task='autoencoder'",
                                     "input_shape"),
  "an_autoencoder_as_classifier": ("lenet", "--config.model.name=autoencoder", "task='classification'", "num_outputs"),
  "a_stage_that_is_not_there": ("denoising", "--config.classify.init_from=stage:denoize", "classify.init_from='stage:denoize'",
                                "'denoise'"),
}
# Seen with the data, the environment or the networks.
LATE = {
  "a_size_that_does_not_divide_into_cells": ("detector", "--config.data.size=(100,90)", "data.size=(100, 90)", "divide by 8",
                                             "nearest: (96, 88)"),
  "more_boxes_than_places_for_them": ("detector", "--config.data.max_boxes=2", "data.max_boxes=2", "give at least 6"),
  "a_class_as_box": ("detector", "--config.data.features.boxes=objects/label", "data.features.boxes='objects/label'",
                     "boxes of 4 numbers"),
  "an_environment_misspelt": ("dqn", "--config.environment.name=CartPol-v1", "environment.name='CartPol-v1'", "'CartPole-v1'"),
  "continuous_actions": ("dqn", "--config.environment.name=Pendulum-v1", "environment.name='Pendulum-v1'", "continuous actions",
                         "finite number"),
  "epochs_where_there_are_none": ("dqn", "--config.train.epochs=2", "train.epochs=2", "task='dqn'", "train.steps"),
  "more_random_steps_than_the_memory_holds": ("dqn", "--config.replay.capacity=300 --config.replay.start=1000",
                                              "replay.start=1000", "replay.capacity=300"),
  "dropout_that_leaves_nothing": ("gan", IMAGES + "--config.model.name=vision.maxout_gan --config.model.dropout=1.0 "
                                  "--config.evaluate.quality=parzen", "model.dropout=1.0", "at least 0 and below 1"),
  "a_memory_too_small_for_its_windows": ("dqn", "--config.replay.capacity=24", "replay.capacity=24", "at least 32"),
  "sizes_that_differ_from_stage_to_stage": ("denoising", "--config.classify.model.width=400", "classify.init_from", "(64, 500)",
                                            "(64, 400)"),
  "a_network_that_the_stage_has_not": ("denoising", "--config.classify.init_from=stage:denoise.encodr", "'encodr'",
                                       "'encoder'"),
  "images_judged_as_a_ring": ("gan", IMAGES + "--config.model.name=vision.dcgan", "evaluate.quality='modes'", "gaussian_ring"),
  "images_that_two_strides_do_not_divide": ("gan", IMAGES + "--config.model.name=vision.dcgan --config.evaluate.quality=parzen "
                                            "--config.data.resize=6", "model.name='vision.dcgan'", "data.resize=6",
                                            "divide by 4"),
  "a_network_for_images_on_points": ("gan", "--config.model.name=vision.dcgan", "sample_shape=(2,)", "makes images"),
  "samples_misspelt": ("gan", "--config.data.features.sample=pont", "data.features.sample='pont'", "'point'"),
  "labels_as_samples": ("gan", "--config.data.features.sample=mode", "data.features.sample='mode'", "a vector"),
  "one_sample": ("gan", "--config.evaluate.samples=1", "evaluate.samples=1", "at least 2"),
  "kernels_without_a_validation_split": ("gan", "--config.evaluate.quality=parzen --config.data.valid= "
                                         "--config.checkpoint.select=last", "data.valid", "evaluate.quality='parzen'"),
  "a_metric_that_a_gan_has_not": ("gan", "--config.checkpoint.monitor=val_mode", "checkpoint.monitor='val_mode'",
                                  "'val_modes'"),
  "a_window_longer_than_the_text": ("lstm", "--config.data.window=1000000", "data.batch_size=16 x data.window=1000000",
                                    "2,706,963 bytes" if sys.version_info[:3] == (3, 11, 7) else "bytes"),
  "a_text_misspelt": ("lstm", "--config.data.features.text=txt", "data.features.text='txt'", "'text'"),
  "no_units": ("lstm", "--config.model.units=0", "model.units=0", "at least 1"),
  "a_plain_encoder_for_a_variational_autoencoder": ("vae", "--config.model.variational=false", "task='vae'",
                                                    "model.variational=True"),
  "a_variational_encoder_for_a_plain_autoencoder": ("autoencoder", "--config.model.variational=true", "task='autoencoder'",
                                                    "model.variational=False"),
  "a_vector_as_target": ("diabetes", "--config.data.features.target=features", "data.features.target='features'", "one number"),
  "a_number_as_features": ("diabetes", "--config.data.features.features=target", "data.features.features='target'",
                           "numbers in a row"),
}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
  """The repository's root, one process, and no compiled files."""
  monkeypatch.chdir(ROOT)
  monkeypatch.delenv("TF_CONFIG", raising=False)
  monkeypatch.setattr(sys, "dont_write_bytecode", True)


def refused(folder, capfd, experiment, arguments):
  """Returns the line with which a command is refused that must write nothing."""
  before = snapshot(folder)
  code = main([f"--config={experiment}", f"--workdir={folder / 'run'}", CPU, *arguments.split()])
  line = the_line(capfd.readouterr().err)
  assert code == 2
  assert snapshot(folder) == before
  return line


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_wrong_config_is_answered_by_one_line_before_tensorflow_is_imported(name, tmp_path, capfd, monkeypatch):
  monkeypatch.setattr("dlsuite.main.import_tensorflow", lambda: pytest.fail("TensorFlow was imported too early"))
  experiment, arguments, *says = AT_ONCE[name]
  line = refused(tmp_path, capfd, EXPERIMENTS[experiment], arguments)
  for words in says:
    assert words in line


@pytest.mark.parametrize("name", LATE)
def test_what_does_not_fit_the_data_or_the_networks_is_answered_by_one_line_and_nothing_is_written(name, tmp_path, capfd):
  experiment, arguments, *says = LATE[name]
  if experiment == "dqn":
    pytest.importorskip("gymnasium", reason="Gymnasium comes with the extra `rl`")
  if experiment == "detector":
    pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")
  line = refused(tmp_path, capfd, EXPERIMENTS[experiment], arguments)
  for words in says:
    assert words in line


def test_without_gymnasium_the_extra_is_named(tmp_path, capfd, monkeypatch):
  monkeypatch.setitem(sys.modules, "gymnasium", None)
  line = refused(tmp_path, capfd, EXPERIMENTS["dqn"], "")
  assert "environment.name='CartPole-v1' needs the extra `rl`: pip install -e .[rl]" in line


def test_a_film_of_an_environment_that_cannot_be_drawn_is_refused_before_the_training(tmp_path, capfd, monkeypatch):
  pytest.importorskip("gymnasium", reason="Gymnasium comes with the extra `rl`")
  monkeypatch.setitem(sys.modules, "pygame", None)
  line = refused(tmp_path, capfd, EXPERIMENTS["dqn"], "--config.analyses=('episode',)")
  for words in ("analyses", "'episode'", "environment.name='CartPole-v1' cannot be drawn", "--config.analyses"):
    assert words in line


def test_a_model_without_encoder_and_decoder_is_no_autoencoder(tmp_path, capfd):
  path = tmp_path / "mine.py"
  path.write_text("from dlsuite.config import defaults, finish\ndef get_config(arg=''):\n"
                  "  c = defaults('mine', 'vae'); c.data.name = 'optical_digits'; c.data.valid = 'valid'; c.train.steps = 4\n"
                  "  c.data.features = {'image': 'image'}; c.model.name = 'mlp'; c.model.num_outputs = 3\n  return finish(c)\n")
  line = refused(tmp_path, capfd, path, "")
  assert "model.name='mlp' is no model for task='vae'" in line


# -- a text to go on with


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
  """The folder of a tiny language model's run, and the command that made it."""
  folder = tmp_path_factory.mktemp("language")
  command = [f"--config={ROOT / EXPERIMENTS['lstm']}", f"--workdir={folder / 'run'}", CPU, "--config.model.units=8",
             "--config.analyses=()", "--config.callbacks.tensorboard=false", "--config.generate.length=30"]
  assert main(command) == 0
  return folder, command


def test_a_language_model_goes_on_with_a_prompt_and_writes_nothing_else(language_model, capfd):
  folder, command = language_model
  before = snapshot(folder)
  assert main([*command, "--mode=predict", "--prompt=def main("]) == 0
  out, err = capfd.readouterr()
  assert err == ""
  first, text = out.split("\n", 1)
  assert first == "lstm, weights of step 4:"
  assert text.startswith("def main(")
  assert len(text) == len("def main(") + 30 + len("\n")
  assert snapshot(folder) == before


@pytest.mark.parametrize(("prompt", "says"), [("café", "--prompt has 'é',"), ("a\x00b", r"--prompt has '\x00',"),
                                              ("", "--prompt is empty")])
def test_a_prompt_that_the_language_model_cannot_read_is_refused(language_model, capfd, prompt, says):
  folder, command = language_model
  before = snapshot(folder)
  assert main([*command, "--mode=predict", f"--prompt={prompt}"]) == 2
  line = the_line(capfd.readouterr().err)
  assert says in line
  # 96 in Python 3.11.7; some releases' sources hold tabs and form feeds too.
  assert re.search(r"not among the 9\d bytes of python_library: .*'\\n', .*' '-'~'", line) or not prompt
  assert snapshot(folder) == before


def test_a_prompt_for_what_is_no_language_model_is_refused(tmp_path, capfd):
  command = [f"--config={EXPERIMENTS['diabetes']}", f"--workdir={tmp_path / 'run'}", CPU, "--config.analyses=()",
             "--config.callbacks.tensorboard=false"]
  assert main(command) == 0
  before = snapshot(tmp_path)
  assert main([*command, "--mode=predict", "--prompt=x"]) == 2
  line = the_line(capfd.readouterr().err)
  assert "--prompt is for language models: task='regression' takes none" in line
  assert snapshot(tmp_path) == before


# -- trainings that go wrong


@pytest.mark.parametrize(("experiment", "overrides", "says"), [
  ("gan", "--config.optimizer.learning_rate=1e30", "the discriminator (seen in the generator_loss) became NaN or"),
  ("gan", "--config.optimizer.max_norm=1e-6 --config.optimizer.ema=0", "the generator collapsed: its samples differ by"),
  # Nothing is evaluated after the only step, whose penalty makes every kernel infinite.
  ("autoencoder", "--config.train.steps=1 --config.data.valid= --config.checkpoint.select=last --config.optimizer.name=sgd "
   "--config.optimizer.learning_rate=1e3 --config.optimizer.l2=1e37", "a weight of the encoder became NaN or infinite"),
], ids=["a_loss_that_is_not_finite", "samples_that_are_all_the_same", "a_weight_that_is_not_finite"])
def test_the_network_that_went_wrong_is_named_and_the_exit_code_is_3(tmp_path, capfd, experiment, overrides, says):
  code = main([f"--config={EXPERIMENTS[experiment]}", f"--workdir={tmp_path / 'run'}", CPU, *overrides.split()])
  line = the_line(capfd.readouterr().err)
  assert code == 3
  assert says in line
  assert "no checkpoint was written before it" in line
