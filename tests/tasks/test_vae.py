"""The variational autoencoder against closed forms, a Monte-Carlo estimate, and what its noise may depend on."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dlsuite import catalog, modes
from dlsuite.tasks.vae import normal_divergence


def built(strategy, **options):
  config = catalog.load("experiments/unsupervised/vae.py:smoke").copy_and_resolve_references().unlock()
  config.update_from_flattened_dict(options)
  task = modes.task_of(config, strategy)
  task.build(4, 0)
  return task


@pytest.fixture(scope="module")
def task(strategy):
  return built(strategy)


@pytest.fixture
def batch():
  random = np.random.default_rng(0)
  return {"image": tf.constant(random.integers(256, size=(6, 8, 8, 1), dtype=np.uint8)),
          "noise": tf.constant(random.normal(size=(6, 2)), tf.float32)}


@pytest.mark.parametrize(("mean", "variance", "nats"), [
  ([0, 0], [1, 1], 0),
  ([3, 4], [1, 1], 12.5),  # half the squared length of the mean
  ([0], [4], 0.5 * (4 - 1 - np.log(4))),
  ([0, 1], [1, np.e], 0.5 * (np.e + 1 - 1 - 1)),
])
def test_the_divergence_from_the_standard_normal_is_worked_out_by_hand(mean, variance, nats):
  found = normal_divergence(tf.constant([mean], tf.float32), tf.math.log(tf.constant([variance], tf.float32)))
  np.testing.assert_allclose(found, [nats], rtol=1e-6, atol=1e-6)


def test_the_divergence_is_the_mean_difference_of_the_log_densities():
  mean, deviation, count = np.array([0.7, -1.2, 0.1]), np.array([0.5, 1.3, 2.0]), 200_000
  draws = mean + deviation * np.random.default_rng(0).normal(size=(count, 3))
  differences = (scipy.stats.norm.logpdf(draws, mean, deviation) - scipy.stats.norm.logpdf(draws)).sum(1)
  found = float(normal_divergence(tf.constant([mean], tf.float32), tf.constant([2 * np.log(deviation)], tf.float32))[0])
  assert found == pytest.approx(differences.mean(), abs=5 * differences.std() / count ** 0.5)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_the_reconstruction_and_the_weighted_divergence(strategy, batch, weight):
  task = built(strategy, **{"loss.kl_weight": weight})
  losses, metrics = task.losses(task.outputs(batch, True), batch, True)
  np.testing.assert_allclose(losses, metrics["reconstruction_loss"] + weight * metrics["divergence"], rtol=1e-6)
  assert (metrics["divergence"].numpy() > 0).all()
  assert metrics.keys() == set(task.metrics)


def test_the_code_is_the_mean_and_the_noise_in_standard_deviations(task, batch):
  outputs = task.outputs(batch, True)
  drawn = outputs["mean"] + np.exp(0.5 * outputs["log_variance"].numpy()) * batch["noise"]
  np.testing.assert_allclose(outputs["code"], drawn, rtol=1e-6)


def test_without_noise_the_code_is_the_mean(task, batch):
  outputs = task.outputs({"image": batch["image"]}, False)
  np.testing.assert_array_equal(outputs["code"], outputs["mean"])


def noise_of(found):
  return (found["code"] - found["mean"]) / np.exp(0.5 * found["log_variance"])


def test_the_noise_of_an_evaluation_is_standard_normal_and_the_same_whatever_the_batch(strategy, task):
  found = [noise_of(t.predict("test")) for t in (task, task, built(strategy, **{"evaluate.batch_size": 33}))]
  np.testing.assert_array_equal(found[0], found[1])
  np.testing.assert_allclose(found[0], found[2], atol=1e-3)
  assert scipy.stats.kstest(found[0].ravel(), "norm").pvalue > 0.001
  assert len(np.unique(found[0].round(3), axis=0)) == 400


def test_the_noise_of_training_is_another_one_at_each_step(strategy, task, batch):
  images = {"image": batch["image"]}

  @tf.function
  def noise(step):
    return strategy.tf.run(lambda: task.with_noise(images, step)["noise"])

  first, again, second = (noise(tf.constant(step, tf.int64)).numpy() for step in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != second).all()


def test_samples_are_always_of_the_same_codes(task):
  few, many = task.samples(4), task.samples(9)
  assert many.shape == (9, 8, 8, 1)
  np.testing.assert_allclose(few, many[:4], atol=1e-6)
  assert many.min() >= 0
  assert many.max() <= 1
