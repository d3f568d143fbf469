"""Many copies of a gymnasium environment side by side, which repeat themselves exactly."""

import dataclasses
import zlib
from typing import Any

import numpy as np

from dlsuite.errors import WorkdirError
from dlsuite.rl.registry import KEY, make, no_warnings, observation_dtype


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
  """One time step of N copies. The arrays are shared with the environments: read them, do not write to them.

  Attributes:
    observations: float32 or uint8 [N, ...], what the actions answered.
    actions: int32 [N], from 0.
    rewards: float32 [N].
    next_observations: like `observations`: what followed, also where the episode ended.
    terminated: bool [N], the episode ended in the task itself: nothing follows.
    truncated: bool [N], the episode was cut off, e.g. by a time limit: something would have followed.
    finished_returns: the undiscounted returns of the episodes that ended here, in the order of the copies.
    finished_lengths: their lengths in steps.
  """

  observations: np.ndarray
  actions: np.ndarray
  rewards: np.ndarray
  next_observations: np.ndarray
  terminated: np.ndarray
  truncated: np.ndarray
  finished_returns: tuple[float, ...]
  finished_lengths: tuple[int, ...]


def episode_seed(seed: int, stream: str, copy: int, episode: int) -> int:
  """Returns the seed of one episode, in [0, 2**31): the episodes of different streams, copies and numbers are independent."""
  # A signed 32-bit number is the least that all environments take.
  key = (zlib.crc32(stream.encode()), copy, episode)
  return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0]) >> 1


class Environments:
  """N copies of one environment that step together; an ended episode is followed by the next in the same step.

  Each episode is reset with a seed of its own, so that a copy's state depends on nothing but that seed and the actions
  taken since.

  Attributes:
    count: N.
    num_actions: the actions are 0 ... num_actions - 1.
    observation_shape: of one observation.
    observation_dtype: uint8 if the environment's own is, else float32.
    observations: [N, ...], what the next actions answer; after an end the first of the next episode.
  """

  def __init__(self, name: str, count: int, seed: int, stream: str = "train") -> None:
    """Makes and resets the copies.

    Args:
      name: as for `check`.
      count: number of copies.
      seed: the run's seed.
      stream: what the copies are for; another stream has other episodes.

    Raises:
      ConfigError: as `check`.
    """
    self.count = count
    self._name = name
    self._seed = seed
    self._stream = stream
    self._envs = [make(name) for _ in range(count)]
    space = self._envs[0].observation_space
    self.num_actions = int(self._envs[0].action_space.n)
    self.observation_shape: tuple[int, ...] = tuple(space.shape)
    self.observation_dtype = observation_dtype(space)
    self._first_action = int(self._envs[0].action_space.start)
    self._episodes = [0] * count
    self._returns = [0.0] * count
    self._histories: list[list[int]] = [[] for _ in range(count)]
    self.observations = self._empty()
    with no_warnings():
      for copy in range(count):
        self.observations[copy] = self._begin(copy, 0)

  def step(self, actions: np.ndarray) -> Transition:
    """Takes one action in each copy.

    Args:
      actions: whole numbers [N], each in [0, num_actions).

    Returns:
      What happened; `observations` has moved on.
    """
    actions = np.array(actions, np.int32)
    rewards = np.empty(self.count, np.float32)
    successors = self._empty()
    terminated = np.zeros(self.count, bool)
    truncated = np.zeros(self.count, bool)
    ended = []
    for copy, (env, action) in enumerate(zip(self._envs, actions.tolist(), strict=True)):
      successors[copy], reward, over, cut, _ = env.step(self._first_action + action)
      rewards[copy] = reward
      self._returns[copy] += float(reward)
      self._histories[copy].append(action)
      if over or cut:
        terminated[copy], truncated[copy] = over, cut
        ended.append(copy)
    observations, self.observations = self.observations, successors
    returns = tuple(self._returns[copy] for copy in ended)
    lengths = tuple(len(self._histories[copy]) for copy in ended)
    if ended:
      self.observations = successors.copy()
      for copy in ended:
        self.observations[copy] = self._begin(copy, self._episodes[copy] + 1)
    return Transition(observations, actions, rewards, successors, terminated, truncated, returns, lengths)

  def state(self) -> dict[str, np.ndarray]:
    """Returns all that `restore` needs: the episodes' numbers and what was done in them so far."""
    return {
      "episode": np.array(self._episodes, np.int64),
      "length": np.array([len(history) for history in self._histories], np.int64),
      "return": np.array(self._returns, np.float64),
      "actions": np.array([action for history in self._histories for action in history], np.int32),
      "observations": self.observations,
    }

  def restore(self, arrays: dict[str, np.ndarray]) -> None:
    """Goes on where `state` was taken: plays each copy's unfinished episode again up to there.

    Raises:
      WorkdirError: if it was taken of another number of copies, or if an episode does not come out the same.
    """
    if arrays["observations"].shape != self.observations.shape:
      raise WorkdirError(f"the environments were saved with observations {arrays['observations'].shape}, "
                         f"the config needs {self.observations.shape}")
    self.observations = self._empty()
    histories = np.split(arrays["actions"], np.cumsum(arrays["length"])[:-1])
    with no_warnings():
      for copy, (env, history) in enumerate(zip(self._envs, histories, strict=True)):
        self.observations[copy] = self._begin(copy, int(arrays["episode"][copy]))
        ended = False
        for action in history.tolist():
          self.observations[copy], reward, over, cut, _ = env.step(self._first_action + action)
          self._returns[copy] += float(reward)
          self._histories[copy].append(action)
          ended = bool(over or cut)
          if ended:
            break
        there = self._returns[copy] == arrays["return"][copy]
        if ended or not there or self.observations[copy].tobytes() != arrays["observations"][copy].tobytes():
          raise WorkdirError(f"{KEY}={self._name!r} is not deterministic given its seed, or its version has changed: the "
                             "run cannot be resumed exactly; start it again in a new --workdir")

  def _empty(self) -> np.ndarray:
    return np.empty((self.count, *self.observation_shape), self.observation_dtype)

  def _begin(self, copy: int, episode: int) -> Any:
    self._episodes[copy] = episode
    self._returns[copy] = 0.0
    self._histories[copy] = []
    observation, _ = self._envs[copy].reset(seed=episode_seed(self._seed, self._stream, copy, episode))
    return observation
