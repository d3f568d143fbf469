"""Environments that repeat themselves exactly."""

import subprocess
import sys

import numpy as np
import pytest

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.rl.environments import Environments, episode_seed
from dlsuite.rl.episodes import play, record
from dlsuite.rl.registry import check

gymnasium = pytest.importorskip("gymnasium", reason="Gymnasium comes with the extra `rl`")

CARTPOLE = "CartPole-v1"


def always_right(observations):
  return np.ones(len(observations), np.int64)


def balance(observations):
  """Pushes to where the pole falls: it stays up for as long as it is let."""
  return (observations @ np.array([0.05, 0.3, 1.0, 1.0]) > 0).astype(np.int64)


def random_actions(steps, copies, num_actions=2, seed=0):
  return np.random.default_rng(seed).integers(num_actions, size=(steps, copies))


class Drifting(gymnasium.Env):
  """Walks on a line from where chance puts it, but not the environment's own chance; ends after ten steps."""

  observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
  action_space = gymnasium.spaces.Discrete(2, start=5)
  chance = np.random.default_rng(0)

  def reset(self, *, seed=None, options=None):
    self.steps, self.place = 0, self.chance.random()
    return np.array([self.place]), {}

  def step(self, action):
    assert action in (5, 6)
    self.steps += 1
    self.place += action
    return np.array([self.place]), float(action), self.steps == 10, False, {}


class Counting(gymnasium.Env):
  """Shows the step's number in a picture of 2 x 2; always in the same buffer."""

  observation_space = gymnasium.spaces.Box(0, 255, (2, 2), np.uint8)
  action_space = gymnasium.spaces.MultiDiscrete([2, 2])

  def __init__(self, finite=True, render_mode=None):
    self.buffer = np.zeros((2, 2), np.uint8)
    if finite:
      self.action_space = gymnasium.spaces.Discrete(2)

  def reset(self, *, seed=None, options=None):
    self.buffer[:] = 0
    return self.buffer, {}

  def step(self, action):
    self.buffer += 1
    return self.buffer, 1.0, bool(self.buffer[0, 0] == 3), False, {}


@pytest.fixture(scope="module", autouse=True)
def own_environments():
  """Registers the environments above."""
  gymnasium.register("DlsuiteDrifting-v0", entry_point=Drifting)
  gymnasium.register("DlsuiteCounting-v0", entry_point=Counting)
  gymnasium.register("DlsuiteTwoParts-v0", entry_point=Counting, kwargs={"finite": False})
  yield
  for name in ("DlsuiteDrifting-v0", "DlsuiteCounting-v0", "DlsuiteTwoParts-v0"):
    del gymnasium.registry[name]


def test_importing_loads_neither_tensorflow_nor_gymnasium():
  code = ("import sys, dlsuite.rl.environments, dlsuite.rl.replay\n"
          "assert not {'tensorflow', 'keras', 'gymnasium'} & set(sys.modules)")
  subprocess.run([sys.executable, "-c", code], check=True)


# What happens in a step.


def test_each_copy_does_what_gymnasium_does_with_its_seeds_and_the_true_successor_comes_also_at_an_end():
  environments = Environments(CARTPOLE, 3, seed=7)
  raw = [gymnasium.make(CARTPOLE) for _ in range(3)]
  episodes, lengths, returns = [0] * 3, [0] * 3, [0.0] * 3
  current = np.stack([env.reset(seed=episode_seed(7, "train", copy, 0))[0] for copy, env in enumerate(raw)])
  for actions in random_actions(120, 3):
    np.testing.assert_array_equal(environments.observations, current)
    transition = environments.step(actions)
    np.testing.assert_array_equal(transition.observations, current)
    np.testing.assert_array_equal(transition.actions, actions)
    finished = []
    for copy, env in enumerate(raw):
      successor, reward, terminated, truncated, _ = env.step(actions[copy])
      np.testing.assert_array_equal(transition.next_observations[copy], successor)
      assert (transition.rewards[copy], transition.terminated[copy], transition.truncated[copy]) == (
        reward, terminated, truncated)
      lengths[copy] += 1
      returns[copy] += reward
      current[copy] = successor
      if terminated or truncated:
        finished.append((returns[copy], lengths[copy]))
        episodes[copy], lengths[copy], returns[copy] = episodes[copy] + 1, 0, 0.0
        current[copy] = env.reset(seed=episode_seed(7, "train", copy, episodes[copy]))[0]
    assert list(zip(transition.finished_returns, transition.finished_lengths, strict=True)) == finished
  assert min(episodes) >= 2


