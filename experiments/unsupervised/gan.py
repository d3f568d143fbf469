"""Generative adversarial networks: a ring of eight normal distributions, and handwritten digits.

Paper: Goodfellow et al. 2014, "Generative adversarial nets", NeurIPS. Table 1: MNIST, log-likelihood of the test images under
normal kernels around the generator's samples: 225 nats (+- 2). The ring is that of Metz et al. 2017, "Unrolled generative
adversarial networks", on which GANs lose modes.

    python -m dlsuite.main --config=experiments/unsupervised/gan.py:mnist --workdir=/tmp/gan

Arguments: `mnist` (else the ring), `mnist,dcgan` (a small DCGAN, Radford, Metz & Chintala 2016, not the paper's networks),
`smoke` (of `mnist`: the 8x8 digits).

Deviations from Goodfellow et al., for `mnist`:
1. Adam with a constant rate instead of stochastic gradient descent with growing momentum and falling rate; no bound on the
   weights' norm; other initial weights (He's in the generator's hidden layers, Glorot's elsewhere, no bias from the pixels'
   means).
2. Pixels in [-1, 1] instead of [0, 1]: a pixel that dropout hides is grey, not black.
3. The samples are those of the generator's averaged weights.
4. 100 epochs. 55,000 images train, 5,000 choose the width of the kernels and the weights.
Of Metz et al. the ring alone is taken; network and training are ours, with the gradient penalty of Mescheder et al. 2018, the
generator's averaged weights, and the weights chosen by how evenly samples near a mode are shared out.

Cost: on two CPU cores with AVX-512 about 20 minutes for `mnist`, 10 for `mnist,dcgan`, 30 seconds for the ring.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.errors import ConfigError

PUBLISHED = "mnist"  # the argument of the paper's own protocol


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, mnist=False, dcgan=False, smoke=False)
  if args.dcgan and not args.mnist:
    raise ConfigError("`dcgan` makes images: write `mnist,dcgan`")
  c = defaults("gan", task="gan")

  if args.mnist:
    c.data.name = "mnist" if not args.smoke else "optical_digits"
    c.data.train, c.data.valid, c.data.test = "train[:55000]", "train[55000:]", "test"
    if args.smoke:
      c.data.train, c.data.valid = "train", "valid"
      c.evaluate.samples = 500
    c.data.features = {"sample": "image"}
    c.data.batch_size = 64 if args.dcgan else 100
    c.train.epochs = 30.0 if args.dcgan else 100.0
    c.evaluate.every_epochs = 2.0
    c.model.name = "vision.dcgan" if args.dcgan else "vision.maxout_gan"
    c.optimizer.learning_rate = 2e-4
    c.optimizer.ema = 0.999
    c.checkpoint.monitor, c.checkpoint.mode = "val_parzen", "max"
    c.analyses = ("samples",)
    c.reference.update(metric="parzen", unit="nats", paper="Goodfellow et al. 2014",
                       protocol="10,000 samples, kernel width by validation, 10,000 test images")
    if not args.dcgan:
      c.reference.update(value=225.0, table="table 1")
  else:
    c.data.name = "gaussian_ring"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.data.features = {"sample": "point"}
    c.data.batch_size = 512
    c.train.steps = 10_000
    c.evaluate.every_steps = 500
    c.evaluate.quality = "modes"
    c.evaluate.samples = 2500 if not args.smoke else 500
    c.loss.r1 = 0.03
    c.model.name = "gan_mlp"
    c.model.latent_size = 2
    c.optimizer.learning_rate = 2e-3
    c.optimizer.schedule.name = "cosine"
    c.optimizer.ema = 0.995
    c.checkpoint.monitor, c.checkpoint.mode = "val_coverage", "max"
    c.analyses = ("mode_coverage",)
    c.reference.update(metric="modes", unit="of 8", paper="Metz et al. 2017, ring of eight normals", protocol="2,500 samples")
  c.optimizer.name = "adam"
  c.optimizer.arguments = {"beta_1": 0.5}
  return finish(c, smoke=args.smoke)
