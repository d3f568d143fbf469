"""Gymnasium environments by their ids: what is wrong with one is said in one line."""

import contextlib
import importlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from dlsuite.errors import ConfigError, first_line, nearest

KEY = "environment.name"
_NEEDS_EXTRA = "needs the extra `rl`: pip install -e .[rl]"


def check(name: str) -> None:
  """Makes the environment once.

  Args:
    name: Gymnasium's id with its version, e.g. `CartPole-v1`, or `module:id` for one that a module registers.

  Raises:
    ConfigError: if there is no such environment, it needs something that is not installed, it has no finite number of
      actions, or its observations are not one array.
  """
  make(name).close()


def make(name: str, **kwargs: Any) -> Any:
  """Returns the environment of an id; `kwargs` go to `gymnasium.make`.

  Raises:
    ConfigError: as `check`.
  """
  with no_warnings():
    try:
      import gymnasium
    except ImportError as e:
      raise ConfigError(f"{KEY}={name!r} {_NEEDS_EXTRA}") from e
    _check_registered(name)
    try:
      env = gymnasium.make(name, disable_env_checker=True, **kwargs)
    except Exception as e:
      raise ConfigError(f"{KEY}={name!r} cannot be made: {first_line(e)}") from e
  actions, observations = env.action_space, env.observation_space
  if not isinstance(actions, gymnasium.spaces.Discrete):
    kind = "continuous actions" if isinstance(actions, gymnasium.spaces.Box) else "actions of several parts"
    env.close()
    raise ConfigError(f"{KEY}={name!r} has {kind} ({_line(actions)}); the agent needs a finite number of actions")
  if not isinstance(observations, gymnasium.spaces.Box):
    env.close()
    raise ConfigError(f"{KEY}={name!r} has observations {_line(observations)}; "
                      "only observations that are one array of numbers (Box) are supported")
  return env


def _check_registered(name: str) -> None:
  import gymnasium

  module, _, wanted = name.rpartition(":")
  if module:
    try:
      importlib.import_module(module)
    except Exception as e:
      raise ConfigError(f"{KEY}={name!r}: the module {module} cannot be imported: {first_line(e)}") from e
  registry = gymnasium.registry
  if wanted not in registry:
    try:
      import ale_py  # registers the Atari games

      ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # without it each game prints a banner
    except ImportError as e:
      if wanted.startswith("ALE/"):
        raise ConfigError(f"{KEY}={name!r} {_NEEDS_EXTRA}") from e
  if wanted in registry:
    return
  families: dict[str, list[Any]] = {}
  for spec in registry.values():
    families.setdefault(_without_version(spec.id), []).append(spec)
  family = _without_version(wanted)
  versions = sorted(spec.version for spec in families.get(family, []) if spec.version is not None)
  if versions:
    raise ConfigError(f"{KEY}={name!r} is unknown: {family} exists as {', '.join(f'{family}-v{v}' for v in versions)}")
  latest = [max(specs, key=lambda spec: spec.version or 0).id for specs in families.values()]
  raise ConfigError(f"{KEY}={name!r} is unknown{nearest(wanted, latest)}; gymnasium.pprint_registry() shows all")


def _without_version(name: str) -> str:
  return re.sub(r"-v\d+$", "", name)


def _line(space: Any) -> str:
  text = " ".join(str(space).split())
  return text if len(text) <= 80 else text[:77] + "..."


def observation_dtype(space: Any) -> np.dtype:
  """Returns uint8 for a space of bytes, float32 for any other."""
  return np.dtype(np.uint8 if space.dtype == np.uint8 else np.float32)


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
  """Silences Gymnasium's warnings."""
  # Gymnasium warns of old versions and of what it does not need; all that matters to a run is an error here.
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    yield
