"""A variational autoencoder of handwritten digits.

Paper: Kingma & Welling 2014, "Auto-encoding variational Bayes", ICLR, arXiv:1312.6114: one hidden layer of 500 units each way
(section 5), codes of 2 (figure 4, the manifold) to 200 numbers. The paper shows its lower bounds as curves (figure 2), so there
is no published digit to stand beside ours.

    python -m dlsuite.main --config=experiments/unsupervised/vae.py:mnist --workdir=/tmp/vae

Arguments: `mnist` (else the 8x8 digits inside scikit-learn), `code=2` (20 for `mnist`), `smoke`.

Deviations:
1. ReLU hidden units instead of tanh.
2. Adam with a cosine schedule and batches of 128 instead of Adagrad and batches of 100; no prior on the weights.
3. 55,000 images train, 5,000 choose the weights. Pixels are taken as probabilities, not drawn as black or white.

Cost: on two CPU cores with AVX-512 2 minutes for `mnist`, 10 seconds for the small digits.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg

PUBLISHED = "mnist"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, mnist=False, code=0, smoke=False)
  mnist = args.mnist and not args.smoke
  c = defaults("vae", task="vae")

  if mnist:
    c.data.name = "mnist"
    c.data.train, c.data.valid, c.data.test = "train[:55000]", "train[55000:]", "test"
    c.train.epochs = 50.0
    c.evaluate.every_epochs = 5.0
    c.evaluate.batch_size = 1000
  else:
    c.data.name = "optical_digits"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.train.epochs = 300.0
    c.evaluate.every_epochs = 20.0
    c.evaluate.batch_size = 200
  c.data.features = {"image": "image", "label": "label"}
  c.data.batch_size = 128 if mnist else 64

  c.model.name = "autoencoder"
  c.model.variational = True
  c.model.code_size = args.code or (20 if mnist else 2)
  c.model.widths = (500,) if mnist else (200,)

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.schedule.name = "cosine"
  c.optimizer.warmup_epochs = 1.0

  c.checkpoint.monitor = "val_loss"
  c.analyses = ("reconstructions", "codes", "samples", *(("manifold",) if c.model.code_size == 2 else ()))

  c.reference.update(metric="loss", unit="nats", paper="Kingma & Welling 2014, AEVB",
                     protocol="negative lower bound of the test images, one drawn code each")
  return finish(c, smoke=args.smoke)
