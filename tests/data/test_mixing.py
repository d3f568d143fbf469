"""Mixup and CutMix against values worked out by hand; Beta distributions against scipy's."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dlsuite import config as config_lib
from dlsuite.data import augment, mixing, pipeline, sources
from dlsuite.errors import ConfigError
from dlsuite.tasks.classification import Classification, cross_entropy


def floats(*values):
  return tf.constant(values, tf.float32)


def options(**changes):
  found = config_lib.defaults("fixture", task="classification").data.augment
  found.update(changes)
  return found


def test_neighbours_are_each_others_partners():
  assert mixing.swapped(tf.constant([[1, 2], [3, 4], [5, 6], [7, 8]])).numpy().tolist() == [[3, 4], [1, 2], [7, 8], [5, 6]]


def test_mixup_weighs_the_pixels():
  ours = mixing.mixup(tf.fill([2, 1, 1, 1], tf.constant(100, tf.uint8)), tf.fill([2, 1, 1, 1], tf.constant(200, tf.uint8)),
                      floats(0.75, 0.0)).numpy()
  assert ours.ravel().tolist() == [125, 200]


def test_cutmix_puts_a_box_of_the_partner_whose_area_is_what_the_weight_lacks():
  zeros, ones = tf.zeros([2, 4, 8, 1], tf.uint8), tf.ones([2, 4, 8, 1], tf.uint8)
  # A share of 3/4 leaves sides of a half: 2 x 4 pixels. The first box is whole, of the second a quarter lies in the corner.
  ours, weight = mixing.cutmix(zeros, ones, floats(0.75, 0.75), floats(0.5, 0.0), floats(0.5, 0.0))
  expected = np.zeros((2, 4, 8))
  expected[0, 1:3, 2:6] = expected[1, :1, :2] = 1
  np.testing.assert_array_equal(ours[..., 0], expected)
  assert weight.numpy().tolist() == [1 - 8 / 32, 1 - 2 / 32]


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 2.0])
def test_shares_have_a_beta_distribution(alpha):
  u = np.linspace(0.0005, 0.9995, 1000)
  ours = mixing.beta_quantile(tf.constant(u, tf.float32), alpha)
  np.testing.assert_allclose(ours, scipy.stats.beta.ppf(u, alpha, alpha), atol=2e-5)


def batch_of(size, images=None):
  images = np.random.default_rng(0).integers(0, 256, (size, 8, 8, 1), np.uint8) if images is None else images
  return {"image": tf.constant(images), "label": tf.range(size, dtype=tf.int64)}


def drawn(size, seed=0):
  table = np.random.default_rng(seed).random((32, size)).astype("float32")
  return lambda draw: tf.constant(table[draw])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_pair_shares_its_draw_and_its_two_labels(kind):
  batch = batch_of(8)
  ours = augment.mixed(batch, options(**{kind: 1.0}), drawn(8))
  weight = ours["weight"].numpy()
  np.testing.assert_array_equal(weight[::2], weight[1::2])
  assert len(set(weight)) > 2
  assert ours["label2"].numpy().tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
  total = batch["image"].numpy().astype(int).reshape(4, 2, -1).sum(1)  # what a pair gives and takes adds up
  np.testing.assert_allclose(ours["image"].numpy().astype(int).reshape(4, 2, -1).sum(1), total, atol=1)


def test_of_both_kinds_each_pair_gets_one_and_a_share_may_stay_as_it_is():
  images = np.tile(np.array([0, 200], np.uint8)[:, None, None, None], (200, 8, 8, 1))
  ours = augment.mixed(batch_of(400, images), options(mixup=1.0, cutmix=1.0, mix_share=0.5), drawn(400))
  pixels = ours["image"].numpy()
  unmixed = ours["weight"].numpy() == 1
  np.testing.assert_array_equal(pixels[unmixed], images[unmixed])
  blended = np.array([bool(set(np.unique(image)) - {0, 200}) for image in pixels])
  assert 0.4 < unmixed[::2].mean() < 0.62
  assert 0.15 < blended[::2].mean() < 0.35
  # The mean pixel is that of the weights, whichever kind it was.
  np.testing.assert_allclose(np.abs(pixels.mean((1, 2, 3)) - images[:, 0, 0, 0]), 200 * (1 - ours["weight"]), atol=0.6)


def test_a_batch_without_mixing_is_left_alone():
  batch = batch_of(4)
  assert augment.mixed(batch, options(), drawn(4)) is batch


def test_the_loss_of_mixed_labels_is_that_of_one_hot_labels_mixed(digits_config, strategy):
  logits = tf.constant(np.random.default_rng(0).normal(0, 2, (4, 10)), tf.float32)
  batch = {"label": tf.constant([1, 2, 3, 4]), "label2": tf.constant([2, 1, 4, 3]), "weight": floats(0.7, 0.7, 0.1, 0.1)}
  loss, metrics = Classification(digits_config, strategy).losses(logits, batch, True)
  weight = batch["weight"][:, None]
  soft = weight * tf.one_hot(batch["label"], 10) + (1 - weight) * tf.one_hot(batch["label2"], 10)
  np.testing.assert_allclose(loss, tf.nn.softmax_cross_entropy_with_logits(soft, logits), rtol=1e-5)
  np.testing.assert_allclose(cross_entropy(logits, batch["label"]), tf.nn.softmax_cross_entropy_with_logits(
    tf.one_hot(batch["label"], 10), logits), rtol=1e-5)
  guess = logits.numpy().argmax(1)
  np.testing.assert_allclose(metrics["accuracy"], soft.numpy()[np.arange(4), guess], rtol=1e-6)


def test_an_odd_batch_cannot_be_mixed(digits_config, strategy):
  digits_config.data.augment.mixup, digits_config.data.batch_size = 0.2, 33
  task = Classification(digits_config, strategy)
  task.open()
  with pytest.raises(ConfigError, match=r"mixup=0\.2 mixes pairs: data\.batch_size=33 .* even number of images; nearest that "
                                        "do: 32 or 34"):
    task.build_networks()


def test_lighting_of_grey_images_is_refused(digits_config, strategy):
  digits_config.data.augment.lighting = 0.1
  task = Classification(digits_config, strategy)
  task.open()
  with pytest.raises(ConfigError, match=r"data\.augment\.lighting=0\.1 is noise of red, green and blue, .* 1 channel"):
    task.build_networks()


EVERYTHING = {"pad_crop": 2, "flip": True, "cutout": 4, "rand_layers": 2, "brightness": 0.4, "contrast": 0.4, "mixup": 0.4,
              "cutmix": 1.0}


@pytest.mark.parametrize("cache", ["memory", "stream"])
def test_augmented_batches_are_the_same_after_a_restart_and_on_any_number_of_replicas(digits_config, strategy, cache):
  digits_config.data.update(batch_size=32, cache=cache)
  digits_config.data.augment.update(EVERYTHING)
  split = pipeline.Split.open(sources.open_builder("optical_digits"), digits_config, "train")
  task = Classification(digits_config, strategy)

  def batches(start, count, replicas=1):
    class Several:  # what the pipeline asks of a strategy
      workers, worker_index, device, local_replicas = 1, 0, "cpu", replicas

    Several.replicas = replicas
    iterator = pipeline.train_batches(split, digits_config, Several, start, task.augment)
    return [{word: value.numpy() for word, value in next(iterator).items()} for _ in range(count)]

  whole = batches(0, 3)
  assert whole[0].keys() == {"image", "label", "label2", "weight"}
  assert whole[0]["image"].shape == (32, 32, 32, 1)
  for word, value in batches(2, 1)[0].items():
    np.testing.assert_array_equal(value, whole[2][word], word)
  for word, value in batches(0, 1, replicas=2)[0].items():  # [2, 16, ...]
    np.testing.assert_array_equal(np.concatenate(list(value)), whole[0][word], word)
