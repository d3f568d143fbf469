"""The agent as a feed: when it acts and how, and batches that depend on the step alone."""

import itertools

import numpy as np
import pytest

from dlsuite import catalog
from dlsuite.rl.agent import Agent

pytest.importorskip("gymnasium", reason="Gymnasium comes with the extra `rl`")

OPTIONS = {"environment.count": 2, "agent.collect_steps": 3, "agent.gradient_steps": 8, "agent.target_every": 8,
           "data.batch_size": 5, "replay.capacity": 60, "replay.start": 20, "agent.epsilon": 0.1, "agent.epsilon_share": 0.5}


def config_of(**options):
  config = catalog.load("experiments/reinforcement/dqn.py:smoke").copy_and_resolve_references().unlock()
  config.update_from_flattened_dict(OPTIONS | options)
  return config


def greedy(observations):
  """Pushes to where the pole falls."""
  return (observations[:, 2] > 0).astype(np.int64)


def agent(act=greedy, copy=lambda: None, total=32, **options):
  return Agent(config_of(**options), act, copy, total)


def drawn(feed, *cuts):
  """Returns the batches of all steps from the first cut to the last, asked for from cut to cut."""
  parts = [feed.source(first, last - first) for first, last in itertools.pairwise(cuts)]
  return {word: np.concatenate([part[word] for part in parts]) for word in parts[0]}


def assert_equal(ours, theirs):
  assert ours.keys() == theirs.keys() == {"observation", "action", "return", "discount", "next_observation"}
  for word, value in ours.items():
    np.testing.assert_array_equal(value, theirs[word])


def test_a_batch_is_one_a_step_of_the_transitions_asked_for():
  found = drawn(agent(), 0, 8)
  assert found["observation"].shape == found["next_observation"].shape == (8, 5, 4)
  assert found["action"].shape == found["return"].shape == found["discount"].shape == (8, 5)
  assert set(np.unique(found["action"])) <= {0, 1}


@pytest.mark.parametrize("cuts", [(0, 3, 8, 16, 17, 24), (0, 1, 2, 8, 12, 16, 24)])
def test_batches_do_not_depend_on_how_the_calls_are_cut(cuts):
  assert_equal(drawn(agent(), *cuts), drawn(agent(), 0, 8, 16, 24))


@pytest.mark.parametrize("stop", [3, 8, 13, 16])
def test_an_agent_that_is_restored_anywhere_in_a_period_hands_over_the_same_batches(stop):
  whole = agent()
  expected = drawn(whole, 0, 8, 16, 24)
  first, second = agent(), agent()
  drawn(first, *[cut for cut in (0, 8, 16) if cut < stop], stop)
  second.restore(first.state())
  assert second.logs() == first.logs()
  found = drawn(second, stop, *[cut for cut in (8, 16, 24) if cut > stop])
  assert_equal(found, {word: value[stop:] for word, value in expected.items()})
  assert second.logs() == whole.logs()


def test_another_seed_gives_other_batches():
  assert (drawn(agent(seed=1), 0, 8)["observation"] != drawn(agent(), 0, 8)["observation"]).any()


def test_batches_of_one_memory_differ_from_step_to_step():
  observations = drawn(agent(), 0, 8)["observation"].reshape(8, -1)
  assert len(np.unique(observations, axis=0)) == 8


def test_a_call_ends_with_the_period_and_before_the_next_copy_to_the_target_network():
  feed = agent(**{"agent.gradient_steps": 8, "agent.target_every": 6})
  assert [feed.limit(step) for step in (0, 2, 6, 7, 8, 11, 12, 16, 18)] == [6, 4, 2, 1, 4, 1, 4, 2, 6]


def test_the_target_network_is_renewed_at_multiples_of_its_steps_alone():
  copies = []
  feed = agent(copy=lambda: copies.append(step), **{"agent.target_every": 6})
  for step in range(20):
    feed.source(step, 1)
  assert copies == [0, 6, 12, 18]


def test_the_share_of_random_actions_falls_on_a_line_from_one_and_stays():
  feed = agent(total=200, **{"agent.epsilon": 0.2, "agent.epsilon_share": 0.5})
  assert [feed.epsilon(step) for step in (0, 25, 50, 100, 101, 199)] == pytest.approx([1, 0.8, 0.6, 0.2, 0.2, 0.2])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_actions_are_random_by_their_share_and_else_the_networks(share):
  # The network always says 1: of random actions half are 1 too.
  feed = agent(act=lambda observations: np.ones(len(observations), int), total=1, **{
    "agent.epsilon": share, "agent.epsilon_share": 0.0, "agent.collect_steps": 1000, "replay.capacity": 2000,
    "replay.start": 2, "agent.gradient_steps": 1})
  for step in (0, 1):  # after the first step epsilon has fallen, and these actions fill the memory
    feed.source(step, 1)
  zeros = 1 - feed.state()["replay/action"].mean()
  assert zeros == pytest.approx(share / 2, abs=4 * (0.25 / 2000) ** 0.5 if share else 0)


def test_the_memory_is_filled_by_chance_before_the_first_step_and_then_in_every_period():
  asked = []
  feed = agent(act=lambda observations: asked.append(len(observations)) or greedy(observations),
               **{"agent.epsilon": 1.0, "replay.start": 21})
  assert feed.logs() == {"agent_steps": 0}
  expected = 22  # whole time steps of two copies
  for step in range(24):
    feed.source(step, 1)
    expected += 6 if step % 8 == 0 else 0
    assert feed.logs()["agent_steps"] == expected
  assert not asked  # the share of random actions is one


def test_the_return_that_is_logged_is_the_mean_of_the_last_hundred_episodes():
  feed = agent(**{"agent.collect_steps": 1500, "replay.capacity": 6000})
  feed.source(0, 1)  # at random: an episode takes about twenty steps
  state = feed.state()
  finished = state["returns"]
  assert len(finished) == 100
  assert feed.logs()["episode_return"] == pytest.approx(finished.mean())
  # CartPole pays one a step: the last episodes are those that the ends in memory divide.
  ends = state["replay/end"].reshape(-1, 2) > 0
  lengths = [length for copy in ends.T for length in np.diff(np.flatnonzero(copy))]
  assert set(finished) <= set(lengths)
