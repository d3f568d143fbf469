"""The replay memory against windows gathered one step at a time."""

import collections

import numpy as np
import pytest

from dlsuite.errors import ConfigError, WorkdirError
from dlsuite.rl.environments import Transition
from dlsuite.rl.replay import Replay


def history(steps, copies, seed=0, shape=(2,), dtype=np.float32, end=0.25):
  """Returns made-up time steps; each observation holds its own number, so that it says where it is from."""
  rng = np.random.default_rng(seed)
  number = 0
  transitions = []
  for _ in range(steps):
    observations = np.zeros((2, copies, *shape), dtype)
    for which in range(2):
      for copy in range(copies):
        observations[which, copy] = number % 251 if dtype == np.uint8 else number
        number += 1
    transitions.append(Transition(
      observations[0], rng.integers(5, size=copies).astype(np.int32), rng.normal(size=copies).astype(np.float32),
      observations[1], rng.random(copies) < end / 2, rng.random(copies) < end / 2, (), ()))
  return transitions


def one_copy(rewards, terminated=(), truncated=()):
  """Returns the time steps of one copy: observation t is [t], its successor [t + 0.5]."""
  return [Transition(np.array([[t]], np.float32), np.array([t], np.int32), np.array([reward], np.float32),
                     np.array([[t + 0.5]], np.float32), np.array([t in terminated]), np.array([t in truncated]), (), ())
          for t, reward in enumerate(rewards)]


def window(kept, time, copy, n_step, gamma):
  """Returns one window, step by step."""
  total, scale = 0.0, 1.0
  for t in range(time, time + n_step):
    step = kept[t]
    total += scale * float(step.rewards[copy])
    scale *= gamma
    if step.terminated[copy]:
      return total, 0.0, step.next_observations[copy]
    if step.truncated[copy]:
      break
  return total, scale, step.next_observations[copy]


def filled(transitions, capacity, n_step, gamma, dtype=np.float32):
  copies, *shape = transitions[0].observations.shape
  memory = Replay(capacity, copies, tuple(shape), dtype, n_step, gamma)
  for transition in transitions:
    memory.add(transition)
  return memory


def every_window(memory, draws=4000):
  """Returns what was drawn for each first observation; all draws of one must agree."""
  sample = memory.sample(np.random.default_rng(0), draws)
  windows = {}
  for i in range(draws):
    start = float(np.ravel(sample["observation"][i])[0])
    found = (int(sample["action"][i]), float(sample["return"][i]), float(sample["discount"][i]),
             float(np.ravel(sample["next_observation"][i])[0]))
    assert windows.setdefault(start, found) == found
  return windows


# Worked by hand, with gamma 1/2: all numbers are exact.


def test_windows_add_up_discounted_rewards_and_bootstrap_from_n_steps_on():
  memory = filled(one_copy([1, 2, 4, 8, 16]), 10, n_step=3, gamma=0.5)
  assert len(memory) == 3
  assert every_window(memory) == {
    0.0: (0, 1 + 1 + 1, 0.125, 2.5), 1.0: (1, 2 + 2 + 2, 0.125, 3.5), 2.0: (2, 4 + 4 + 4, 0.125, 4.5)}


def test_a_window_ends_at_a_termination_and_bootstraps_from_nothing():
  memory = filled(one_copy([1, 2, 4, 8, 16], terminated=[1]), 10, n_step=3, gamma=0.5)
  windows = every_window(memory)
  assert [windows[t][:3] for t in (0, 1, 2)] == [(0, 1 + 1, 0.0), (1, 2, 0.0), (2, 12, 0.125)]


def test_a_window_ends_at_a_truncation_and_bootstraps_from_the_true_successor():
  memory = filled(one_copy([1, 2, 4, 8, 16], truncated=[1]), 10, n_step=3, gamma=0.5)
  assert every_window(memory) == {0.0: (0, 2, 0.25, 1.5), 1.0: (1, 2, 0.5, 1.5), 2.0: (2, 12, 0.125, 4.5)}


def test_a_step_that_is_both_terminated_and_truncated_counts_as_terminated():
  memory = filled(one_copy([1, 2, 4], terminated=[0], truncated=[0]), 10, n_step=2, gamma=0.5)
  assert every_window(memory)[0.0] == (0, 1.0, 0.0, 0.5)


def test_a_full_memory_forgets_the_oldest_and_no_window_crosses_the_seam():
  memory = filled(one_copy(range(6)), 4, n_step=2, gamma=0.5)  # times 4 5 2 3 in the ring's places
  assert len(memory) == 3
  assert every_window(memory) == {2.0: (2, 3.5, 0.25, 3.5), 3.0: (3, 5.0, 0.25, 4.5), 4.0: (4, 6.5, 0.25, 5.5)}


def test_one_step_is_the_plain_transition():
  memory = filled(one_copy([1, 2, 4], terminated=[2]), 10, n_step=1, gamma=0.5)
  assert every_window(memory) == {0.0: (0, 1, 0.5, 0.5), 1.0: (1, 2, 0.5, 1.5), 2.0: (2, 4, 0.0, 2.5)}


# Against the slow way.


