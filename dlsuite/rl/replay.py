"""Replay memory with n-step returns."""

import numpy as np

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.rl.environments import Transition

_RUNNING, _TRUNCATED, _TERMINATED = 0, 1, 2
_STORED = ("observation", "next_observation", "action", "reward", "end")


class Replay:
  """The last time steps of all copies, from which windows of n steps are drawn.

  A window starts at any stored (time, copy) that has n - 1 later time steps in memory, and ends early where its episode
  does. What was cut off goes on in the estimate (its true successor is bootstrapped from), what terminated does not.

  Attributes:
    capacity: how many transitions fit: whole time steps of all copies.

  Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning" (uniform replay); Sutton 1988,
  "Learning to predict by the methods of temporal differences", and Hessel et al. 2018, "Rainbow" (n-step
  returns); Pardo et al. 2018, "Time limits in reinforcement learning" (bootstrapping where an episode is cut off).
  """

  def __init__(self, capacity: int, copies: int, observation_shape: tuple[int, ...], observation_dtype: np.typing.DTypeLike,
               n_step: int, gamma: float) -> None:
    """Reserves the memory, which the system gives out only as it is filled.

    Args:
      capacity: number of transitions, rounded down to whole time steps.
      copies: N, the transitions of one time step.
      observation_shape: of one observation.
      observation_dtype: of the observations.
      n_step: the longest window, n >= 1.
      gamma: the discount of one step.

    Raises:
      ConfigError: if no more than n time steps fit.
    """
    self._steps = capacity // copies
    if self._steps <= n_step:
      raise ConfigError(f"replay.capacity={capacity} holds {self._steps} time steps of {copies} copies; "
                        f"windows of {n_step} need at least {(n_step + 1) * copies}")
    self._copies = copies
    self._n_step = n_step
    self.capacity = size = self._steps * copies
    self._written = 0  # time steps ever added: the next goes to slot `_written % _steps`
    # Time-major and flat: transition (slot, copy) is at slot * copies + copy, its successor in time `copies` further on.
    self._stored = {
      "observation": np.zeros((size, *observation_shape), observation_dtype),
      "next_observation": np.zeros((size, *observation_shape), observation_dtype),
      "action": np.zeros(size, np.int32),
      "reward": np.zeros(size, np.float32),
      "end": np.zeros(size, np.uint8),
    }
    powers = np.power(float(gamma), np.arange(n_step + 1)).astype(np.float32)
    self._offsets = np.arange(n_step)[:, None] * copies
    self._discounts = powers[1:]  # by a window's last step
    self._weights = np.triu(np.broadcast_to(powers[:-1, None], (n_step, n_step)))  # [step, last step]

  def __len__(self) -> int:
    """Returns the number of windows that can be drawn."""
    return max(0, min(self._written, self._steps) - self._n_step + 1) * self._copies

  def add(self, transition: Transition) -> None:
    """Adds one time step of all copies; a full memory forgets its oldest."""
    start = self._written % self._steps * self._copies
    rows = slice(start, start + self._copies)
    stored = self._stored
    stored["observation"][rows] = transition.observations
    stored["next_observation"][rows] = transition.next_observations
    stored["action"][rows] = transition.actions
    stored["reward"][rows] = transition.rewards
    stored["end"][rows] = np.where(transition.terminated, _TERMINATED, np.where(transition.truncated, _TRUNCATED, _RUNNING))
    self._written += 1

  def sample(self, rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Draws windows uniformly, with replacement.

    Args:
      rng: where the draws come from.
      count: how many; several batches at once cost less than one by one.

    Returns:
      With r the rewards, gamma the discount, and m <= n the steps of the window, which ends with its episode:
      `observation` [count, ...] and `action` int32 [count] of the window's start; `return` float32 [count], the sum of
      gamma^k r_k over k < m; `next_observation` [count, ...] after m steps; `discount` float32 [count], gamma^m, or 0 if
      the episode terminated.

    Raises:
      ValueError: if `len(self)` is 0.
    """
    stored = self._stored
    oldest = self._written % self._steps * self._copies if self._written > self._steps else 0
    starts = (rng.integers(len(self), size=count) + oldest) % self.capacity
    windows = (starts + self._offsets) % self.capacity  # [n, count]
    ends = stored["end"].take(windows) != _RUNNING
    ends[-1] = True
    last = ends.argmax(axis=0)
    finals = (starts + last * self._copies) % self.capacity
    # Summed over the first axis, whose order of additions does not depend on `count`.
    returns = (stored["reward"].take(windows) * self._weights.take(last, axis=1)).sum(axis=0)
    return {
      "observation": stored["observation"].take(starts, axis=0),
      "action": stored["action"].take(starts),
      "return": returns,
      "discount": self._discounts.take(last) * (stored["end"].take(finals) != _TERMINATED),
      "next_observation": stored["next_observation"].take(finals, axis=0),
    }

  def state(self) -> dict[str, np.ndarray]:
    """Returns copies of what is filled, and how many time steps were ever added."""
    filled = min(self._written, self._steps) * self._copies
    return {"written": np.array(self._written, np.int64), **{name: self._stored[name][:filled].copy() for name in _STORED}}

  def restore(self, arrays: dict[str, np.ndarray]) -> None:
    """Goes on where `state` was taken, bit for bit.

    Raises:
      WorkdirError: if it was taken of a memory of another size or of other observations.
    """
    written = int(arrays["written"])
    filled = min(written, self._steps) * self._copies
    for name in _STORED:
      needed = self._stored[name][:filled]
      if arrays[name].shape != needed.shape or arrays[name].dtype != needed.dtype:
        raise WorkdirError(f"the replay memory was saved with {name} {arrays[name].dtype} {arrays[name].shape}, "
                           f"the config needs {needed.dtype} {needed.shape}")
    for name in _STORED:
      self._stored[name][:filled] = arrays[name]
    self._written = written
