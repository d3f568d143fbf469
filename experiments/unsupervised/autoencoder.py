"""An autoencoder of handwritten digits.

Paper: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313. Figure 2B: MNIST
through 784-1000-500-250-30 and back, squared error 3.00 a test image; principal components, 30 of them: 13.87.

    python -m dlsuite.main --config=experiments/unsupervised/autoencoder.py:mnist --workdir=/tmp/autoencoder

Arguments: `mnist` (else the 8x8 digits inside scikit-learn), `code=2` (numbers of the code; 30 for `mnist`), `linear` (one
layer each way: PCA's subspace), `smoke`.

Deviations:
1. SiLU hidden units (ReLU on the small digits) and random starting weights instead of logistic units that were pre-trained as
   Boltzmann machines.
2. Adam with a cosine schedule instead of conjugate gradients; squared error is trained, not cross-entropy.
3. 55,000 images train, 5,000 choose the weights.

Cost: on two CPU cores with AVX-512 6 minutes for `mnist`, 5 seconds for the small digits.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg

PUBLISHED = "mnist"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, mnist=False, code=0, linear=False, smoke=False)
  mnist = args.mnist and not args.smoke
  c = defaults("autoencoder", task="autoencoder")

  if mnist:
    c.data.name = "mnist"
    c.data.train, c.data.valid, c.data.test = "train[:55000]", "train[55000:]", "test"
    c.train.epochs = 60.0
    c.evaluate.every_epochs = 5.0
    c.evaluate.batch_size = 1000
  else:
    c.data.name = "optical_digits"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.train.epochs = 200.0
    c.evaluate.every_epochs = 20.0
    c.evaluate.batch_size = 200
  c.data.features = {"image": "image", "label": "label"}
  c.data.batch_size = 128 if mnist else 64
  c.loss.reconstruction = "squared"

  c.model.name = "autoencoder"
  c.model.code_size = args.code or (30 if mnist else 2)
  c.model.widths = () if args.linear else (1000, 500, 250) if mnist else (128, 64)
  c.model.activation = "silu" if mnist else "relu"

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 2e-3 if mnist else 3e-2 if args.linear else 1e-3
  c.optimizer.schedule.name = "cosine"
  c.optimizer.warmup_epochs = 1.0

  c.checkpoint.monitor = "val_squared_error"
  c.analyses = ("reconstructions", "codes", "manifold") if c.model.code_size == 2 else ("reconstructions", "codes")

  c.reference.update(metric="squared_error", paper="Hinton & Salakhutdinov 2006, deep autoencoder")
  if mnist and c.model.code_size == 30 and not args.linear:
    c.reference.update(value=3.0, table="figure 2B", protocol="60,000 training images, 10,000 test images, pixels in [0, 1]")
  elif not mnist:
    c.reference.protocol = "fixed split 1,197/200/400"
  return finish(c, smoke=args.smoke)
