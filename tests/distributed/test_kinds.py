"""The same run of every kind of learning on 1 and on 2 replicas."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

NETWORKS = {
  "regression": ["regressor"], "language_model": ["language_model"], "autoencoder": ["encoder", "decoder"],
  "vae": ["encoder", "decoder"], "gan": ["generator", "discriminator"], "dqn": ["online", "target"],
  "detection": ["detector"], "segmentation": ["segmenter"],
}
# One batch a step to one learner, as the classifier of test_parity.
SLOW = ("regression", "autoencoder", "vae", "detection", "segmentation")
TOLERANCE = 1e-6


def kinds_and(what):
  """Parametrises by the kinds and something of each."""
  return [pytest.param(kind, *more, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in NETWORKS for more in what(kind)]


each_kind = pytest.mark.parametrize("kind", kinds_and(lambda kind: [()]))
each_network = pytest.mark.parametrize(("kind", "network"), kinds_and(lambda kind: [(name,) for name in NETWORKS[kind]]))


def run(folder, devices, kinds, *do):
  command = [sys.executable, "-m", "tests.distributed.kinds", f"--devices={devices}", f"--folder={folder}", "--do", *do,
             "--kinds", *kinds]
  done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                        timeout=400, check=False)
  assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Where the runs of the quick kinds lie."""
  folder, kinds = tmp_path_factory.mktemp("kinds"), [kind for kind in NETWORKS if kind not in SLOW]
  run(folder, 2, kinds, "parity", "constant_rate", "interrupt")
  run(folder, 1, kinds, "parity", "other_seed", "resume")
  return folder


@pytest.fixture(scope="module")
def slow_folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("slow_kinds")
  run(folder, 2, SLOW, "parity")
  run(folder, 1, SLOW, "parity", "other_seed")
  return folder


@pytest.fixture(scope="module")
def runs(request):
  """Gives what the runs of a kind left, by what they did and their number of replicas."""
  @functools.cache
  def of(slow):
    folder = request.getfixturevalue("slow_folder" if slow else "folder")
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}

  return lambda kind: of(kind in SLOW)


def part(arrays, prefix):
  return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def furthest(one, other, prefix):
  """Returns the largest difference of any number below a prefix."""
  names = [name for name in one if name.startswith(prefix)]
  assert names
  return max(float(np.abs(one[name] - other[name]).max()) for name in names)


def assert_same(found, expected):
  """Floats of the end to 1e-6, metrics to 1e-5 of their size, and what is counted or chosen exactly."""
  assert found.keys() == expected.keys()
  for name, values in expected.items():
    if name.startswith("valid/"):
      np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    elif values.dtype.kind == "f":
      np.testing.assert_allclose(found[name], values, rtol=0, atol=TOLERANCE, err_msg=name)
    else:
      np.testing.assert_array_equal(found[name], values, err_msg=name)


@each_kind
def test_two_replicas_end_in_the_weights_states_and_memory_of_one(runs, kind):
  one, two = (part(runs(kind)[f"parity-{devices}"], f"{kind}/") for devices in (1, 2))
  assert_same(two, one)


@each_network
def test_the_networks_that_are_compared_have_learnt(runs, kind, network):
  run = part(runs(kind)["parity-1"], f"{kind}/")
  names = [name.removeprefix("start/") for name in run if name.startswith(f"start/network.{network}/")]
  assert max(np.abs(run[f"end/{name}"] - run[f"start/{name}"]).max() for name in names) > 1000 * TOLERANCE


@each_network
def test_other_random_numbers_lead_the_same_weights_elsewhere(runs, kind, network):
  """Else the replicas might draw batches, noise or actions of their own, and the comparison would not see it."""
  one, other = (part(runs(kind)[name], f"{kind}/") for name in ("parity-1", "other_seed-1"))
  assert furthest(one, other, f"start/network.{network}/") == 0
  assert furthest(one, other, f"end/network.{network}/") > 1000 * TOLERANCE


def test_the_language_models_that_are_compared_carry_a_state(runs):
  """In every row, and from batch to batch: with other random numbers it is another."""
  one, other = (part(runs("language_model")[name], "language_model/end/carry/") for name in ("parity-1", "other_seed-1"))
  assert np.abs(one["0000"]).max(1).min() > 1000 * TOLERANCE
  assert furthest(one, other, "") > 1000 * TOLERANCE


def test_the_agents_that_are_compared_have_chosen_by_what_they_saw(runs):
  one, other = (part(runs("dqn")[name], "dqn/end/feed/")["replay/action"][-128:] for name in ("parity-1", "other_seed-1"))
  assert 0.2 < one.mean() < 0.8  # in the last two periods, in which one action in 25 is random
  assert (one != other).any()


@pytest.mark.parametrize("kind", ["language_model", "gan"])
def test_a_run_on_2_replicas_that_was_stopped_goes_on_on_1(runs, kind):
  found, prefix = runs(kind), f"{kind}/"
  assert_same(part(found["resume-1"], prefix), part(found["parity-1"], prefix))


def test_a_learning_rate_without_schedule_is_recorded_on_2_replicas(folder):
  rows = [json.loads(line) for line in (folder / "constant_rate-2/metrics.jsonl").read_text().splitlines()]
  assert {round(row["learning_rate"], 7) for row in rows} == {0.05}
