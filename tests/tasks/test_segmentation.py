"""Segmentation against scikit-learn's scores, equation 2 of Ronneberger et al. 2015, and pictures worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from dlsuite import catalog, modes
from dlsuite.data import randomness
from dlsuite.errors import ConfigError, DataError
from dlsuite.models.vision import unet
from dlsuite.tasks.segmentation import Segmentation, overlap_tiled

RANDOM = np.random.default_rng(0)


@pytest.fixture
def config():
  found = catalog.load("experiments/vision/unet.py").copy_and_resolve_references()
  found.unlock()
  found.model.base, found.model.depth, found.loss.border_weight = 2, 2, 10.0
  return found


def built(config, strategy):
  task = modes.task_of(config, strategy)
  task.build(1, 0)
  return task


def test_the_scores_of_a_split_are_scikit_learns_over_all_its_pixels(config, strategy):
  task = built(config, strategy)
  labels = RANDOM.integers(2, size=(3, 8, 8)).astype(np.uint8)
  labels[0] = 1  # an image without foreground, whose own ratio would be 0 / 0
  logits = RANDOM.normal(size=(3, 8, 8, 2)).astype("f") + 2 * np.eye(2, dtype="f")[labels]
  batch = {"label": tf.constant(labels[..., None]), "gap": tf.fill([3, 8, 8, 1], tf.constant(255, tf.uint8))}
  _, found = task.losses(tf.constant(logits), batch, False)
  scores = task.summarize({name: float(tf.reduce_mean(value)) for name, value in found.items()})
  truth, guess = labels.ravel(), logits.argmax(-1).ravel()
  assert scores["error"] == pytest.approx(100 * (1 - accuracy_score(truth, guess)), rel=1e-5)
  assert scores["iou"] == pytest.approx(jaccard_score(truth, guess, pos_label=0), rel=1e-5)  # class 0 is the membrane
  assert scores["dice"] == pytest.approx(f1_score(truth, guess, pos_label=0), rel=1e-5)
  assert scores["mean_iou"] == pytest.approx(jaccard_score(truth, guess, average="macro"), rel=1e-5)


def test_the_weight_of_a_pixel_is_equation_2(config, strategy):
  config.loss.class_weights, config.loss.border_weight, config.loss.border_sigma = (3.0, 0.5), 10.0, 5.0
  task = Segmentation(config, strategy)
  task.open()
  distances = np.array([2.0, 6.0, 20.0, 63.5])  # d1 + d2, pixels
  batch = {"label": tf.constant([[[[0], [0], [0], [0], [1]]]], tf.uint8),
           "gap": tf.constant(np.array([*4 * distances, 255]).reshape(1, 1, 5, 1), tf.uint8)}
  wanted = [*(3.0 + 10 * np.exp(-distances**2 / 50)), 0.5]
  np.testing.assert_allclose(task.pixel_weights(batch)[0, 0], wanted, rtol=1e-5)


def test_the_loss_is_the_mean_of_the_weighted_cross_entropies(config, strategy):
  config.loss.border_weight, config.loss.class_weights = 0.0, (2.0, 1.0)
  task = Segmentation(config, strategy)
  task.open()
  labels = RANDOM.integers(2, size=(2, 4, 4, 1)).astype(np.uint8)
  logits = tf.constant(RANDOM.normal(size=(2, 4, 4, 2)), tf.float32)
  entropies = keras.losses.sparse_categorical_crossentropy(labels[..., 0], logits, from_logits=True).numpy()
  loss, _ = task.losses(logits, {"label": tf.constant(labels)}, True)
  np.testing.assert_allclose(loss, (entropies * (2 - labels[..., 0])).mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("side", "inner"), [(6, 2), (7, 5), (5, 5), (24, 20), (44, 4)])
def test_overlapping_tiles_predict_every_pixel_once_from_the_mirrored_surroundings(side, inner):
  images = RANDOM.random((2, 11, 9, 1), np.float32)
  margin = (side - inner) // 2

  def sums(tiles):  # of the pixels up to `margin` away, as a network without padding might
    return tf.nn.avg_pool2d(tiles, side - inner + 1, 1, "VALID") * (side - inner + 1) ** 2

  padded = np.pad(images, [(0, 0), (margin,) * 2, (margin,) * 2, (0, 0)], mode="reflect")
  np.testing.assert_allclose(overlap_tiled(tf.constant(images), sums, side, inner), sums(padded), rtol=1e-4)


def test_a_network_without_padding_says_the_same_of_an_image_by_large_and_by_small_tiles():
  network = unet.build((None, None, 1), 2, base=2, depth=2, dropout=0.0)
  image = tf.constant(RANDOM.random((1, 40, 40, 1), np.float32))
  sides = (44, 84)  # 4 and 44 pixels are predicted
  small, large = (overlap_tiled(image, network, side, unet.output_side(side, 2)) for side in sides)
  assert small.shape == (1, 40, 40, 2)
  np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_training_tile_and_its_labels_are_cut_and_bent_together(config, strategy, padding):
  config.model.padding, config.data.tile, config.evaluate.tile = padding, 60, 0
  task = built(config, strategy)
  assert task.outputs_of == {60: {"same": 60, "valid": 20}[padding]}
  label = np.asarray(task.arrays("train")["label"][:4])
  batch = {"image": tf.constant(100 * label), "label": tf.constant(label), "gap": tf.constant(50 * label)}
  found = task.augment(batch, lambda draw: randomness.uniform(0, tf.constant(0, tf.int64), tf.range(4, dtype=tf.int64), draw))
  margin = (60 - task.outputs_of[60]) // 2
  image, labels = found["image"].numpy()[:, margin:60 - margin, margin:60 - margin], found["label"].numpy()
  assert image.dtype == labels.dtype == np.uint8
  assert image.shape == labels.shape == (4, *2 * (task.outputs_of[60],), 1)
  np.testing.assert_array_equal(found["gap"], 50 * labels)
  sure = np.isin(image, (0, 100))  # elsewhere between two labels
  np.testing.assert_array_equal(image[sure], 100 * labels[sure])
  assert sure.mean() > 0.5
  assert 0 < labels.mean() < 1


def test_contrast_and_brightness_change_the_image_alone_and_by_no_more_than_asked(config, strategy):
  config.data.augment.grey, config.data.augment.elastic, config.data.augment.turns, config.data.tile = 0.1, 0.0, False, 128
  task = built(config, strategy)
  batch = {word: tf.constant(array[:8]) for word, array in task.arrays("train").items()}
  found = task.augment(batch, lambda draw: randomness.uniform(0, tf.constant(0, tf.int64), tf.range(8, dtype=tf.int64), draw))
  change = found["image"].numpy().astype(int) - batch["image"].numpy()
  assert 5 < np.abs(change).max() <= 0.1 * 127.5 + 25.5 + 1
  assert len({int(c) for c in change.mean((1, 2, 3))}) > 4
  np.testing.assert_array_equal(found["label"], batch["label"])


def test_probabilities_are_of_whole_images_and_the_table_has_a_row_each(config, strategy):
  config.data.test = "test[:3]"
  task = built(config, strategy)
  found = task.analysed()
  assert found["probability"].shape == (3, 128, 128, 2)
  np.testing.assert_allclose(found["probability"].sum(-1), 1, rtol=1e-4)
  np.testing.assert_array_equal(found["segmentation"], found["probability"].argmax(-1))
  assert found["valid_label"].shape == (10, 128, 128, 1)
  columns, rows = task.prediction_table(found)
  assert columns == ["index", "error_percent", "share_membrane", "share_cell"]
  assert [float(row[1]) for row in rows] == [
    pytest.approx(100 * np.mean(label[..., 0] != guess), abs=1e-3)
    for label, guess in zip(found["label"], found["segmentation"], strict=True)]


@pytest.mark.parametrize(("key", "value", "line"), [
  ("data.tile", 62, "model.depth=2 and model.padding='same' takes no input of 62 pixels a side: its layer 'pool1' gets 31x31, "
   "which cannot be halved; nearest: 60 or 64"),
  ("evaluate.tile", 126, "takes no input of 126 pixels a side: its layer 'pool1' gets 63x63, which cannot be halved; nearest: "
   "124 or 128"),
  ("data.tile", 132, "data.tile=132 predicts 132 pixels a side; the images of cell_membranes have 128x128"),
  ("data.resize", 64, "data.resize=64 must be 0"),
  ("data.foreground", "membran", "data.foreground='membran' is no class of cell_membranes .did you mean 'membrane'"),
  ("loss.class_weights", (1.0,), "loss.class_weights has 1 values but cell_membranes has 2 classes"),
  ("data.mean", (0.5, 0.5), "data.mean has 2 values but the images have 1 channel"),
  ("data.features.label", "gap", "data.features.label='gap' of cell_membranes is a Image; the task needs a LabeledImage"),
  ("data.features.gap", "label_gap", "data.features.gap='label_gap' is not a feature of cell_membranes"),
])
def test_what_does_not_fit_is_named_in_one_line(config, strategy, key, value, line):
  holder = config
  *sections, name = key.split(".")
  for section in sections:
    holder = holder[section]
  holder[name] = value
  with pytest.raises((ConfigError, DataError), match=line):
    built(config, strategy)
