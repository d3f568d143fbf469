"""PilotNet: a network that learns to steer from a driver's pictures, and then drives alone.

Paper: Bojarski et al. 2016, "End to end learning for self-driving cars", arXiv:1604.07316, figure 4. There it drives on roads,
here gymnasium's CarRacing. Needs the extra `driving`.

    python -m dlsuite.main --config=experiments/vision/pilotnet.py --workdir=/tmp/pilotnet

Arguments: `smoke`.

Deviations:
1. The road is a simulation seen from above, in a picture twice as fine across as along. The driver is a script that knows the
   track (pure pursuit); the paper's is a person.
2. The driver's hands are pushed now and then, and what he does to recover is learnt; the paper shifts and turns the pictures
   of three cameras. Half of the pictures are mirrored.
3. Steering from -1 to 1 instead of the inverse of the turning radius; cruise control holds the speed.
4. Adam on a cosine and a dropout of 0.2; the paper says only that the error is squared.
5. After the training it drives on ten unseen tracks (analysis `laps`); nobody intervenes.

Cost: on two CPU cores a minute or two for the simulation of 22 laps when the data are prepared, two for the training, one for
the ten laps.
"""

from ml_collections import ConfigDict

from dlsuite.config import defaults, finish, parse_arg


def get_config(arg: str = "") -> ConfigDict:
  """Returns the config of one variant."""
  args = parse_arg(arg, smoke=False)
  c = defaults("pilotnet", task="steering")

  c.data.name = "car_racing_sample" if args.smoke else "car_racing"
  c.data.train, c.data.valid, c.data.test = "train", "valid", "test"
  c.data.features = {"image": "image", "steering": "steering"}
  c.data.augment.mirror = True
  c.data.batch_size = 64
  c.train.epochs = 8.0
  c.evaluate.batch_size = 100
  if args.smoke:
    c.evaluate.tracks, c.evaluate.pictures = 1, 10

  c.model.name = "vision.pilotnet"
  c.model.dropout = 0.2

  c.optimizer.name = "adam"
  c.optimizer.learning_rate = 1e-3
  c.optimizer.schedule.name = "cosine"
  c.optimizer.warmup_epochs = 0.5

  c.checkpoint.monitor = "val_loss"
  c.analyses = ("laps", "activations")
  c.reference.update(metric="rmse", unit="steering", paper="Bojarski et al. 2016, PilotNet",
                     protocol="16 tracks train, 3 choose the weights, 3 test; 400 pictures each")
  return finish(c, smoke=args.smoke)
