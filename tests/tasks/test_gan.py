"""Generative adversarial networks: losses by hand, which step changes what, and how samples are judged."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import KernelDensity

from dlsuite import catalog, modes
from dlsuite.errors import ConfigError
from dlsuite.tasks.gan import discriminator_losses, generator_losses

LOG2 = np.log(2)
DIGITS = {"data.name": "optical_digits", "data.features.sample": "image", "model.name": "vision.dcgan",
          "evaluate.quality": "parzen", "evaluate.samples": 60}


def config_of(**options):
  config = catalog.load("experiments/unsupervised/gan.py:smoke").copy_and_resolve_references().unlock()
  config.update_from_flattened_dict(options)
  return config


def built(strategy, **options):
  task = modes.task_of(config_of(**options), strategy)
  task.build(4, 0)
  return task


@pytest.mark.parametrize(("real", "fake", "kind", "of_discriminator", "of_generator"), [
  (0, 0, "non_saturating", 2 * LOG2, LOG2),
  (0, 0, "minimax", 2 * LOG2, -LOG2),
  (LOG2, -LOG2, "non_saturating", 2 * np.log(1.5), np.log(3)),  # probabilities of 2/3 and 1/3 for being real
  (LOG2, -LOG2, "minimax", 2 * np.log(1.5), np.log(2 / 3)),
  (1, 0, "least_squares", 0, 1),
  (0, 3, "least_squares", 10, 4),
])
def test_the_losses_are_worked_out_by_hand(real, fake, kind, of_discriminator, of_generator):
  real, fake = tf.constant([real], tf.float32), tf.constant([fake], tf.float32)
  np.testing.assert_allclose(discriminator_losses(real, fake, kind), [of_discriminator], rtol=1e-6)
  np.testing.assert_allclose(generator_losses(fake, kind), [of_generator], rtol=1e-6)


@pytest.mark.parametrize("logit", [-5.0, 0.0, 5.0])
def test_samples_seen_through_move_the_generator_unless_the_loss_is_minimax(logit):
  # d/dl of log(1 - s(l)) is -s(l), of -log s(l) it is s(l) - 1, with s the logistic function.
  chance = 1 / (1 + np.exp(-logit))
  for kind, slope in (("minimax", -chance), ("non_saturating", chance - 1)):
    fake = tf.Variable([logit])
    with tf.GradientTape() as tape:
      loss = generator_losses(fake, kind)
    np.testing.assert_allclose(tape.gradient(loss, fake), [slope], rtol=1e-4)


class Linear:
  """A discriminator whose logit is w . x + 1."""

  def __call__(self, samples, training):
    return samples @ tf.constant([[3.0], [4.0]]) + 1.0


def test_the_penalty_is_half_its_weight_times_the_squared_slope_at_real_examples(strategy):
  task = built(strategy, **{"loss.r1": 0.1})
  task.networks["discriminator"] = Linear()
  np.testing.assert_allclose(task._penalty(tf.zeros([3, 2])), [0.5 * 0.1 * 25] * 3, rtol=1e-6)


def arrays(task, name):
  return [v.numpy() for v in task.networks[name].weights]


def changed(before, after):
  return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize(("learns", "waits"), [("discriminator", "generator"), ("generator", "discriminator")])
def test_the_step_of_one_network_changes_nothing_of_the_other(strategy, learns, waits, monkeypatch):
  task = built(strategy, **DIGITS)  # with batch norm in the generator, dropout in the discriminator
  monkeypatch.setattr(task.learners[waits], "update", lambda *_: ({}, {}))
  before = {name: arrays(task, name) for name in task.networks}
  images = tf.constant(np.random.default_rng(0).integers(256, size=(16, 8, 8, 1), dtype=np.uint8))

  @tf.function
  def step():
    return strategy.tf.run(lambda: task.train_step({"sample": images}, tf.constant(0, tf.int64)))

  step()
  assert not any(changed(before[waits], arrays(task, waits)))
  assert all(changed(before[learns], arrays(task, learns)))  # of the generator also the moving averages


def test_the_dropout_of_the_network_that_does_not_learn_depends_on_the_step_alone(strategy, monkeypatch):
  task = built(strategy, **DIGITS, **{"optimizer.name": "sgd", "optimizer.arguments": {}, "optimizer.learning_rate": 1e-30})
  images = tf.constant(np.random.default_rng(0).integers(256, size=(16, 8, 8, 1), dtype=np.uint8))
  noise = tf.constant(np.random.default_rng(1).normal(size=(16, task.noise_size)), tf.float32)
  monkeypatch.setattr(task, "with_noise", lambda batch, _: batch | {"noise": noise})

  @tf.function
  def loss(step):
    return strategy.tf.run(lambda: task.train_step({"sample": images}, step)["generator_loss"])

  first, again, other = (float(loss(tf.constant(step, tf.int64))) for step in (3, 3, 4))
  assert first == again != other


@pytest.mark.parametrize(("kind", "scores"), [("non_saturating", (0.1, -0.1)), ("least_squares", (0.6, 0.4))])
def test_what_the_discriminator_gets_right_is_told_by_the_middle_of_its_targets(strategy, kind, scores):
  task = built(strategy, **{"loss.adversarial": kind})
  found = {}

  class Kept:
    def update(self, function, batch, step):
      _, metrics, _ = function(batch)
      found.update(metrics)
      return {}, {}

  given = iter(map(tf.constant, ([scores[0]] * 2, [scores[1]] * 2, [0.0] * 2)))
  task.learners = {"discriminator": Kept(), "generator": Kept()}
  task.scores, task._penalty = lambda _: next(given), lambda _: 0.0
  task.with_noise = lambda batch, _: batch | {"noise": tf.zeros([2, task.noise_size])}
  task.train_step({"sample": tf.zeros([2, 2])}, tf.constant(0, tf.int64))
  assert found["real_right"].numpy().tolist() == found["fake_right"].numpy().tolist() == [1, 1]


def test_pixels_are_seen_between_minus_one_and_one_and_shown_between_zero_and_one(strategy):
  task = built(strategy, **DIGITS)
  np.testing.assert_allclose(task.real(tf.constant([0, 51, 255], tf.uint8)), [-1, -0.6, 1], atol=1e-6)
  samples = task.samples(5)
  assert samples.shape == (5, 8, 8, 1)
  assert samples.min() >= 0
  assert samples.max() <= 1


def test_samples_are_always_of_the_same_noise_and_those_tested_of_another_than_those_that_chose_the_weights(strategy):
  task = built(strategy)
  few, many, tested = task.samples(10), task.samples(700), task.samples(700, "test")
  np.testing.assert_array_equal(few, many[:10])
  assert len(np.unique(np.concatenate([many, tested]), axis=0)) == 1400
  given = []
  task.samples = lambda count, split: given.append(split) or many
  task.evaluate("valid"), task.evaluate("test")
  assert given == ["valid", "test"]


def test_points_of_the_data_themselves_reach_all_modes_with_their_own_spread(strategy, monkeypatch):
  task = built(strategy, **{"evaluate.samples": 2500})
  monkeypatch.setattr(task, "samples", lambda count, split: task.arrays("train")["sample"][:count])
  found = task.evaluate("test")
  # 98.9% of a normal distribution in the plane lie within three deviations: 1 - exp(-9/2).
  assert found.values == {"modes": 8, "high_quality": pytest.approx(98.9, abs=0.7), "coverage": pytest.approx(97, abs=2),
                          "spread": pytest.approx(1, abs=0.02)}
  assert (found.count, found.unit) == (2500, "samples")
  assert task.check(found.values) == ""


@pytest.mark.parametrize("move", [0.0, 1e-3])
def test_a_generator_whose_samples_are_all_the_same_has_collapsed(strategy, monkeypatch, move):
  task = built(strategy)
  samples = np.ones((500, 2)) + move * np.random.default_rng(0).normal(size=(500, 2))
  monkeypatch.setattr(task, "samples", lambda count, split: samples[:count])
  assert task.check(task.evaluate("valid").values).startswith("the generator collapsed: its samples differ by ")


@pytest.mark.parametrize(("lost", "network"), [
  (["generator_loss"], "discriminator"),  # updated before the generator's loss is computed
  (["discriminator_loss"], "generator"), (["generator_loss", "discriminator_loss"], "generator"),  # by its last update
])
def test_the_network_whose_update_broke_the_losses_is_named(strategy, lost, network):
  assert built(strategy).culprit(lost).startswith(f"the {network} ")


def test_the_likelihood_is_that_of_scikit_learn_at_the_width_that_is_best_on_the_validation_split(strategy):
  task = built(strategy, **DIGITS)
  samples = {split: task.samples(60, split).reshape(60, 64) for split in ("valid", "test")}
  real = {split: task.arrays(split)["sample"].reshape(-1, 64) / 255.0 for split in ("valid", "test")}

  def score(width, of, split):
    return KernelDensity(bandwidth=width).fit(samples[of]).score(real[split]) / len(real[split])

  for split in ("valid", "test"):
    best = max(np.geomspace(0.08, 0.5, 12), key=lambda width: score(width, split, "valid"))
    assert task.evaluate(split).values["parzen"] == pytest.approx(score(best, split, split), rel=1e-4)


def test_judging_by_a_likelihood_needs_a_validation_split(strategy):
  with pytest.raises(ConfigError, match=r"data\.valid is empty, but evaluate\.quality='parzen'"):
    modes.task_of(config_of(**DIGITS, **{"data.valid": ""}), strategy)
