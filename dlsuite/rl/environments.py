"""Gymnasium environments: many copies side by side that repeat themselves exactly, evaluation, and one recorded episode."""

import contextlib
import dataclasses
import importlib
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dlsuite.errors import ConfigError, WorkdirError, first_line, nearest
from dlsuite.quiet import quiet_stderr

Policy = Callable[[np.ndarray], np.ndarray]  # observations [N, ...] -> actions [N]

_KEY = "environment.name"
_NEEDS_EXTRA = "needs the extra `rl`: pip install 'dlsuite[rl]'"


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


def check(name: str) -> None:
  """Makes the environment once.

  Args:
    name: Gymnasium's id with its version, e.g. `CartPole-v1`, or `module:id` for one that a module registers.

  Raises:
    ConfigError: if there is no such environment, it needs something that is not installed, it has no finite number of
      actions, or its observations are not one array.
  """
  _make(name).close()


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
    self._envs = [_make(name) for _ in range(count)]
    space = self._envs[0].observation_space
    self.num_actions = int(self._envs[0].action_space.n)
    self.observation_shape: tuple[int, ...] = tuple(space.shape)
    self.observation_dtype = _observation_dtype(space)
    self._first_action = int(self._envs[0].action_space.start)
    self._episodes = [0] * count
    self._returns = [0.0] * count
    self._histories: list[list[int]] = [[] for _ in range(count)]
    self.observations = self._empty()
    with _no_warnings():
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
    with _no_warnings():
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
          raise WorkdirError(f"{_KEY}={self._name!r} is not deterministic given its seed, or its version has changed: the "
                             "run cannot be resumed exactly; start it again in a new --workdir")

  def _empty(self) -> np.ndarray:
    return np.empty((self.count, *self.observation_shape), self.observation_dtype)

  def _begin(self, copy: int, episode: int) -> Any:
    self._episodes[copy] = episode
    self._returns[copy] = 0.0
    self._histories[copy] = []
    observation, _ = self._envs[copy].reset(seed=episode_seed(self._seed, self._stream, copy, episode))
    return observation


def play(name: str, act: Policy, episodes: int, seed: int, stream: str) -> np.ndarray:
  """Plays some episodes side by side, each to its end.

  Args:
    name: as for `check`.
    act: always gets all observations [episodes, ...], the last one of an episode that has ended; its action is ignored.
    episodes: how many.
    seed: the run's seed.
    stream: as for `Environments`; the episodes are the first of its copies.

  Returns:
    The undiscounted returns, float64 [episodes].

  Raises:
    ConfigError: as `check`.
  """
  with contextlib.ExitStack() as stack:
    envs = []
    for _ in range(episodes):
      envs.append(_make(name))
      stack.callback(envs[-1].close)
    space = envs[0].observation_space
    observations = np.empty((episodes, *space.shape), _observation_dtype(space))
    with _no_warnings():
      for copy, env in enumerate(envs):
        observations[copy], _ = env.reset(seed=episode_seed(seed, stream, copy, 0))
    returns = np.zeros(episodes, np.float64)
    running = list(range(episodes))
    first_action = int(envs[0].action_space.start)
    while running:
      actions = np.asarray(act(observations)).tolist()
      still = []
      for copy in running:
        observations[copy], reward, over, cut, _ = envs[copy].step(first_action + actions[copy])
        returns[copy] += reward
        if not (over or cut):
          still.append(copy)
      running = still
    return returns


