"""Runs of every kind of learning that are killed end in the bits of those that were not."""

import pytest

from tests.kill_harness import Harness
from tests.test_kill import assert_same_run, last

EVERY = "--config.train.steps=120", "--config.evaluate.every_steps=60"
KINDS = {
  "regression": ["foundations/diabetes.py:width=16", "--config.train.accumulate=2"],
  # Two epochs of 50 steps and a part of a third, on the smallest split that may be trained on.
  "language_model": ["sequence/lstm.py:units=24", "--config.data.train=valid", "--config.data.valid=",
                     "--config.checkpoint.select=last", "--config.data.batch_size=96", "--config.data.window=32",
                     "--config.evaluate.batch_size=400", "--config.optimizer.ema=0.9"],
  "autoencoder": ["unsupervised/autoencoder.py", "--config.model.widths=(16,)"],
  "segmentation": ["vision/unet.py", "--config.model.base=2", "--config.model.depth=2", "--config.data.tile=32",
                   "--config.data.batch_size=4", "--config.data.valid=valid[:2]", "--config.data.test=test[:2]",
                   "--config.analyses=()"],
  "vae": ["unsupervised/vae.py", "--config.model.widths=(16,)", "--config.optimizer.ema=0.9"],
  "gan": ["unsupervised/gan.py", "--config.data.train=train[:2000]", "--config.data.batch_size=32",
          "--config.evaluate.samples=500", "--config.model.width=16"],
  # Periods of 16 steps, a target network that lives 24, and a memory that is full in the middle of the run.
  "dqn": ["reinforcement/dqn.py", "--config.model.width=16", "--config.optimizer.ema=0.9", "--config.agent.gradient_steps=16",
          "--config.agent.target_every=24", "--config.replay.start=200", "--config.replay.capacity=400",
          "--config.evaluate.episodes=2", "--config.evaluate.test_episodes=2"],
  "detection": ["vision/detector.py", "--config.model.widths=(8,8,8)", "--config.model.blocks=(0,0,0)", "--config.model.head=8",
                "--config.data.train=train[:200]", "--config.data.valid=valid[:40]", "--config.data.test=test[:40]",
                "--config.data.batch_size=8"],
}
# These learn by the same feed and learner as the classifier of tests/test_kill.py; that a language model's state and a GAN's
# two learners go on is quickly seen by tests/distributed/test_kinds.py too, and that a chain does by tests/test_chain.py.
SLOW = {"regression", "autoencoder", "vae", "language_model", "gan", "segmentation", "detection"}
SAVED = {"language_model": "carry/0001", "gan": "learner.discriminator.optimizer/0000", "dqn": "feed/replay/action"}


@pytest.fixture(scope="module")
def harness():
  process = Harness()
  yield process
  process.close()


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in KINDS])
def test_two_sigkills_cost_nothing(harness, kind, tmp_path):
  file, *options = KINDS[kind]
  harness.kill(tmp_path, [f"--config=experiments/{file}", *EVERY, *options], seed=sorted(KINDS).index(kind))
  assert_same_run(tmp_path / "unbroken", tmp_path / "KILL")
  _, state = last(tmp_path / "unbroken", "state")
  assert SAVED.get(kind, "learner.main.optimizer/0000") in state
  assert len(list(tmp_path.glob("unbroken/frames/*.png"))) == (2 if kind in ("autoencoder", "vae", "gan") else 0)


@pytest.mark.slow
def test_two_sigkills_cost_a_chain_nothing_in_either_stage(harness, tmp_path):
  command = ["--config=experiments/unsupervised/denoising.py", "--config.denoise.model.widths=(16,16)",
             "--config.denoise.model.code_size=4", "--config.classify.model.width=16", *EVERY]
  kills = harness.kill(tmp_path, command, seed=4)
  (_, first), (_, second) = kills
  assert first.keys() == {"denoise"}
  assert first["denoise"] < 120
  assert 0 < second["classify"] < 120
  for stage in ("denoise", "classify"):
    assert_same_run(tmp_path / "unbroken" / stage, tmp_path / "KILL" / stage)
