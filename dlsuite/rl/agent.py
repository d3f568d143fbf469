"""The feed of a value-based agent: it acts, remembers, and hands over batches of what it remembers.

Steps are gradient steps. They come in periods of `agent.gradient_steps`: at the first of a period the agent acts
`agent.collect_steps` times in every environment, with the network as it is then; all batches of the period are drawn from
the memory as it is after that. Whatever is random depends on (seed, period) alone, so that calls of the loop may begin
and end anywhere.
"""

import collections
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.data.feed import Feed, Source
from dlsuite.rl.environments import Environments
from dlsuite.rl.replay import Replay

_EXPLORE, _DRAW, _START = 1, 2, 3  # streams of random numbers


class Agent(Feed):
  """Acts epsilon-greedily in several environments and replays.

  Args:
    config: the sections `environment`, `agent`, `replay`, `data`, and the seed, are read.
    act: observations [N, ...] -> the greedy actions int [N].
    copy_target: makes the target network equal to the online one.
    total_steps: gradient steps of the run, of which epsilon falls over a share.
  """

  def __init__(self, config: ConfigDict, act: Callable[[np.ndarray], np.ndarray], copy_target: Callable[[], None],
               total_steps: int) -> None:
    self._config, self._act, self._copy_target = config, act, copy_target
    self._period = config.agent.gradient_steps
    self._decay = max(1.0, config.agent.epsilon_share * total_steps)
    self._environments = Environments(config.environment.name, config.environment.count, config.seed)
    envs = self._environments
    self._replay = Replay(config.replay.capacity, envs.count, envs.observation_shape, envs.observation_dtype,
                          config.agent.n_step, config.agent.gamma)
    self._drawn: tuple[int, dict[str, np.ndarray]] = (-1, {})  # the period and its batches
    self._acted = 0  # agent steps, over all environments
    self._returns: collections.deque[float] = collections.deque(maxlen=100)  # of the last finished episodes

  def epsilon(self, step: int) -> float:
    """Returns the share of random actions at a gradient step: it falls linearly from 1 to `agent.epsilon`."""
    return max(self._config.agent.epsilon, 1.0 - (1.0 - self._config.agent.epsilon) * step / self._decay)

  def limit(self, step: int) -> int:
    """Returns the steps up to the period's end or the next copy to the target network."""
    return min(self._period - step % self._period, self._config.agent.target_every - step % self._config.agent.target_every)

  def source(self, step: int, count: int) -> Source:
    """Acts where a period begins, and returns the batches of `count` steps, {word: [count, B, ...]}."""
    if step % self._config.agent.target_every == 0:
      self._copy_target()
    period, first = divmod(step, self._period)
    if first == 0:
      if step == 0:
        self._fill()
      self._collect(np.random.default_rng((self._config.seed, _EXPLORE, period)), self._config.agent.collect_steps,
                    self.epsilon(step))
    if self._drawn[0] != period:
      random, size = np.random.default_rng((self._config.seed, _DRAW, period)), self._config.data.batch_size
      found = self._replay.sample(random, self._period * size)
      self._drawn = period, {word: value.reshape(self._period, size, *value.shape[1:]) for word, value in found.items()}
    return {word: tf.constant(value[first:first + count]) for word, value in self._drawn[1].items()}

  def _fill(self) -> None:
    """Acts at random for `replay.start` agent steps, and until there is a transition to learn from."""
    random = np.random.default_rng((self._config.seed, _START))
    while self._acted < self._config.replay.start or not len(self._replay):
      self._collect(random, 1, 1.0)

  def _collect(self, random: np.random.Generator, steps: int, epsilon: float) -> None:
    envs = self._environments
    for _ in range(steps):
      actions = random.integers(envs.num_actions, size=envs.count)
      greedy = random.random(envs.count) >= epsilon
      if greedy.any():
        actions = np.where(greedy, self._act(envs.observations), actions)
      transition = envs.step(actions)
      self._replay.add(transition)
      self._returns.extend(transition.finished_returns)
      self._acted += envs.count

  def logs(self) -> dict[str, float]:
    """Returns the agent steps so far and the mean return of the last 100 finished episodes."""
    return {"agent_steps": float(self._acted)} | (
      {"episode_return": float(np.mean(self._returns))} if self._returns else {})

  def state(self) -> dict[str, np.ndarray]:
    """Returns the memory, the environments and the counts."""
    return {"acted": np.array(self._acted), "returns": np.array(self._returns, np.float64),
            **{f"replay/{name}": value for name, value in self._replay.state().items()},
            **{f"environments/{name}": value for name, value in self._environments.state().items()}}

  def restore(self, arrays: dict[str, np.ndarray]) -> None:
    """Takes what `state` returned; the environments' unfinished episodes are played again."""
    def part(prefix: str) -> dict[str, np.ndarray]:
      return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

    self._acted = int(arrays["acted"])
    self._returns.extend(arrays["returns"].tolist())
    self._replay.restore(part("replay/"))
    self._environments.restore(part("environments/"))
