"""Actions in videos: a network a frame and an LSTM, or convolutions over space and time; beside them, one frame alone.

Papers: Donahue et al. 2015, "Long-term recurrent convolutional networks for visual recognition and description",
arXiv:1411.4389 (`network=lstm`); Tran, Bourdev, Fergus, Torresani & Paluri 2015, "Learning spatiotemporal features with 3D
convolutional networks", arXiv:1412.0767 (`network=conv3d`).

    python -m dlsuite.main --config=experiments/vision/action.py --workdir=/tmp/action_lstm
    python -m dlsuite.main --config=experiments/vision/action.py:network=conv3d --workdir=/tmp/action_conv3d
    python -m dlsuite.main --config=experiments/vision/action.py:network=frame --workdir=/tmp/action_frame

Arguments: `network=lstm`, `conv3d` or `frame` (the network of `lstm` on the middle frame alone), `ucf101` (else a simulated
set, `moving_digits`: a digit that moves in one of eight ways, of which one frame tells nothing), `smoke`.

Deviations:
1. The simulated set's networks are small and learn from scratch. That of `lstm` has two convolutions a frame instead of an
   AlexNet that knows ImageNet; it answers from the last frame, the paper takes the mean over all.
2. `ucf101,network=conv3d` is the paper's network from scratch; the paper's number (section 3.2 and table 3) takes a network
   trained on Sports-1M, and a linear SVM on its features.
3. `ucf101`: 16 frames that divide the whole video evenly instead of 16 frames in a row.
4. `ucf101`: frames are squeezed to squares of 112 pixels, and cut from these with a border of 8; the papers cut from larger
   frames (C3D: 112x112 from 171x128). Adam with a cosine for 30 epochs, batches of 32; C3D's own training on this set: gradient
   descent from 0.003, a tenth after every four of 16 epochs, batches of 30.
5. `ucf101`: a tenth of the training videos chooses the weights. Videos of one scene may be on both sides, so the validation
   flatters; the test split has other scenes.

Cost: on two CPU cores see README's results for the simulated set. `ucf101` (tfds fetches 6.5 GB and needs ffmpeg and an
unpacker of RAR) wants a GPU or a TPU; it has not been run.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg
from dlsuite.errors import ConfigError, one_of

NETWORKS = ("lstm", "conv3d", "frame")


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, network="lstm", ucf101=False, smoke=False)
  if args.network not in NETWORKS:
    raise ConfigError(one_of("config argument network", args.network, NETWORKS))
  ucf101 = args.ucf101 and not args.smoke
  c = defaults(f"action_{args.network}", task="classification")

  if ucf101:
    _ucf101(c)
  else:
    c.data.name = "moving_digits"
    part = "[:64]" if args.smoke else ""  # to decode all videos takes longer than a smoke run
    c.data.train, c.data.valid, c.data.test = f"train{part}", f"valid{part}", f"test{part}"
    c.data.mean, c.data.std = (0.04,), (0.15,)
    c.data.batch_size = 50
    c.train.epochs = 20.0
    c.evaluate.batch_size = 100
  c.data.features = {"image": "video", "label": "label"}

  if args.network == "conv3d":
    c.model.name = "vision.conv3d"
    if not ucf101:
      c.model.stages, c.model.units, c.model.dropout = ((8,), (16,), (32,)), (64,), 0.25
  else:
    c.model.name = "vision.frame_lstm"
    c.model.one_frame = args.network == "frame"
    c.model.dropout = 0.25
    if ucf101:
      c.model.widths, c.model.features, c.model.units = (32, 64, 128, 256), 256, 256

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.schedule.name = "cosine"
  c.optimizer.warmup_epochs = 1.0
  c.checkpoint.monitor = "val_error"
  c.analyses = ("confusion_matrix", "film_strips")

  paper = "Tran et al. 2015, C3D" if args.network == "conv3d" else "Donahue et al. 2015, LRCN"
  c.reference.update(metric="error", unit="%", paper=paper if ucf101 else f"after {paper}",
                     protocol="split 1, from scratch, one clip a video" if ucf101 else "4,000/500/1,000 videos")
  if args.network == "frame" and not ucf101:
    c.reference.update(value=87.5, paper="chance, one of eight")
  return finish(c, smoke=args.smoke)


def _ucf101(c: ConfigDict) -> None:
  c.data.name = "ucf101/ucf101_1_256"
  c.data.train, c.data.valid, c.data.test = "train[:90%]", "train[90%:]", "test"
  c.data.frames = 16
  c.data.resize = 112
  c.data.mean, c.data.std = (0.4, 0.38, 0.35), (0.28, 0.27, 0.27)  # a round guess: near that of natural images
  c.data.augment.pad_crop = 8
  c.data.augment.flip = True
  c.data.batch_size = 32
  c.train.epochs = 30.0
  c.evaluate.batch_size = 32