def test_a_transition_keeps_its_values_when_the_environments_go_on():
  environments = Environments("DlsuiteCounting-v0", 2, seed=0)
  assert environments.observation_dtype == np.uint8
  actions = np.zeros(2, np.int32)
  seen = []
  for step in range(4):  # three steps an episode, all in one buffer
    actions[:] = step % 2
    seen.append(environments.step(actions))
  assert [t.actions.tolist() for t in seen] == [[0, 0], [1, 1], [0, 0], [1, 1]]
  assert [int(t.observations[0, 0, 0]) for t in seen] == [0, 1, 2, 0]
  assert [int(t.next_observations[1, 1, 1]) for t in seen] == [1, 2, 3, 1]
  assert [t.finished_lengths for t in seen] == [(), (), (3, 3), ()]
  assert all(t.observations.dtype == np.uint8 for t in seen)


def test_cartpole_has_the_types_and_shapes_of_its_documentation():
  environments = Environments(CARTPOLE, 2, seed=0)
  assert (environments.num_actions, environments.observation_shape, environments.observation_dtype) == (2, (4,), np.float32)
  transition = environments.step(np.array([0, 1]))
  assert [(a.dtype, a.shape) for a in (transition.observations, transition.actions, transition.rewards,
                                       transition.next_observations, transition.terminated, transition.truncated)] == [
    (np.float32, (2, 4)), (np.int32, (2,)), (np.float32, (2,)), (np.float32, (2, 4)), (np.bool_, (2,)), (np.bool_, (2,))]


def test_actions_count_from_zero_where_the_environments_do_not_and_observations_become_float32():
  environments = Environments("DlsuiteDrifting-v0", 2, seed=0)
  transition = environments.step(np.array([0, 1]))
  assert transition.rewards.tolist() == [5.0, 6.0]
  assert transition.next_observations.dtype == np.float32


def test_an_episode_cut_off_by_the_time_limit_has_not_terminated():
  environments = Environments(CARTPOLE, 2, seed=3)
  for step in range(500):
    transition = environments.step(balance(environments.observations))
    assert transition.truncated.tolist() == [step == 499] * 2
    assert not transition.terminated.any()
  assert (transition.finished_returns, transition.finished_lengths) == ((500.0, 500.0), (500, 500))
  assert not np.array_equal(transition.next_observations, environments.observations)


def test_always_right_falls_within_about_ten_steps():
  environments = Environments(CARTPOLE, 4, seed=0)
  lengths = [n for _ in range(100) for n in environments.step(always_right(environments.observations)).finished_lengths]
  assert len(lengths) >= 32
  assert all(8 <= length <= 11 for length in lengths)


def test_the_wrong_number_of_actions_is_an_error():
  with pytest.raises(ValueError, match="zip"):
    Environments(CARTPOLE, 2, seed=0).step(np.zeros(3))


# Repeating.


def first_observations(count=2, seed=0, stream="train"):
  return Environments(CARTPOLE, count, seed, stream).observations


def test_an_episode_is_a_function_of_its_seed_and_its_actions_whatever_was_done_before():
  a, b = Environments(CARTPOLE, 2, seed=5), Environments(CARTPOLE, 2, seed=5)
  # Two ways through the first episodes, of different lengths.
  for environments, first_policy in ((a, always_right), (b, lambda o: 1 - always_right(o))):
    while environments.state()["episode"][0] == 0:
      environments.step(np.where([True, False], first_policy(environments.observations), balance(environments.observations)))
  np.testing.assert_array_equal(a.observations[0], b.observations[0])
  for actions in random_actions(10, 2):
    x, y = a.step(actions), b.step(actions)
    np.testing.assert_array_equal(x.next_observations[0], y.next_observations[0])
    if x.terminated[0]:
      break


def test_copies_episodes_seeds_and_streams_all_start_differently():
  starts = [first_observations(2), first_observations(2, seed=1), first_observations(2, stream="evaluate")]
  environments = Environments("CartPole-v1", 2, seed=0)
  for _ in range(60):
    terminated = environments.step(always_right(environments.observations)).terminated
    starts.append(environments.observations[terminated])
  every = np.concatenate(starts)
  assert len(np.unique(every, axis=0)) == len(every) >= 6 + 2 * 5
  seeds = {episode_seed(s, stream, c, e) for s in range(4) for stream in ("a", "b") for c in range(8) for e in range(8)}
  assert len(seeds) == 4 * 2 * 8 * 8
  assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_copy_does_not_depend_on_how_many_others_there_are():
  np.testing.assert_array_equal(first_observations(1), first_observations(5)[:1])


