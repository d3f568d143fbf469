"""The same run on 1, 2 and 8 replicas and on two worker processes."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

CASES = ("plain", "clip_global_norm", "accumulate", "ema", "sync_batch_norm", "mixed")
# Clipped as `clip_global_norm` is, after the sum over the replicas, by what one gradient alone tells.
SLOW_CASES = ("clip_norm", "clip_value")
# Those in which the number of replicas itself takes part: their parts of a batch, its statistics, the partners of a mixture.
CASES_OF_EIGHT = ("plain", "accumulate", "sync_batch_norm", "mixed")
TOLERANCE = 1e-6


def start(folder, devices, *do, cases=CASES, kind="cpu", task=None):
  """Starts the script that trains on a number of replicas; `task` is TF_CONFIG for several workers."""
  environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"TF_CONFIG": json.dumps(task)} if task else {})
  command = [sys.executable, "-m", "tests.distributed.replicas", f"--devices={devices}", f"--folder={folder}", f"--kind={kind}",
             "--do", *do, "--cases", *cases]
  return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
  try:
    output, _ = process.communicate(timeout=400)
  finally:
    process.kill()  # one that is late would go on at the cost of the tests that follow
  assert process.returncode == 0, output[-3000:]


def run(folder, devices, *do, cases=CASES):
  """Does some things in one process; returns {what: what it left}."""
  finish(start(folder, devices, *do, cases=cases))
  return {name: np.load(folder / f"{name}-{devices}-cpu.npz") for name in do}


# TensorFlow's start takes longer than a run: a process a number of replicas does all that is asked of that number.
@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def two(folder):
  return run(folder, 2, "parity", "interrupt", "half")


@pytest.fixture(scope="module")
def slow_cases(tmp_path_factory):
  """What one replica and two left of the slow cases, and of the plain one."""
  folder = tmp_path_factory.mktemp("slow_parity")
  return [run(folder, count, "parity", cases=("plain", *SLOW_CASES))["parity"] for count in (1, 2)]


@pytest.fixture(scope="module")
def one(folder, two):
  shutil.copytree(folder / "interrupted", folder / "resumed-1")
  return run(folder, 1, "parity", "odd", "resume")


@pytest.fixture(scope="module")
def four(folder):
  return run(folder, 4, "odd", "masks")


@pytest.fixture(scope="module")
def eight(folder, two):
  shutil.copytree(folder / "interrupted", folder / "resumed-8")
  return run(folder, 8, "parity", "resume", cases=CASES_OF_EIGHT)


def compare(one, other, case):
  names = [name for name in one.files if name.startswith(case + "/") and "/valid/" not in name]
  assert len(names) > 5
  for name in names:
    np.testing.assert_allclose(other[name], one[name], rtol=0, atol=TOLERANCE, err_msg=name)
  for name in (n for n in one.files if n.startswith(f"{case}/valid/")):
    np.testing.assert_allclose(other[name], one[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_two_replicas_end_in_the_weights_of_one(one, two, case):
  compare(one["parity"], two["parity"], case)


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW_CASES)
def test_two_replicas_clip_every_gradient_as_one_does(slow_cases, case):
  one, two = slow_cases
  compare(one, two, case)
  assert_differs(one, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES_OF_EIGHT)
def test_eight_replicas_end_in_the_weights_of_one(one, eight, case):
  compare(one["parity"], eight["parity"], case)


def assert_differs(found, case):
  """Else a switch that does nothing would pass the comparison."""
  moved = max(np.abs(found[f"{case}/network.classifier/{i:04d}"] - found[f"plain/network.classifier/{i:04d}"]).max()
              for i in range(4))
  assert moved > 100 * TOLERANCE, case


def test_the_cases_differ_from_the_plain_run(one):
  for case in CASES[1:]:
    if case != "sync_batch_norm":
      assert_differs(one["parity"], case)


def test_each_example_is_evaluated_once_for_any_batch_size_and_replica_count(one, four):
  alone, shared = one["odd"], four["odd"]
  accuracy = alone["odd4/accuracy"]
  assert accuracy * 7 == pytest.approx(round(float(accuracy) * 7), abs=1e-5)  # a whole number of 7 examples
  for name in alone.files:
    np.testing.assert_allclose(shared[name], alone[name], rtol=1e-6)
    np.testing.assert_allclose(alone[name], alone["odd4/" + name.split("/")[1]], rtol=1e-6)


def test_replicas_draw_different_dropout_masks_and_new_ones_each_step(four):
  found = four["masks"]
  first = found["mask0"] > 0
  assert first.shape == (4, 1024)
  for i in range(4):
    assert 0.4 < first[i].mean() < 0.6
    for other in [*first[:i], found["mask1"][i] > 0]:
      assert 0.4 < (first[i] == other).mean() < 0.6  # two independent fair masks agree in half of the places


def compare_resumed(resumed, whole, interrupted):
  """Sees to it that a run made only the steps of 6 that were left, and ended as one that was not interrupted."""
  newest = max(int(path.stem.partition("_")[2]) for path in interrupted.glob("checkpoints/state_*.npz"))
  assert 3 <= newest < 6
  assert resumed["steps"] == 6 - newest
  names = [name for name in resumed.files if name != "steps"]
  assert len(names) > 5
  for name in names:
    np.testing.assert_allclose(resumed[name], whole[f"plain/{name}"], rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("replicas", ["one", pytest.param("eight", marks=pytest.mark.slow)])
def test_a_checkpoint_of_2_replicas_goes_on_on_1_and_on_8(request, folder, one, replicas):
  compare_resumed(request.getfixturevalue(replicas)["resume"], one["parity"], folder / "interrupted")


def test_replicas_skip_a_step_together_if_the_gradient_of_one_overflows(two):
  found = two["half"]
  assert 0 < found["applied"][0] < 6  # of 6 steps some were skipped
  assert found["scale"][0] == 2.0**(15 - 6 + found["applied"][0])
  for name in found.files:
    assert len(found[name]) == 2
    np.testing.assert_array_equal(found[name][0], found[name][1], err_msg=name)


def _free_ports(count):
  sockets = [socket.socket() for _ in range(count)]
  for s in sockets:
    s.bind(("127.0.0.1", 0))
  ports = [s.getsockname()[1] for s in sockets]
  for s in sockets:
    s.close()
  return ports


@pytest.mark.workers
@pytest.mark.parametrize(("experiment", "figure"), [
  ("vision/lenet5.py:original", "confusion_matrix"),  # all 400 test examples, not one worker's half
  ("sequence/lstm.py:smoke --config.model.dropout=0", "compressors"),
  ("unsupervised/vae.py:smoke", ""),
  ("unsupervised/gan.py:smoke", "")])
def test_a_whole_run_on_two_workers_leaves_the_record_of_one(tmp_path, experiment, figure):
  addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]

  def command(workdir, kind):
    return [sys.executable, "-m", "dlsuite.main", *f"--config=experiments/{experiment}".split(), f"--workdir={workdir}",
            f"--config.strategy.kind={kind}", "--config.train.steps=6", "--config.evaluate.every_steps=3"]

  environment = os.environ | {"PYTHONPATH": str(ROOT)}
  options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
  finish(subprocess.Popen(command(tmp_path / "one", "cpu"), env=environment, **options))
  tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(2)]
  two = command(tmp_path / "two", "workers")
  processes = [subprocess.Popen(two, env=environment | {"TF_CONFIG": json.dumps(task)}, **options) for task in tasks]
  for process in processes:
    finish(process)
  results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
  assert results[1]["test"] == pytest.approx(results[0]["test"], rel=1e-4)
  assert results[1]["selected_step"] == results[0]["selected_step"]
  if figure:
    pictures = [(tmp_path / name / f"figures/{figure}.png").read_bytes() for name in ("one", "two")]
    assert pictures[0] == pictures[1]


@pytest.mark.workers
def test_two_worker_processes_end_in_the_weights_of_one(one, tmp_path):
  addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
  tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(2)]
  processes = [start(tmp_path, 0, "parity", kind="workers", task=task) for task in tasks]
  for process in processes:
    finish(process)
  found = np.load(tmp_path / "parity-0-workers.npz")
  for case in CASES:
    compare(one["parity"], found, case)


@pytest.mark.workers
def test_a_checkpoint_of_four_workers_goes_on_on_two_and_on_one(one, tmp_path):
  """A restart with fewer workers keeps the global batch, and with it the result."""

  def on_workers(count, do):
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(count)]
    for process in [start(tmp_path, 0, do, kind="workers", task=task) for task in tasks]:
      finish(process)

  on_workers(4, "interrupt")
  for devices in (0, 1):
    shutil.copytree(tmp_path / "interrupted", tmp_path / f"resumed-{devices}")
  on_workers(2, "resume")
  for resumed in (np.load(tmp_path / "resume-0-workers.npz"), run(tmp_path, 1, "resume")["resume"]):
    compare_resumed(resumed, one["parity"], tmp_path / "interrupted")
