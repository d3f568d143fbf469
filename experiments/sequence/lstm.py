"""An LSTM that writes: a language model over bytes.

Paper: Graves 2013, "Generating sequences with recurrent neural networks", arXiv:1308.0850, section 3 (LSTM over the characters
of a text). Its texts (Penn Treebank, Wikipedia) are not these: no published number is for the same bytes, so what stands beside
ours are gzip, bzip2 and xz on the same test text, xz also with the training text before it (analysis `compressors`).

    python -m dlsuite.main --config=experiments/sequence/lstm.py --workdir=/tmp/lstm
    python -m dlsuite.main --config=experiments/sequence/lstm.py --workdir=/tmp/lstm --mode=predict --prompt="def main("

Arguments: `shakespeare` (tfds's tiny_shakespeare, else the source of Python's own standard library), `units=512`, `depth=1`,
`smoke`.

The library's text depends on the Python that runs: for 3.11.7 it is 2,706,963 bytes with the sha256 374f25d84432...; a run goes
on only with the text that it began with.

Deviations:
1. One layer of 512 units without peepholes instead of seven of 700.
2. Adam with clipped gradients and a cosine schedule instead of stochastic gradient descent with momentum.
3. The vocabulary is the bytes of all three splits, the test text among them (96 and 65; none is in the test text alone).
4. Windows of 64 bytes instead of 100; the state goes on from window to window.
5. Bytes are looked up in a learnt table of 64 numbers instead of one-hot inputs; a dropout of 0.1, there none.

Cost: 11 to 17 minutes on two CPU cores with AVX-512, `shakespeare` 6 to 12.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, shakespeare=False, units=512, depth=1, smoke=False)
  shakespeare = args.shakespeare and not args.smoke
  c = defaults("lstm", task="language_model")

  if shakespeare:
    c.data.name = "tiny_shakespeare"
    c.data.train, c.data.valid, c.data.test = "train", "validation", "test"
    c.train.epochs = 10.0
  else:
    c.data.name = "python_library"
    c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
    c.train.epochs = 6.0
  c.data.features = {"text": "text"}
  c.data.batch_size = 32  # rows
  c.data.window = 64  # bytes
  c.evaluate.batch_size = 32
  c.evaluate.every_epochs = 1.0

  c.model.name = "sequence.lstm_language_model"
  c.model.units = args.units if not args.smoke else 32
  c.model.depth = args.depth
  c.model.dropout = 0.1

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 4e-3
  c.optimizer.schedule.name = "cosine"
  c.optimizer.warmup_steps = 100
  c.optimizer.clip.kind, c.optimizer.clip.value = "global_norm", 1.0

  c.checkpoint.monitor = "val_bits_per_byte"
  c.analyses = ("compressors", "surprise")
  c.reference.update(metric="bits_per_byte", unit="bit", paper="Graves 2013, LSTM over characters",
                     protocol="every byte of the test text once; each of 32 parts begins with one byte of what is before it")
  return finish(c, smoke=args.smoke)