@pytest.mark.parametrize("name", [CARTPOLE, "Acrobot-v1", "MountainCar-v0"])
def test_restoring_in_the_middle_of_episodes_goes_on_identically(name):
  environments = Environments(name, 3, seed=2)
  for actions in random_actions(70, 3):
    environments.step(actions)
  state = environments.state()
  assert state["length"].min() > 0
  resumed = Environments(name, 3, seed=2)
  resumed.step(np.zeros(3))
  resumed.restore(state)
  for actions in random_actions(250, 3, seed=1):  # beyond MountainCar's limit of 200 steps
    x, y = environments.step(actions), resumed.step(actions)
    for field in ("observations", "actions", "rewards", "next_observations", "terminated", "truncated"):
      np.testing.assert_array_equal(getattr(x, field), getattr(y, field))
    assert (x.finished_returns, x.finished_lengths) == (y.finished_returns, y.finished_lengths)
    np.testing.assert_array_equal(environments.observations, resumed.observations)
  for key, value in environments.state().items():
    np.testing.assert_array_equal(value, resumed.state()[key])


def test_the_state_is_a_snapshot():
  environments = Environments(CARTPOLE, 2, seed=0)
  state = environments.state()
  before = {key: value.copy() for key, value in state.items()}
  for actions in random_actions(30, 2):
    environments.step(actions)
  for key, value in state.items():
    np.testing.assert_array_equal(value, before[key])


def test_atari_games_with_sticky_actions_are_restored_too():
  pytest.importorskip("ale_py", reason="the Atari games come with the extra `rl`")
  environments, resumed = Environments("ALE/Breakout-v5", 1, seed=0), Environments("ALE/Breakout-v5", 1, seed=0)
  for actions in random_actions(60, 1, num_actions=4):
    environments.step(actions)
  resumed.restore(environments.state())
  for actions in random_actions(60, 1, num_actions=4, seed=1):
    np.testing.assert_array_equal(environments.step(actions).next_observations, resumed.step(actions).next_observations)
  assert environments.observation_shape == (210, 160, 3)
  assert environments.observation_dtype == np.uint8


def test_an_environment_that_does_not_repeat_itself_cannot_be_resumed():
  environments = Environments("DlsuiteDrifting-v0", 2, seed=0)
  environments.step(np.zeros(2))
  resumed = Environments("DlsuiteDrifting-v0", 2, seed=0)
  with pytest.raises(WorkdirError, match=r"'DlsuiteDrifting-v0' is not deterministic given its seed.*cannot be resumed"):
    resumed.restore(environments.state())


@pytest.mark.parametrize("spoilt", [{"return": np.array([5.5, 5.0])}, {"actions": np.ones(2, np.int32)}])
def test_a_state_that_its_actions_do_not_lead_to_is_noticed(spoilt):
  environments = Environments(CARTPOLE, 2, seed=0)
  environments.step(np.zeros(2))
  with pytest.raises(WorkdirError, match="not deterministic"):
    environments.restore({**environments.state(), **spoilt})


def test_a_state_of_another_number_of_copies_is_refused():
  with pytest.raises(WorkdirError, match=r"saved with observations \(2, 4\), the config needs \(3, 4\)"):
    Environments(CARTPOLE, 3, seed=0).restore(Environments(CARTPOLE, 2, seed=0).state())


# Evaluation.


def test_a_policy_is_played_on_the_first_episodes_of_its_stream_each_to_its_end():
  environments = Environments(CARTPOLE, 6, seed=4, stream="evaluate")
  lengths = {}
  while len(lengths) < 6:
    transition = environments.step(always_right(environments.observations))
    ended = np.flatnonzero(transition.terminated)
    for copy, length in zip(ended, transition.finished_lengths, strict=True):
      lengths.setdefault(int(copy), length)
  returns = play(CARTPOLE, always_right, 6, seed=4, stream="evaluate")
  assert returns.dtype == np.float64
  assert returns.tolist() == [lengths[copy] for copy in range(6)]
  assert len(set(returns)) > 1  # so that some ended before others