@pytest.mark.parametrize("n_step", [1, 2, 3, 5])
@pytest.mark.parametrize("steps", [6, 11, 12, 13, 29, 36])
def test_random_histories_give_the_windows_of_the_slow_way_and_no_others(steps, n_step):
  copies, gamma, capacity = 3, 0.9, 38  # 12 whole time steps
  transitions = history(steps, copies)
  memory = filled(transitions, capacity, n_step, gamma)
  kept = transitions[-12:]
  expected = {}
  for time in range(len(kept) - n_step + 1):
    for copy in range(copies):
      total, discount, successor = window(kept, time, copy, n_step, gamma)
      expected[float(kept[time].observations[copy, 0])] = (int(kept[time].actions[copy]), total, discount, float(successor[0]))
  windows = every_window(memory)
  assert len(memory) == len(expected)
  assert windows.keys() == expected.keys()
  for start, found in windows.items():
    np.testing.assert_allclose(found, expected[start], rtol=1e-5, atol=1e-6)


def test_all_windows_are_drawn_equally_often():
  memory = filled(history(20, 3), 30, n_step=3, gamma=0.9)
  draws = 80_000
  drawn = collections.Counter(memory.sample(np.random.default_rng(1), draws)["observation"][:, 0].tolist())
  expected = draws / len(memory)
  assert len(drawn) == len(memory) == 24
  chi_square = sum((count - expected)**2 / expected for count in drawn.values())
  assert chi_square < 49.7  # 23 degrees of freedom: exceeded by chance once in a thousand


def test_samples_have_the_documented_types_and_pictures_stay_bytes():
  memory = filled(history(8, 2, shape=(4, 5, 3), dtype=np.uint8), 100, n_step=2, gamma=0.9, dtype=np.uint8)
  sample = memory.sample(np.random.default_rng(0), 7)
  assert {name: (value.dtype.name, value.shape) for name, value in sample.items()} == {
    "observation": ("uint8", (7, 4, 5, 3)), "action": ("int32", (7,)), "return": ("float32", (7,)),
    "discount": ("float32", (7,)), "next_observation": ("uint8", (7, 4, 5, 3))}


def test_a_sample_does_not_change_when_the_memory_goes_on():
  transitions = history(30, 2)
  memory = filled(transitions[:10], 20, n_step=2, gamma=0.9)
  sample = memory.sample(np.random.default_rng(0), 50)
  before = {name: value.copy() for name, value in sample.items()}
  for transition in transitions[10:]:
    memory.add(transition)
  for name, value in sample.items():
    np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(("steps", "length"), [(0, 0), (1, 0), (2, 0), (3, 4), (4, 8), (5, 12), (9, 12)])
def test_only_windows_with_all_their_steps_count(steps, length):
  memory = Replay(23, 4, (2,), np.float32, n_step=3, gamma=0.9)  # five whole time steps
  for transition in history(steps, 4):
    memory.add(transition)
  assert (len(memory), memory.capacity) == (length, 20)


def test_nothing_can_be_drawn_from_a_memory_without_a_whole_window():
  with pytest.raises(ValueError, match="high <= 0"):
    filled(history(2, 4), 100, n_step=3, gamma=0.9).sample(np.random.default_rng(0), 1)


@pytest.mark.parametrize("capacity", [0, 7, 31])
def test_a_capacity_that_holds_no_more_than_a_window_is_refused(capacity):
  with pytest.raises(ConfigError, match=rf"replay\.capacity={capacity} holds .* windows of 3 need at least 32"):
    Replay(capacity, 8, (4,), np.float32, n_step=3, gamma=0.99)
  assert Replay(32, 8, (4,), np.float32, n_step=3, gamma=0.99).capacity == 32


# Saving.


@pytest.mark.parametrize("steps", [0, 2, 7, 10, 23])
def test_a_restored_memory_goes_on_bit_for_bit(steps):
  transitions = history(steps + 15, 2)
  memory = filled(transitions[:steps], 20, n_step=3, gamma=0.9) if steps else Replay(20, 2, (2,), np.float32, 3, 0.9)
  state = memory.state()
  before = {name: value.copy() for name, value in state.items()}
  assert len(state["reward"]) == 2 * min(steps, 10)
  resumed = filled(history(14, 2, seed=1), 20, n_step=3, gamma=0.9)  # whatever was in it before
  resumed.restore(state)
  assert len(resumed) == len(memory)
  for transition in transitions[steps:]:
    memory.add(transition)
    resumed.add(transition)
    if len(memory):
      x, y = (m.sample(np.random.default_rng(0), 40) for m in (memory, resumed))
      for name, value in x.items():
        assert value.tobytes() == y[name].tobytes()
  for name, value in state.items():
    np.testing.assert_array_equal(value, before[name])  # the saved arrays are not the memory's own


@pytest.mark.parametrize("other", [Replay(40, 2, (2,), np.float32, 3, 0.9), Replay(20, 2, (3,), np.float32, 3, 0.9),
                                   Replay(20, 2, (2,), np.uint8, 3, 0.9), Replay(20, 1, (2,), np.float32, 3, 0.9)])
def test_a_state_of_another_memory_is_refused(other):
  with pytest.raises(WorkdirError, match=r"the replay memory was saved with observation float32 \(20, 2\), the config needs"):
    other.restore(filled(history(12, 2), 20, n_step=3, gamma=0.9).state())
