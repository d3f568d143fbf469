"""Deep Q-learning on CartPole.

Paper: Mnih et al. 2015, "Human-level control through deep reinforcement learning", Nature 518, algorithm 1. It plays Atari;
CartPole-v1 (Barto, Sutton & Anderson 1983) counts as solved at a mean return of 475, and 500 is the most.

    python -m dlsuite.main --config=experiments/reinforcement/dqn.py --workdir=/tmp/dqn

Arguments: `environment=CartPole-v1` (any gymnasium id with a finite number of actions), `smoke`. Needs the extra `rl`.

Deviations from Mnih et al.:
1. A perceptron of 2 x 128 units over the four numbers of the state instead of a convolutional network over pixels.
2. Double DQN (van Hasselt et al. 2016) and three-step returns (Hessel et al. 2018).
3. Adam with a rate that falls linearly to 2% instead of RMSProp; batches of 64.
4. Eight environments; 64 agent steps, then 32 gradient steps; the target network is renewed every 128 gradient steps.
5. One action in 25 is random in the end, there one in ten; in tests none, there one in twenty. Gradients longer than 10 are
   shortened; an episode that the time limit cuts off goes on in the value of its last state.
6. The weights are those of the best of the validations, 50 episodes each; the test is 100 other episodes.

Cost: 20 seconds on two CPU cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, environment="CartPole-v1", smoke=False)
  c = defaults("dqn", task="dqn")

  c.environment.name = args.environment
  c.environment.count = 8
  c.agent.gamma = 0.99
  c.agent.n_step = 3
  c.agent.epsilon, c.agent.epsilon_share = 0.04, 0.1
  c.agent.collect_steps = 8  # 64 agent steps in all environments
  c.agent.gradient_steps = 32
  c.agent.target_every = 128
  c.replay.capacity = 50_000
  c.replay.start = 1_000
  c.data.batch_size = 64
  c.train.steps = 40_000  # gradient steps: 80,000 agent steps
  c.evaluate.every_steps = 1_000
  c.evaluate.episodes = 50 if not args.smoke else 2
  c.evaluate.test_episodes = 100 if not args.smoke else 2

  c.model.name = "mlp"
  c.model.width, c.model.depth = 128, 2

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.schedule.name, c.optimizer.schedule.final = "linear", 0.02
  c.optimizer.clip.kind, c.optimizer.clip.value = "global_norm", 10.0

  c.checkpoint.monitor, c.checkpoint.mode = "val_return", "max"
  c.analyses = ("episode",)
  if args.environment == "CartPole-v1":
    c.reference.update(metric="return", value=475.0, unit="steps", paper="gymnasium, CartPole-v1", table="reward threshold",
                       protocol="mean of 100 fresh episodes, greedy")
  else:
    c.reference.update(metric="return", paper="Mnih et al. 2015, DQN")
  return finish(c, smoke=args.smoke)
