"""Autoencoders: the linear one against PCA, the losses against formulas, and what corruption hides."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from dlsuite import analysis, catalog, modes
from dlsuite.data import randomness
from dlsuite.runs.console import Console
from dlsuite.runs.record import Record
from dlsuite.training import checkpoints


def config_of(argument="smoke", **options):
  config = catalog.load(f"experiments/unsupervised/autoencoder.py:{argument}").copy_and_resolve_references().unlock()
  config.strategy.kind, config.callbacks.tensorboard, config.analyses = "cpu", False, ()
  config.update_from_flattened_dict(options)
  return config


def built(strategy, **options):
  task = modes.task_of(config_of(**options), strategy)
  task.build(4, 0)
  return task


@pytest.mark.parametrize("code", [2, 5])
def test_a_linear_autoencoder_finds_the_subspace_of_pca(strategy, tmp_path, code):
  config = config_of(f"linear,code={code}", **{"optimizer.learning_rate": 0.03, "evaluate.every_epochs": 200.0})
  record = Record(str(tmp_path / "run"), config)
  result = modes.train(config, strategy, record, Console(False))
  train, test = (modes.task_of(config, strategy).arrays(split)["image"].reshape(-1, 64) / 255.0 for split in ("train", "test"))
  pca = PCA(code).fit(train)
  chosen = checkpoints.read(next((tmp_path / "run/checkpoints").glob("selected_*.npz"))).arrays
  (kernel,) = (value for name, value in chosen.items() if name.startswith("network.decoder") and value.shape == (code, 64))
  assert np.degrees(subspace_angles(kernel.T, pca.components_.T)).max() < 1.5
  expected = np.square(test - pca.inverse_transform(pca.transform(test))).sum(1).mean()
  assert result["test"]["squared_error"] == pytest.approx(expected, rel=0.002)


@pytest.fixture
def images():
  return np.random.default_rng(0).integers(256, size=(5, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["bernoulli", "squared"])
def test_the_loss_of_an_image_is_the_sum_over_its_pixels(strategy, images, kind):
  task = built(strategy, **{"loss.reconstruction": kind})
  batch = {"image": tf.constant(images)}
  outputs = task.outputs(batch, False)
  losses, metrics = task.losses(outputs, batch, False)
  pixels, found = images / 255.0, outputs["reconstruction"].numpy()
  squared = np.square(pixels - found).sum((1, 2, 3))
  np.testing.assert_allclose(metrics["squared_error"], squared, rtol=1e-5)
  logits = outputs["decoded"].numpy()
  nats = 64 * keras.losses.binary_crossentropy(pixels.reshape(5, 64), logits.reshape(5, 64), from_logits=True)
  np.testing.assert_allclose(losses, nats if kind == "bernoulli" else squared, rtol=1e-5)
  np.testing.assert_array_equal(metrics["loss"], losses)


def corrupted(task, epoch, examples):
  """Returns which pixels of some examples the encoder sees in an epoch."""
  example = tf.constant(examples, tf.int64)
  batch = {"image": tf.zeros([len(examples), 8, 8, 1], tf.uint8)}
  return task.augment(batch, lambda draw: randomness.uniform(0, tf.constant(epoch, tf.int64), example, draw))["kept"].numpy()


def test_corruption_hides_its_share_of_the_pixels_anew_in_each_epoch_and_example(strategy):
  task = built(strategy, **{"data.corrupt": 0.3})
  kept = corrupted(task, 0, range(500))
  assert set(np.unique(kept)) == {0.0, 1.0}
  assert kept.mean() == pytest.approx(0.7, abs=5 * (0.21 / kept.size) ** 0.5)
  assert np.abs(kept.mean(0) - 0.7).max() < 5 * (0.21 / 500) ** 0.5  # no pixel more than another
  assert len(np.unique(kept.reshape(500, -1), axis=0)) == 500
  assert (corrupted(task, 1, range(500)) != kept).any((1, 2, 3)).all()
  np.testing.assert_array_equal(corrupted(task, 0, [7, 3]), kept[[7, 3]])


def test_the_encoder_sees_hidden_pixels_as_black_and_the_loss_asks_for_them(strategy, images):
  task = built(strategy, **{"data.corrupt": 0.5})
  kept = np.random.default_rng(1).integers(2, size=images.shape)
  of_corrupted = task.outputs({"image": tf.constant(images), "kept": tf.constant(kept, tf.float32)}, True)
  of_masked = task.outputs({"image": tf.constant(images * kept.astype(np.uint8))}, True)
  np.testing.assert_allclose(of_corrupted["code"], of_masked["code"], atol=1e-6)
  losses, _ = task.losses(of_corrupted, {"image": tf.constant(images), "kept": tf.constant(kept, tf.float32)}, True)
  expected = np.square(images / 255.0 - of_corrupted["reconstruction"]).sum((1, 2, 3))
  np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_nothing_is_hidden_in_an_evaluation(strategy):
  clean, denoising = (built(strategy, **{"data.corrupt": share}) for share in (0.0, 0.5))
  assert denoising.evaluate("valid") == clean.evaluate("valid")


def test_a_picture_of_the_film_has_two_rows_also_where_there_are_few_images(strategy):
  task = built(strategy, **{"data.valid": "valid[:5]"})
  pixels = task.arrays("valid")["image"][4].repeat(7, 0).repeat(7, 1)  # 8 pixels a side, drawn as 56
  frame = task.frame()
  assert frame.shape == (2 * 57 + 1, 5 * 57 + 1, 3)
  np.testing.assert_array_equal(frame[1:57, -57:-1, :1], 255 - pixels)


def test_no_more_images_are_read_for_the_film_than_it_shows(strategy, images, monkeypatch):
  task, asked = built(strategy), []
  monkeypatch.setattr(task, "arrays", lambda split, most: asked.append((split, most)) or {"image": images})
  task.frame()
  assert asked == [("valid", 16)]


def test_the_codes_are_drawn_also_where_nothing_else_is_asked_for(strategy, tmp_path):
  analysis.run(("codes",), built(strategy), tmp_path, Console(False))
  assert (tmp_path / "codes.png").exists()


def test_codes_are_decoded_to_the_reconstructions_that_predict_returns(strategy):
  task = built(strategy, **{"loss.reconstruction": "bernoulli"})
  found = task.predict("test")
  np.testing.assert_allclose(task.decode(found["code"]), found["reconstruction"], atol=1e-6)
  assert found["image"].shape == (400, 8, 8, 1) and found["label"].shape == (400,)
