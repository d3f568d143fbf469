"""Deep Q-learning: the value of each action, learnt from replayed transitions towards a slower copy of the same network."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.feed import Feed
from dlsuite.errors import ConfigError
from dlsuite.rl import episodes, registry
from dlsuite.rl.agent import Agent
from dlsuite.rl.environments import Environments
from dlsuite.rl.replay import Replay
from dlsuite.strategy import Strategy
from dlsuite.tasks.base import Measurement, Task
from dlsuite.training.learner import Batch, Learner

# What this task adds to a config, with what is allowed (`checks.DEMANDS`).
OPTIONS = {
  "environment.name": ("", None),  # a gymnasium id
  "environment.count": (8, "above 0 and finite"),  # copies that step together
  "agent.gamma": (0.99, "from 0 to 1"),  # discount an agent step
  "agent.n_step": (1, "above 0 and finite"),  # agent steps until the target network's value stands in
  "agent.double": (True, None),  # the online network chooses the action that the target network values
  "agent.epsilon": (0.05, "from 0 to 1"),  # share of random actions in the end
  "agent.epsilon_share": (0.1, "from 0 to 1"),  # of the run, over which it falls from 1
  "agent.collect_steps": (1, "above 0 and finite"),  # agent steps of each copy a period
  "agent.gradient_steps": (1, "above 0 and finite"),  # gradient steps a period
  "agent.target_every": (100, "above 0 and finite"),  # gradient steps between copies to the target network
  "replay.capacity": (50_000, "above 0 and finite"),  # transitions
  "replay.start": (1_000, "above 0 and finite"),  # random agent steps before the first gradient step
  "evaluate.episodes": (20, "above 0 and finite"),  # of a validation
  "evaluate.test_episodes": (100, "above 0 and finite"),
}
GIVES = ("input_shape", "num_outputs")  # to the model's `build`


class DQN(Task):
  """An agent in a gymnasium environment with a finite number of actions. An example is a transition.

  Validation and test play whole episodes greedily, each from a seed that no other part of the run uses.

  Source: Mnih et al. 2015, algorithm 1; double: van Hasselt, Guez & Silver 2016, equation 4; n steps: Hessel et al. 2018,
  "Multi-step learning".
  """

  metrics = ("loss", "q_value")
  reported = ("return",)
  curves = ("loss", "episode_return", "return")

  def __init__(self, config: ConfigDict, strategy: Strategy) -> None:
    super().__init__(config, strategy)
    self._total_steps = 1

  def open(self, prepare: bool = True) -> None:
    """Sees to it that the environment exists and has actions that can be counted, that it can be drawn if a film of an episode
    is wanted, and that windows fit into the memory."""
    registry.check(self.config.environment.name)
    if prepare and "episode" in self.config.analyses:
      try:
        episodes.check_drawable(self.config.environment.name)
      except ConfigError as e:
        raise ConfigError(f"analyses holds 'episode', but {e}: take it out with --config.analyses='()'") from e
    if self.strategy.workers > 1:
      raise ConfigError("strategy.kind='workers': task='dqn' acts in one process; take cpu, gpu or tpu")
    options, memory = self.config.agent, self.config.replay
    Replay(memory.capacity, self.config.environment.count, (), np.uint8, options.n_step, options.gamma)
    if memory.start > memory.capacity:
      raise ConfigError(f"replay.start={memory.start} is more than replay.capacity={memory.capacity}: the memory would be full "
                        "before the first gradient step")
    self._environments = Environments(self.config.environment.name, 1, 0, "shapes")

  def describe_data(self) -> tuple[str, list[list[str]]]:
    """Returns the environment, and the episodes of each split."""
    options = self.config.evaluate
    copies = f"{self.config.environment.count} copies"
    return self.config.environment.name, [["train", copies, "-"], ["valid", f"{options.episodes} episodes", "-"],
                                          ["test", f"{options.test_episodes} episodes", "-"]]

  def build_networks(self) -> dict[str, keras.Model]:
    """Returns `online` and, equal to it, `target`."""
    given: dict[str, Any] = {"input_shape": self._environments.observation_shape, "num_outputs": self._environments.num_actions}
    online, target = (next(iter(self.build_model(**given).values())) for _ in range(2))
    target.set_weights(online.get_weights())
    target.trainable = False
    return {"online": online, "target": target}

  def build_learners(self, total_steps: int, warmup_steps: int) -> dict[str, Learner]:
    """Returns the learner of the online network."""
    self._total_steps = total_steps
    return {"main": Learner([self.networks["online"]], self.config, self.strategy, total_steps, warmup_steps,
                            beside=[self.networks["target"]])}

  def feed(self, start_step: int) -> Feed:
    """Returns the agent."""
    return Agent(self.config, self._policy(averaged=False), self._copy_target, self._total_steps)

  def _copy_target(self) -> None:
    for target, online in zip(self.networks["target"].weights, self.networks["online"].weights, strict=True):
      target.assign(online.value)

  def values(self, name: str, observations: tf.Tensor, training: bool) -> tf.Tensor:
    """Returns a network's values of all actions, float32 [b, A]; bytes are seen as [0, 1]."""
    scaled = tf.cast(observations, tf.float32) / 255.0 if observations.dtype == tf.uint8 else observations
    scaled = tf.cast(scaled, keras.config.dtype_policy().compute_dtype)
    return tf.cast(self.networks[name](scaled, training=training), tf.float32)

  def _policy(self, averaged: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the greedy policy: observations [N, ...] -> actions [N]."""

    @tf.function(reduce_retracing=True)
    def best(observations: tf.Tensor) -> tf.Tensor:
      if not averaged:
        return tf.argmax(self.values("online", observations, False), -1)
      with self.averaged():
        return tf.argmax(self.values("online", observations, False), -1)

    return lambda observations: best(tf.constant(observations)).numpy()

  def train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Learns from this replica's part of a batch of transitions."""

    def losses(part: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
      after = self.values("target", part["next_observation"], False)
      chooser = self.values("online", part["next_observation"], False) if self.config.agent.double else after
      best = tf.argmax(chooser, -1, output_type=tf.int32)
      target = td_target(part["return"], part["discount"], tf.gather(after, best, batch_dims=1))
      value = tf.gather(self.values("online", part["observation"], True), part["action"], batch_dims=1)
      errors = huber(tf.stop_gradient(target) - value)
      return errors, {"loss": errors, "q_value": value}, {}

    sums, _ = self.learners["main"].update(losses, batch, step)
    return sums

  @functools.cache  # noqa: B019 - one task a process
  def _greedy(self) -> Callable[[np.ndarray], np.ndarray]:
    return self._policy(averaged=True)

  def returns(self, split: str) -> np.ndarray:
    """Returns the undiscounted return of each of a split's episodes, played greedily, float64 [N]."""
    options = self.config.evaluate
    count = options.test_episodes if split == "test" else options.episodes
    return episodes.play(self.config.environment.name, self._greedy(), count, self.config.seed, split)

  def evaluate(self, split: str) -> Measurement:
    """Returns the mean return of a split's episodes."""
    returns = self.returns(split)
    return Measurement({"return": float(returns.mean())}, len(returns), "episodes")

  def episode(self, frames: int) -> tuple[list[np.ndarray], float]:
    """Returns the first pictures, uint8 [H, W, 3], of the first test episode, and its return."""
    return episodes.record(self.config.environment.name, self._greedy(), self.config.seed, frames, stream="test")

  def predict(self, split: str) -> dict[str, np.ndarray]:
    """Returns `return` [N] of a split's episodes."""
    return {"return": self.returns(split)}

  def prediction_table(self, predictions: dict[str, np.ndarray]) -> tuple[list[str], list[list[Any]]]:
    """Returns a row an episode."""
    return ["episode", "return"], [[i, f"{value:g}"] for i, value in enumerate(predictions["return"])]


def td_target(returns: tf.Tensor, discounts: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """Returns the rewards of the steps in between plus the discounted value after them, [B]; a discount of 0 ends the episode."""
  return returns + discounts * values


def huber(errors: tf.Tensor) -> tf.Tensor:
  """Returns e^2 / 2 where |e| < 1 and |e| - 1/2 elsewhere (Huber 1964; the clipped error of Mnih et al. 2015, Methods)."""
  size = tf.abs(errors)
  return tf.where(size < 1.0, 0.5 * tf.square(errors), size - 0.5)


TASK = DQN
