"""Deep Q-learning: targets and errors by hand on linear networks, and when the target network moves."""

import types

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from dlsuite import catalog, modes
from dlsuite.errors import ConfigError
from dlsuite.tasks.dqn import huber, td_target
from dlsuite.training import steps

pytest.importorskip("gymnasium", reason="Gymnasium comes with the extra `rl`")

# Values of three actions: the rows are the observation's two numbers.
ONLINE = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 5.0]], np.float32)
TARGET = np.array([[10.0, 20.0, 30.0], [1.0, 7.0, 4.0]], np.float32)


class Linear:
  """A network of one matrix."""

  def __init__(self, kernel):
    self.kernel = tf.Variable(kernel)

  def __call__(self, observations, training):
    return observations @ self.kernel


class Kept:
  """A learner that learns nothing and gives the numbers of each example back."""

  def update(self, function, batch, step):
    with tf.GradientTape(persistent=True) as self.tape:
      self.losses, metrics, _ = function(batch)
    return metrics, {}


@pytest.fixture
def task_of(strategy):
  """Returns the function from options to a task that is not built yet."""

  def make(**options):
    config = catalog.load("experiments/reinforcement/dqn.py:smoke").copy_and_resolve_references().unlock()
    config.update_from_flattened_dict(options)
    return modes.task_of(config, strategy)

  return make


@pytest.fixture
def linear(task_of):
  """Returns the function from options to a task with the networks above."""

  def make(**options):
    task = task_of(**options)
    keras.config.set_dtype_policy("float32")
    task.networks, task.learners = {"online": Linear(ONLINE), "target": Linear(TARGET)}, {"main": Kept()}
    return task

  return make


def transitions():
  return {"observation": tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), "action": tf.constant([1, 2, 0]),
          "next_observation": tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
          "return": tf.constant([0.25, -3.0, 1.5]), "discount": tf.constant([0.1, 0.5, 0.0])}


def test_it_is_refused_on_several_workers(strategy):
  config = catalog.load("experiments/reinforcement/dqn.py:smoke")
  workers = types.SimpleNamespace(workers=2, jit=strategy.jit, is_chief=True, barrier=lambda: None)
  with pytest.raises(ConfigError, match=r"strategy\.kind='workers': task='dqn' acts in one process"):
    modes.task_of(config, workers)


def test_errors_are_squared_below_one_and_linear_above_as_scipys():
  errors = np.linspace(-4, 4, 41)
  np.testing.assert_allclose(huber(tf.constant(errors, tf.float32)), scipy.special.huber(1, errors), rtol=1e-5, atol=1e-7)
  np.testing.assert_allclose(huber(tf.constant([0.5, -1.0, 3.0])), [0.125, 0.5, 2.5])


def test_a_discount_of_zero_leaves_the_reward_alone():
  np.testing.assert_allclose(td_target(tf.constant([1.0, 1.0]), tf.constant([0.5, 0.0]), tf.constant([10.0, 10.0])), [6, 1])


@pytest.mark.parametrize(("double", "targets"), [
  # The first transition: the target network's best is action 2 (30), the online network's is action 1 (20 there).
  # The second: action 1 (7), and action 2 (4). The third ended.
  (False, [0.25 + 0.1 * 30, -3 + 0.5 * 7, 1.5]),
  (True, [0.25 + 0.1 * 20, -3 + 0.5 * 4, 1.5]),
])
def test_the_online_network_chooses_what_the_target_network_values_if_double(linear, double, targets):
  task = linear(**{"agent.double": double})
  found = task.train_step(transitions(), tf.constant(0, tf.int64))
  values = np.array([2.0, 5.0, 1.0])  # of the actions taken, online
  np.testing.assert_allclose(found["q_value"], values)
  np.testing.assert_allclose(found["loss"], scipy.special.huber(1, targets - values), rtol=1e-5)


def test_only_the_values_of_the_actions_taken_learn_and_by_errors_clipped_to_one(linear):
  task = linear(**{"agent.double": True})
  task.train_step(transitions(), tf.constant(0, tf.int64))
  learner, online, target = task.learners["main"], task.networks["online"], task.networks["target"]
  gradient = learner.tape.gradient(learner.losses, online.kernel)
  # Errors 0.25, -6 and 0.5 at (observation 0, action 1), (1, 2) and (0, 0).
  np.testing.assert_allclose(gradient, [[-0.5, -0.25, 0], [0, 0, 1]], atol=1e-6)
  assert learner.tape.gradient(learner.losses, target.kernel) is None


def test_bytes_are_seen_as_numbers_from_zero_to_one(linear):
  task = linear()
  np.testing.assert_allclose(task.values("online", tf.constant([[255, 51]], tf.uint8), False), [[1.0, 1.8, 1.0]], rtol=1e-6)
  np.testing.assert_allclose(task.values("online", tf.constant([[255.0, 51.0]]), False), [[255, 459, 255]])


def weights(task, name):
  return np.concatenate([w.ravel() for w in task.networks[name].get_weights()])


def test_the_target_network_becomes_the_online_one_at_multiples_of_target_every_alone(task_of, strategy):
  task = task_of(**{"agent.target_every": 3, "agent.gradient_steps": 4, "replay.start": 100})
  task.build(8, 0)
  np.testing.assert_array_equal(weights(task, "target"), weights(task, "online"))
  feed, run = task.feed(0), steps.train_steps(task, strategy)
  online, target = [], []  # before each step
  for step in range(8):
    source = feed.source(step, 1)
    online.append(weights(task, "online"))
    target.append(weights(task, "target"))
    run(source, tf.constant(step, tf.int64), tf.constant(1, tf.int64), tf.zeros([2]), tf.constant(0.0))
  for step in range(8):
    np.testing.assert_array_equal(target[step], online[step // 3 * 3])
  assert all((online[i] != online[i + 1]).any() for i in range(7))


def test_validation_and_test_play_different_episodes_and_the_same_ones_each_time(task_of):
  task = task_of(**{"evaluate.episodes": 6, "evaluate.test_episodes": 6})
  task.build(4, 0)
  valid, test = task.returns("valid"), task.returns("test")
  np.testing.assert_array_equal(task.returns("test"), test)
  assert (valid != test).any()
  measured = task.evaluate("test")
  assert (measured.values["return"], measured.count, measured.unit) == (pytest.approx(test.mean()), 6, "episodes")


def test_the_recorded_episode_is_the_first_of_the_test(task_of):
  task = task_of()
  task.build(4, 0)
  pictures, total = task.episode(2)
  assert total == task.returns("test")[0]
  assert [picture.shape[-1] for picture in pictures] == [3, 3]
