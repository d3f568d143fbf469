"""Speed of the reinforcement loop beside stable-baselines3: agent steps a second on CartPole, taking turns.

    python -m tools.bench_rl [--rounds=5]

Both play eight environments and learn 32 gradient steps from batches of 64 after every 64 agent steps, with the same
perceptron of 2 x 128 units, memory, clipping and target copies; start-up and the first 4,000 agent steps are not counted,
evaluation is off. Ours is double DQN with three-step returns, which costs one more forward pass than stable-baselines3's plain
DQN. Needs the extras `bench` and `rl`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

_WARM, _STEPS = 4_000, 24_000  # agent steps
_PER_GRADIENT_STEP = 2  # agent steps


def ours() -> float:
  """Returns our agent steps a second."""
  from dlsuite import catalog, modes
  from dlsuite import config as config_lib
  from dlsuite.quiet import import_tensorflow
  from dlsuite.runs.console import Console
  from dlsuite.runs.record import Record

  import_tensorflow()
  from dlsuite.strategy import Strategy

  config = catalog.load("experiments/reinforcement/dqn.py").copy_and_resolve_references()
  config.unlock()
  config.strategy.kind = "cpu"
  config_lib.set_duration(config, "train", "train.steps", _STEPS // _PER_GRADIENT_STEP)
  config_lib.set_duration(config, "evaluate", "evaluate.every_steps", _STEPS // _PER_GRADIENT_STEP)
  config.train.log_every_steps = _WARM // _PER_GRADIENT_STEP
  config.evaluate.episodes = config.evaluate.test_episodes = 1
  config.callbacks.tensorboard, config.analyses = False, ()
  with tempfile.TemporaryDirectory() as folder:
    record = Record(folder, config)
    modes.train(config, Strategy.from_config(config), record, Console(False))
    rows = [row for row in record.rows() if row["split"] == "train"][1:]
  seconds = sum(config.train.log_every_steps * config.data.batch_size / row["examples_per_second"] for row in rows)
  return len(rows) * _WARM / seconds


def theirs() -> float:
  """Returns stable-baselines3's agent steps a second."""
  from stable_baselines3 import DQN
  from stable_baselines3.common.callbacks import BaseCallback
  from stable_baselines3.common.env_util import make_vec_env

  class Clock(BaseCallback):
    """Notes the time once the warm-up is over."""

    began, first = 0.0, 0

    def _on_step(self) -> bool:
      if not self.began and self.num_timesteps >= _WARM:
        self.began, self.first = time.monotonic(), self.num_timesteps
      return True

  # A target copy every 128 gradient steps is one every 256 agent steps.
  model = DQN("MlpPolicy", make_vec_env("CartPole-v1", 8, seed=0), learning_rate=1e-3, buffer_size=50_000,
              learning_starts=1_000, batch_size=64, gamma=0.99, train_freq=8, gradient_steps=32, target_update_interval=256,
              exploration_fraction=0.1, exploration_final_eps=0.04, max_grad_norm=10.0, policy_kwargs={"net_arch": [128, 128]},
              seed=0, device="cpu")
  clock = Clock()
  model.learn(_STEPS, callback=clock)
  return (model.num_timesteps - clock.first) / (time.monotonic() - clock.began)


def _in_own_process(side: str) -> float:
  done = subprocess.run([sys.executable, "-W", "ignore", "-m", "tools.bench_rl", f"--side={side}"], capture_output=True,
                        text=True, check=True)
  return float(json.loads(done.stdout.strip().splitlines()[-1])["steps_per_second"])


def main(argv: list[str] | None = None) -> int:
  """Prints each round and the medians."""
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--side", choices=("ours", "theirs"), help="one measurement, as JSON")
  arguments: Any = parser.parse_args(argv)
  if arguments.side:
    print(json.dumps({"steps_per_second": ours() if arguments.side == "ours" else theirs()}))
    return 0
  found: dict[str, list[float]] = {"ours": [], "theirs": []}
  for i in range(arguments.rounds):
    for side, speeds in found.items():
      speeds.append(_in_own_process(side))
    print(f"round {i + 1}: ours {found['ours'][-1]:,.0f}, stable-baselines3 {found['theirs'][-1]:,.0f} agent steps/s",
          flush=True)
  ratios = [a / b for a, b in zip(found["ours"], found["theirs"], strict=True)]
  print(f"median: ours {statistics.median(found['ours']):,.0f}, stable-baselines3 {statistics.median(found['theirs']):,.0f}; "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
  return 0


if __name__ == "__main__":
  sys.exit(main())