def test_the_policy_always_sees_all_episodes_and_the_time_limit_caps_the_return():
  shapes = set()

  def act(observations):
    shapes.add(observations.shape)
    # Episode 1 falls, the others balance.
    return np.where(np.arange(3) == 1, 1, balance(observations))

  returns = play(CARTPOLE, act, 3, seed=0, stream="evaluate")
  assert returns[[0, 2]].tolist() == [500.0, 500.0]
  assert returns[1] <= 11
  assert shapes == {(3, 4)}


def test_a_recorded_episode_has_a_frame_for_each_observation_and_is_the_first_that_is_played():
  pytest.importorskip("pygame", reason="CartPole draws itself with pygame")
  frames, total = record(CARTPOLE, always_right, seed=4, max_frames=100, stream="evaluate")
  assert total == play(CARTPOLE, always_right, 1, seed=4, stream="evaluate")[0]
  assert len(frames) == total + 1
  assert {(frame.dtype.name, frame.shape) for frame in frames} == {("uint8", (400, 600, 3))}
  assert not np.array_equal(frames[0], frames[-1])
  few, same = record(CARTPOLE, always_right, seed=4, max_frames=3, stream="evaluate")
  assert (len(few), same) == (3, total)
  np.testing.assert_array_equal(few, frames[:3])


def test_a_missing_renderer_is_one_line_that_names_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "pygame", None)
  with pytest.raises(ConfigError, match=r"^environment\.name='CartPole-v1' cannot be drawn: .*gymnasium\[classic-control\].*$"):
    record(CARTPOLE, always_right, seed=0, max_frames=1)


def test_an_environment_without_pictures_cannot_be_recorded():
  with pytest.raises(ConfigError, match=r"environment\.name='DlsuiteCounting-v0' cannot be drawn: it has no render mode"):
    record("DlsuiteCounting-v0", always_right, seed=0, max_frames=1)


# Names.


@pytest.mark.parametrize(("name", "line"), [
  ("Cartpole-v1", r"is unknown \(did you mean 'CartPole-v1'\?\)"),
  ("CartPol-v0", r"is unknown \(did you mean 'CartPole-v1'\?\)"),
  ("CartPole-v7", "is unknown: CartPole exists as CartPole-v0, CartPole-v1"),
  ("CartPole", "is unknown: CartPole exists as CartPole-v0, CartPole-v1"),
  ("", "is unknown;"),
  ("no_such_module:CartPole-v1", "the module no_such_module cannot be imported: No module named 'no_such_module'"),
  ("Pendulum-v1", r"has continuous actions \(Box\(.*\); the agent needs a finite number of actions"),
  ("DlsuiteTwoParts-v0", r"has actions of several parts \(MultiDiscrete\(.*\); the agent needs a finite number of actions"),
  ("FrozenLake-v1", r"has observations Discrete\(16\); only observations that are one array of numbers \(Box\)"),
])
def test_a_name_that_cannot_be_used_is_one_line_with_the_key(name, line):
  with pytest.raises(ConfigError, match=rf"^environment\.name='{name}':? {line}") as caught:
    check(name)
  assert "\n" not in str(caught.value)
  with pytest.raises(ConfigError, match=line):
    Environments(name, 1, seed=0)


@pytest.mark.parametrize(("name", "module", "extra"), [("LunarLander-v3", "Box2D", "box2d"), ("Ant-v5", "mujoco", "mujoco")])
def test_an_environments_own_missing_dependency_is_named_with_its_extra(monkeypatch, name, module, extra):
  monkeypatch.setitem(sys.modules, module, None)
  for loaded in [key for key in sys.modules if key.startswith(f"gymnasium.envs.{extra}")]:
    monkeypatch.delitem(sys.modules, loaded)
  with pytest.raises(ConfigError, match=rf"^environment\.name='{name}' cannot be made: .*gymnasium\[{extra}\]"):
    check(name)


def test_without_gymnasium_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "gymnasium", None)
  with pytest.raises(ConfigError, match=r"^environment\.name='CartPole-v1' needs the extra `rl`: pip install -e \.\[rl\]$"):
    check(CARTPOLE)


def test_without_ale_py_an_atari_name_names_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "ale_py", None)
  with pytest.raises(ConfigError, match=r"^environment\.name='ALE/NoGame-v5' needs the extra `rl`"):
    check("ALE/NoGame-v5")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["CartPole-v0", CARTPOLE, "gymnasium.envs:CartPole-v1"])
def test_usable_names_pass_without_a_warning_old_versions_too(name):
  check(name)
  Environments(name, 1, seed=0).step(np.zeros(1))