def record(name: str, act: Policy, seed: int, max_frames: int, stream: str = "record") -> tuple[list[np.ndarray], float]:
  """Plays one episode to its end and draws it: the first of those that `play` plays with the same seed and stream.

  Args:
    name: as for `check`.
    act: gets observations [1, ...].
    seed: the run's seed.
    max_frames: how many frames to keep, from the first observation on; the episode may go on without.
    stream: as for `Environments`.

  Returns:
    The frames, uint8 [H, W, 3] each, and the undiscounted return of the whole episode.

  Raises:
    ConfigError: as `check`; also if the environment cannot be drawn.
  """
  with contextlib.closing(_make(name, render_mode="rgb_array")) as env:
    space = env.observation_space
    observation = np.empty((1, *space.shape), _observation_dtype(space))
    with _no_warnings():
      observation[0], _ = env.reset(seed=episode_seed(seed, stream, 0, 0))
    frames: list[np.ndarray] = []
    total, ended = 0.0, False
    while True:
      if len(frames) < max_frames:
        # With the first frame the renderer starts, and complains of a machine without a screen.
        with contextlib.nullcontext() if frames else quiet_stderr():
          frames.append(_frame(name, env))
      if ended:
        return frames, total
      action = int(np.asarray(act(observation))[0])
      observation[0], reward, over, cut, _ = env.step(int(env.action_space.start) + action)
      total += float(reward)
      ended = bool(over or cut)


def _frame(name: str, env: Any) -> np.ndarray:
  if "rgb_array" not in env.metadata.get("render_modes", ()):
    raise ConfigError(f"{_KEY}={name!r} cannot be drawn: it has no render mode `rgb_array`")
  try:
    with _no_warnings():
      return np.array(env.render(), np.uint8)
  except Exception as e:
    raise ConfigError(f"{_KEY}={name!r} cannot be drawn: {first_line(e)}") from e


def _make(name: str, **kwargs: Any) -> Any:
  with _no_warnings():
    try:
      import gymnasium
    except ImportError as e:
      raise ConfigError(f"{_KEY}={name!r} {_NEEDS_EXTRA}") from e
    _check_registered(name)
    try:
      env = gymnasium.make(name, disable_env_checker=True, **kwargs)
    except Exception as e:
      raise ConfigError(f"{_KEY}={name!r} cannot be made: {first_line(e)}") from e
  actions, observations = env.action_space, env.observation_space
  if not isinstance(actions, gymnasium.spaces.Discrete):
    kind = "continuous actions" if isinstance(actions, gymnasium.spaces.Box) else "actions of several parts"
    env.close()
    raise ConfigError(f"{_KEY}={name!r} has {kind} ({_line(actions)}); the agent needs a finite number of actions")
  if not isinstance(observations, gymnasium.spaces.Box):
    env.close()
    raise ConfigError(f"{_KEY}={name!r} has observations {_line(observations)}; "
                      "only observations that are one array of numbers (Box) are supported")
  return env


def _check_registered(name: str) -> None:
  import gymnasium

  module, _, wanted = name.rpartition(":")
  if module:
    try:
      importlib.import_module(module)
    except Exception as e:
      raise ConfigError(f"{_KEY}={name!r}: the module {module} cannot be imported: {first_line(e)}") from e
  registry = gymnasium.registry
  if wanted not in registry:
    try:
      import ale_py  # registers the Atari games

      ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # without it each game prints a banner
    except ImportError as e:
      if wanted.startswith("ALE/"):
        raise ConfigError(f"{_KEY}={name!r} {_NEEDS_EXTRA}") from e
  if wanted in registry:
    return
  families: dict[str, list[Any]] = {}
  for spec in registry.values():
    families.setdefault(_without_version(spec.id), []).append(spec)
  family = _without_version(wanted)
  versions = sorted(spec.version for spec in families.get(family, []) if spec.version is not None)
  if versions:
    raise ConfigError(f"{_KEY}={name!r} is unknown: {family} exists as {', '.join(f'{family}-v{v}' for v in versions)}")
  latest = [max(specs, key=lambda spec: spec.version or 0).id for specs in families.values()]
  raise ConfigError(f"{_KEY}={name!r} is unknown{nearest(wanted, latest)}; gymnasium.pprint_registry() shows all")


def _without_version(name: str) -> str:
  return re.sub(r"-v\d+$", "", name)


def _line(space: Any) -> str:
  text = " ".join(str(space).split())
  return text if len(text) <= 80 else text[:77] + "..."


def _observation_dtype(space: Any) -> np.dtype:
  return np.dtype(np.uint8 if space.dtype == np.uint8 else np.float32)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
  # Gymnasium warns of old versions and of what it does not need; all that matters to a run is an error here.
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    yield
