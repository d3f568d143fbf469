"""A multilayer perceptron on handwritten digits.

Paper: Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks applied to visual document
analysis", ICDAR. Table 1: the 2-layer MLP with 800 hidden units and cross-entropy, no distortions, 1.6% test error on MNIST.

    python -m dlsuite.main --config=experiments/foundations/mlp.py:mnist --workdir=/tmp/mlp

Arguments: `mnist` (else the 8x8 digits inside scikit-learn), `width=800`, `depth=1`, `dropout=0.0`, `smoke`.

Deviations:
1. ReLU hidden units.
2. Adam with a cosine schedule instead of stochastic gradient descent.
3. 55,000 images train and 5,000 choose the weights.

Cost: `mnist` 49 s on two CPU cores without AVX-512, the embedded digits 15 s.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg

PUBLISHED = "mnist"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, mnist=False, width=800, depth=1, dropout=0.0, smoke=False)
  mnist = args.mnist and not args.smoke
  c = defaults("mlp", task="classification")

  if mnist:
    c.data.name = "mnist"
    c.data.train, c.data.valid, c.data.test = "train[:55000]", "train[55000:]", "test"
    c.data.mean, c.data.std = (0.1307,), (0.3081,)
    c.train.epochs = 20.0
    c.evaluate.batch_size = 1000
  else:
    c.data.name = "optical_digits"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.data.mean, c.data.std = (0.3,), (0.35,)
    c.train.epochs = 60.0
    c.evaluate.every_epochs = 5.0
    c.evaluate.batch_size = 200
  c.data.features = {"image": "image", "label": "label"}
  c.data.batch_size = 128 if mnist else 32

  c.model.name = "mlp"
  c.model.width, c.model.depth, c.model.dropout = args.width, args.depth, args.dropout

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.schedule.name = "cosine"

  c.checkpoint.monitor = "val_error"
  c.analyses = ("confusion_matrix", "mistakes", "first_layer_filters")

  c.reference.update(metric="error", unit="%", paper="Simard et al. 2003, 2-layer MLP")
  if mnist and args.depth == 1 and args.width == 800 and not args.dropout:
    c.reference.update(value=1.6, table="table 1", protocol="60,000 training images without distortions, 10,000 test images")
  elif not mnist:
    c.reference.protocol = "fixed split 1,197/200/400"
  return finish(c, smoke=args.smoke)
