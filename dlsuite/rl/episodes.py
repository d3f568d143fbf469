"""Whole episodes played by a policy: many for their returns, or one for a film."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from dlsuite.errors import ConfigError, first_line
from dlsuite.quiet import quiet_stderr
from dlsuite.rl.environments import episode_seed
from dlsuite.rl.registry import KEY, make, no_warnings, observation_dtype

Policy = Callable[[np.ndarray], np.ndarray]  # observations [N, ...] -> actions [N]


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
      envs.append(make(name))
      stack.callback(envs[-1].close)
    space = envs[0].observation_space
    observations = np.empty((episodes, *space.shape), observation_dtype(space))
    with no_warnings():
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
  with contextlib.closing(make(name, render_mode="rgb_array")) as env:
    space = env.observation_space
    observation = np.empty((1, *space.shape), observation_dtype(space))
    with no_warnings():
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


def check_drawable(name: str) -> None:
  """Draws the first observation of an environment.

  Args:
    name: as for `check`.

  Raises:
    ConfigError: as `check`; also if the environment cannot be drawn.
  """
  with contextlib.closing(make(name, render_mode="rgb_array")) as env:
    with no_warnings():
      env.reset(seed=0)
    with quiet_stderr():
      _frame(name, env)


def _frame(name: str, env: Any) -> np.ndarray:
  if "rgb_array" not in env.metadata.get("render_modes", ()):
    raise ConfigError(f"{KEY}={name!r} cannot be drawn: it has no render mode `rgb_array`")
  try:
    with no_warnings():
      return np.array(env.render(), np.uint8)
  except Exception as e:
    raise ConfigError(f"{KEY}={name!r} cannot be drawn: {first_line(e)}") from e
