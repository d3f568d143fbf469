"""Regression: the progression of diabetes from ten measurements of a patient.

Data: Efron, Hastie, Johnstone & Tibshirani 2004, "Least angle regression", Annals of Statistics 32(2); 442 patients, inside
scikit-learn. The paper fits linear models to all patients and prints no test error; what stands beside the network is ridge
regression on the same split (analysis `predicted_against_true`).

    python -m dlsuite.main --config=experiments/foundations/diabetes.py --workdir=/tmp/diabetes

Arguments: `width=64`, `depth=2`, `dropout=0.2`, `smoke`.

Deviations: there is no paper of this network. 282 patients train, 71 choose the weights, 89 test.

Cost: 10 seconds on two CPU cores.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, width=64, depth=2, dropout=0.2, smoke=False)
  c = defaults("diabetes", task="regression")

  c.data.name = "diabetes"
  c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
  c.data.features = {"features": "features", "target": "target"}
  c.data.batch_size = 32
  c.train.epochs = 100.0
  c.evaluate.every_epochs = 2.0

  c.model.name = "mlp"
  c.model.width, c.model.depth, c.model.dropout = args.width, args.depth, args.dropout

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.weight_decay = 0.01
  c.optimizer.ema = 0.98

  c.checkpoint.monitor = "val_r2"
  c.analyses = ("predicted_against_true",)
  c.reference.update(metric="r2", paper="Efron et al. 2004, the data", protocol="fixed split 282/71/89")
  return finish(c, smoke=args.smoke)
