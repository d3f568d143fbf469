"""Losses of classification against Keras's and, for the rubbish class, equation 9 of LeCun et al. 1998."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score

from dlsuite.errors import ConfigError
from dlsuite.models.vision import lenet5
from dlsuite.tasks.classification import Classification, cross_entropy

LOGITS = tf.constant(np.random.default_rng(0).normal(0, 3, (16, 10)), tf.float32)
LABELS = tf.constant(np.random.default_rng(1).integers(0, 10, 16), tf.int32)


def losses(config, strategy, training=True):
  task = Classification(config, strategy)
  return task.losses(LOGITS, {"label": tf.cast(LABELS, tf.int64)}, training)


def test_cross_entropy_is_keras_sparse_categorical_cross_entropy():
  expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
  np.testing.assert_allclose(cross_entropy(LOGITS, LABELS), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_keras(smoothing):
  loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
  np.testing.assert_allclose(cross_entropy(LOGITS, LABELS, smoothing), loss(tf.one_hot(LABELS, 10), LOGITS), rtol=1e-5)


def test_the_rubbish_class_is_equation_9():
  j, penalties = 1.0, np.array([[0.5, 2.0, 3.0], [4.0, 0.25, 1.0]])
  wanted = [penalties[i, d] + np.log(np.exp(-j) + np.exp(-penalties[i]).sum()) for i, d in enumerate((0, 2))]
  ours = cross_entropy(tf.constant(-penalties, tf.float32), tf.constant([0, 2]), rubbish=j)
  np.testing.assert_allclose(ours, wanted, rtol=1e-5)


def test_a_rubbish_class_makes_it_costly_to_raise_all_penalties_together():
  far = LOGITS - 50.0
  np.testing.assert_allclose(cross_entropy(far, LABELS), cross_entropy(LOGITS, LABELS), rtol=1e-4)
  assert (cross_entropy(far, LABELS, rubbish=1.0) > cross_entropy(LOGITS, LABELS, rubbish=1.0) + 30).numpy().all()


def test_class_weights_scale_the_loss_of_their_class_in_training_and_evaluation(digits_config, strategy):
  plain, _ = losses(digits_config, strategy)
  weights = [0.5 * i for i in range(10)]
  digits_config.loss.class_weights = tuple(weights)
  for training in (True, False):
    weighted, metrics = losses(digits_config, strategy, training)
    np.testing.assert_allclose(weighted, plain * np.take(weights, LABELS), rtol=1e-6)
    np.testing.assert_array_equal(metrics["loss"], weighted)


def test_labels_are_smoothed_in_training_only(digits_config, strategy):
  plain, _ = losses(digits_config, strategy)
  digits_config.loss.label_smoothing = 0.1
  np.testing.assert_allclose(losses(digits_config, strategy, training=False)[0], plain, rtol=1e-6)
  assert (np.abs(losses(digits_config, strategy)[0] - plain) > 1e-3).any()


def test_accuracy_and_error_count_the_right_ones(digits_config, strategy):
  _, metrics = losses(digits_config, strategy)
  right = LOGITS.numpy().argmax(1) == LABELS.numpy()
  np.testing.assert_array_equal(metrics["accuracy"], right.astype("float32"))
  np.testing.assert_array_equal(metrics["error"], np.where(right, 0.0, 100.0))


def test_pixels_are_scaled_to_one_then_centred_and_divided(digits_config, strategy):
  digits_config.data.mean, digits_config.data.std = (0.2, 0.4), (0.5, 0.25)
  keras.config.set_dtype_policy("float32")
  images = tf.constant([[[[0, 0], [255, 255]], [[51, 102], [153, 204]]]], tf.uint8)
  ours = Classification(digits_config, strategy).preprocess(images)
  np.testing.assert_allclose(ours, [[[[-0.4, -1.6], [1.6, 2.4]], [[0.0, 0.0], [0.8, 1.6]]]], atol=1e-6)


def with_head(input_shape, num_outputs, **_):
  x = inputs = keras.Input(input_shape)
  heads = {name: keras.layers.Dense(num_outputs, name=name)(keras.layers.Flatten()(x)) for name in ("logits", "auxiliary1")}
  return keras.Model(inputs, heads, name="two_heads")


def two_headed(config, strategy, monkeypatch):
  monkeypatch.setattr(lenet5, "build", with_head)
  task = Classification(config, strategy)
  task.open()
  return task


def test_an_auxiliary_head_counts_by_its_weight_in_the_training_loss_and_in_nothing_else(digits_config, strategy, monkeypatch):
  digits_config.loss.auxiliary = 0.3
  task = two_headed(digits_config, strategy, monkeypatch)
  task.build(1, 0)
  batch = {"image": tf.constant(np.random.default_rng(0).integers(0, 256, (16, 32, 32, 1)), tf.uint8), "label": LABELS}
  outputs = task.outputs(batch, True)
  total, metrics = task.losses(outputs, batch, True)
  main, auxiliary = (cross_entropy(outputs[name], LABELS) for name in ("logits", "auxiliary1"))
  np.testing.assert_allclose(total, main + 0.3 * auxiliary, rtol=1e-6)
  np.testing.assert_array_equal(metrics["loss"], main)
  evaluated = task.outputs(batch, False)
  np.testing.assert_array_equal(evaluated, outputs["logits"])
  np.testing.assert_array_equal(task.losses(evaluated, batch, False)[0], main)


def test_a_weight_without_heads_and_heads_without_a_weight_are_refused(digits_config, strategy, monkeypatch):
  with pytest.raises(ConfigError, match=r"two_heads has auxiliary heads \(auxiliary1\)"):
    two_headed(digits_config.copy_and_resolve_references(), strategy, monkeypatch).build(1, 0)
  monkeypatch.undo()
  digits_config.loss.auxiliary = 0.3
  task = Classification(digits_config, strategy)
  task.open()
  with pytest.raises(ConfigError, match=r"loss\.auxiliary=0\.3 but the network lenet5 has no auxiliary heads"):
    task.build(1, 0)


def trained(config, strategy, seed=0):
  """Returns a task with random weights large enough that its guesses differ from one look to another."""
  config.seed = seed
  task = Classification(config, strategy)
  task.open()
  task.build(1, 0)
  for variable in task.networks["classifier"].trainable_variables:
    if len(variable.shape) > 1:
      variable.assign(variable * 2.0)
  return task


def test_an_evaluation_reports_calibration_and_balance_of_the_whole_split(digits_config, strategy):
  digits_config.evaluate.batch_size = 64  # does not divide the 200 images
  task = trained(digits_config, strategy)
  found, values = task.predict("valid"), task.evaluate("valid").values
  assert list(values) == ["loss", "accuracy", "error", "top5_error", "calibration_error", "balanced_accuracy"]
  for name, value in task.score(found["outputs"], found["label"]).items():
    assert values[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
  assert values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(found["label"], found["predicted"]), abs=1e-6)


def softmax(logits):
  return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_a_flipped_look_counts_half_and_only_in_the_final_evaluation(digits_config, strategy):
  plain = trained(digits_config, strategy)
  images = plain.arrays("valid")["image"]
  both = [softmax(plain.outputs({"image": tf.constant(part)}, False).numpy()) for part in (images, images[:, :, ::-1])]
  digits_config.evaluate.augment = "flip"
  task = trained(digits_config, strategy)
  np.testing.assert_allclose(task.predict("valid")["probabilities"], np.mean(both, 0), atol=1e-5)
  assert task.evaluate("valid") == plain.evaluate("valid")
  expected = task.score(np.log(np.mean(both, 0)), task.predict("valid")["label"])
  for name, value in task.measure("valid").values.items():
    assert value == pytest.approx(expected[name], rel=1e-4, abs=1e-5), name


def test_ten_crops_of_the_padded_image_are_averaged(digits_config, strategy):
  digits_config.evaluate.augment = "ten_crop"  # of 36 pixels: those of the training are padded by two
  task = trained(digits_config, strategy)
  padded = np.pad(task.arrays("valid")["image"][:5], [(0, 0), (2, 2), (2, 2), (0, 0)])
  crops = [padded[:, i:i + 32, j:j + 32] for i, j in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))]
  crops += [crop[:, :, ::-1] for crop in crops]
  by_hand = np.mean([softmax(task.outputs({"image": tf.constant(crop)}, False).numpy()) for crop in crops], 0)
  np.testing.assert_allclose(task.predict("valid")["probabilities"][:5], by_hand, atol=1e-5)


def test_images_of_many_sizes_keep_their_square_for_ten_crops_and_are_watched_by_the_centre(digits_config, strategy):
  digits_config.data.resize, digits_config.data.crop, digits_config.data.shorter = 0, 6, 8
  digits_config.model.name = "mlp"
  del digits_config.model["original"], digits_config.model["width"]
  digits_config.evaluate.augment = "ten_crop"
  task = trained(digits_config, strategy)
  found = task.predict("valid")
  assert task.arrays("valid")["image"].shape == (200, 8, 8, 1)
  assert found["image"].shape == (200, 6, 6, 1)  # what the network sees of it without crops from elsewhere
  middle = task.outputs({"image": tf.constant(found["image"])}, False).numpy()
  assert task.evaluate("valid").values["error"] == pytest.approx(100 * (middle.argmax(1) != found["label"]).mean(), abs=1e-4)
  assert (np.abs(softmax(middle) - found["probabilities"]) > 1e-3).any()


@pytest.mark.parametrize(("changes", "message"), [
  ({"evaluate.augment": "flip", "loss.rubbish": 1.0}, "averages probabilities, which loss.rubbish does not give"),
  ({"evaluate.augment": "ten_crop", "data.augment.pad_crop": 0}, "needs something to crop from"),
])
def test_views_that_cannot_be_are_refused(digits_config, strategy, changes, message):
  digits_config.update_from_flattened_dict(changes)
  task = Classification(digits_config, strategy)
  task.open()
  with pytest.raises(ConfigError, match=message):
    task.build_networks()
