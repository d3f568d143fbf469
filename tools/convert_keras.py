"""Turns the ImageNet weights of `keras.applications` into a folder that `--init_from` accepts.

    python -m tools.convert_keras --application=VGG16 --out=/tmp/vgg16_imagenet
    python -m dlsuite.main --config=experiments/vision/vgg.py:imagenette --init_from=/tmp/vgg16_imagenet --workdir=/tmp/vgg
    python -m dlsuite.main --config=experiments/vision/vgg.py:imagenet,v2 --init_from=/tmp/vgg16_imagenet --mode=evaluate

Keras downloads the weights on this machine (or reads them: `--weights=PATH`). They are copied by layer name, and the logits
of both networks are compared on a random image, each behind its own preparation of the pixels. What our side has to set for
that, `data.mean` and `data.std`, and the model's arguments stand in `conversion.json` and are printed as flags, which both
commands need.

Exit codes: 0 written; 2 bad input, no network, or logits that differ, in one line and with nothing written.
"""

import argparse
import dataclasses
import importlib
import json
import pathlib
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from dlsuite.errors import ConfigError, DataError, DlsuiteError, WorkdirError, first_line, one_of
from dlsuite.quiet import import_tensorflow

if TYPE_CHECKING:
  import keras

# What stands for Keras's `preprocess_input`, by its mode: mean and standard deviation of RGB pixels scaled to [0, 1].
PIXELS = {
  "tf": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
  "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  "caffe": ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255)),  # Keras: BGR; see `_copy`
}
TOLERANCE = 1e-4  # of the logits, in units of the largest of them where that is above 1

Rules = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Application:
  """How one network of `keras.applications` corresponds to ours.

  Attributes:
    module: below `keras.applications`, where its `preprocess_input` is.
    mode: of `preprocess_input`, a key of `PIXELS`.
    model: ours, as `model.name` names it.
    arguments: of its builder.
    names: turns the name of each of our layers that has weights into Keras's: regular expressions that must match whole
      names, and what to put for them, tried in turn; or a function of all our names and all of Keras's.
    side: of the images, in pixels.
  """

  module: str
  mode: str
  model: str
  arguments: Mapping[str, Any]
  names: Rules | Callable[[list[str], list[str]], dict[str, str]]
  side: int = 224


_VGG: Rules = ((r"conv(\d)_(\d)", r"block\1_conv\2"), ("fc6", "fc1"), ("fc7", "fc2"), ("output", "predictions"))
_RESNET: Rules = (
  ("conv1", "conv1_conv"), ("conv1_bn", "conv1_bn"), ("output", "predictions"),
  *((rf"conv(\d)_(\d+)_{ours}{ending}", rf"conv\1_block\2_{theirs}_{kind}")
    for theirs, ours in enumerate(("shortcut", "a", "b", "c")) for ending, kind in (("", "conv"), ("_bn", "bn"))))
_DENSENET: Rules = (
  ("conv1", "conv1_conv"), ("conv1_bn", "conv1_bn"), ("last_bn", "bn"), ("output", "predictions"),
  *((rf"transition{i}{ours}", f"pool{i + 1}_{theirs}") for i in (1, 2, 3) for ours, theirs in (("", "conv"), ("_bn", "bn"))),
  *((rf"block{i}_layer(\d+)_{ours}", rf"conv{i + 1}_block\1_{theirs}") for i in (1, 2, 3, 4)
    for ours, theirs in (("a_bn", "0_bn"), ("a", "1_conv"), ("b_bn", "1_bn"), ("b", "2_conv"))))

# Keras's Inception-v3 leaves its layers without names, numbered as they are made: ours in that order, by kind of module.
_STEM = [f"conv{i}" for i in range(1, 6)]
_MODULE35 = ["1x1", "5x5_reduce", "5x5", "double_reduce", "double_1", "double_2", "pool_proj"]
_MODULE17 = ["1x1", "7x7_reduce", "7x7_1", "7x7_2", "double_reduce", *(f"double_{i}" for i in range(1, 5)), "pool_proj"]
_MODULE8 = ["1x1", "3x3_reduce", "3x3_row", "3x3_column", "double_reduce", "double_1", "double_row", "double_column",
            "pool_proj"]
_SHRINK = {3: ["3x3", "double_reduce", "double_1", "double_2"],
           8: ["3x3_reduce", "3x3", "7x7_reduce", "7x7_1", "7x7_2", "7x7_3"]}


def _inception_v3(_: list[str], theirs: list[str]) -> dict[str, str]:
  kinds = [_MODULE35] * 3 + [_SHRINK[3]] + [_MODULE17] * 4 + [_SHRINK[8]] + [_MODULE8] * 2
  ours = [*_STEM, *(f"mixed{i}_{path}" for i, kind in enumerate(kinds) for path in kind)]

  def made(kind: str) -> list[str]:
    found = [name for name in theirs if re.fullmatch(rf"{kind}(_\d+)?", name)]
    return sorted(found, key=lambda name: int(name[len(kind) + 1:] or 0))

  return (dict(zip(ours, made("conv2d"), strict=True)) | {"output": "predictions"}
          | dict(zip((f"{name}_bn" for name in ours), made("batch_normalization"), strict=True)))


APPLICATIONS = {
  "ResNet50": Application("resnet", "caffe", "vision.resnet", {"depth": 50}, _RESNET),
  "ResNet101": Application("resnet", "caffe", "vision.resnet", {"depth": 101}, _RESNET),
  "ResNet152": Application("resnet", "caffe", "vision.resnet", {"depth": 152}, _RESNET),
  "DenseNet121": Application("densenet", "torch", "vision.densenet", {"depth": 121}, _DENSENET),
  "DenseNet169": Application("densenet", "torch", "vision.densenet", {"depth": 169}, _DENSENET),
  "DenseNet201": Application("densenet", "torch", "vision.densenet", {"depth": 201}, _DENSENET),
  "VGG16": Application("vgg16", "caffe", "vision.vgg", {"depth": 16}, _VGG),
  "VGG19": Application("vgg19", "caffe", "vision.vgg", {"depth": 19}, _VGG),
  "InceptionV3": Application("inception_v3", "tf", "vision.inception_v3", {"auxiliary": False}, _inception_v3, side=299),
}


def convert(name: str, weights: str | None, out: str, side: int = 0, classes: int = 1000) -> dict[str, Any]:
  """Writes the folder of one application.

  Args:
    name: a key of `APPLICATIONS`.
    weights: "imagenet", a file of weights that Keras wrote, or None for random ones, of which none is trivial.
    out: the folder, absent or empty.
    side: of the images, in pixels; 0 is the application's own, which its ImageNet weights need.
    classes: how many; ImageNet's weights need 1000.

  Returns:
    What `conversion.json` holds: `application`, `weights`, `model` (the builder's arguments), `mean`, `std`, `difference`
    (the largest between two logits, in units of the largest logit where that is above 1).

  Raises:
    ConfigError: if there is no such application.
    DataError: if Keras cannot give the weights, or the networks disagree.
    WorkdirError: if the folder is not empty or cannot be written.
  """
  from dlsuite.runs import files
  from dlsuite.training import checkpoints

  if name not in APPLICATIONS:
    raise ConfigError(one_of("--application", name, APPLICATIONS))
  folder = pathlib.Path(out).expanduser()
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    raise WorkdirError(f"--out={out} exists and is no empty folder: give another")
  application = APPLICATIONS[name]
  shape = (side or application.side, side or application.side, 3)
  theirs = _keras_network(name, weights, shape, classes)
  build = importlib.import_module(f"dlsuite.models.{application.model}").build
  ours = build(input_shape=shape, num_outputs=classes, **application.arguments)
  _copy(theirs, ours, application)
  found = {
    "application": name, "weights": weights or "random", "model": {"name": application.model, **application.arguments},
    "mean": PIXELS[application.mode][0], "std": PIXELS[application.mode][1],
    "difference": _difference(theirs, ours, application)}
  arrays, paths = checkpoints.collect({"network.classifier": list(ours.weights)})
  run = files.path(str(folder))
  checkpoints.Folder(run / "checkpoints", keep=1, fingerprint="").save_state(0, arrays, {"paths": paths}, None)
  files.write_text(run / "conversion.json", json.dumps(found, indent=2) + "\n")
  return found


def _keras_network(name: str, weights: str | None, shape: tuple[int, ...], classes: int) -> "keras.Model":
  import keras

  if weights not in (None, "imagenet") and not pathlib.Path(str(weights)).is_file():
    raise DataError(f"--weights={weights} is no file; allowed: imagenet, random, or a file of weights that Keras wrote")
  try:
    network = getattr(keras.applications, name)(weights=weights, input_shape=shape, classes=classes, classifier_activation=None)
  except Exception as e:  # a bare Exception is what Keras raises for a download that fails
    how = "needs a network the first time, or --weights=PATH" if weights == "imagenet" else "was not written for it"
    raise DataError(f"--application={name}: Keras cannot give --weights={weights}, which {how}: {first_line(e)}") from e
  if weights is None:
    _randomize(network)
  return network


def _randomize(network: "keras.Model") -> None:
  """Makes noise of all weights that a new network has as zeros or ones, so that none of them may be missed unseen."""
  import numpy as np

  random = np.random.default_rng(0)
  for v in network.weights:
    if v.name in ("gamma", "moving_variance"):
      v.assign(random.uniform(0.5, 1.5, v.shape))
    elif v.name != "kernel":
      v.assign(0.1 * random.normal(size=v.shape))


def names_of(ours: "keras.Model", theirs: "keras.Model", application: Application) -> dict[str, str]:
  """Returns {our layer: Keras's} for each of our layers that has weights.

  Raises:
    DataError: if the table has no rule for one.
  """
  own = [layer.name for layer in ours.layers if layer.weights]
  if callable(application.names):
    return application.names(own, [layer.name for layer in theirs.layers])
  found = {}
  for name in own:
    for pattern, replacement in application.names:
      if match := re.fullmatch(pattern, name):
        found[name] = match.expand(replacement)
        break
    else:
      raise DataError(f"{application.model}: the table of names has nothing for layer {name!r}")
  return found


def _copy(theirs: "keras.Model", ours: "keras.Model", application: Application) -> None:
  """Copies every weight by the names of layer and weight; nothing may be left over on either side.

  Only a convolution's bias that ours has not, since batch norm follows: it goes off the moving mean there.
  """
  names = names_of(ours, theirs, application)
  left = {layer.name for layer in theirs.layers if layer.weights}
  biases: dict[str, Any] = {}  # {our batch norm: the bias in front of it}
  flip = application.mode == "caffe"  # those networks look at BGR; turning the first kernel's channels round makes it RGB
  for our_name, their_name in names.items():
    if their_name not in left:
      raise DataError(f"{application.model}: layer {our_name!r} is to come from {their_name!r}, which Keras's network has not")
    left.discard(their_name)
    source = {v.name: v.numpy() for v in theirs.get_layer(their_name).weights}
    for v in ours.get_layer(our_name).weights:
      value = source.pop(v.name, None)
      if value is None or value.shape != tuple(v.shape):
        raise DataError(f"{v.path} {tuple(v.shape)} does not fit {their_name}'s {'nothing' if value is None else value.shape}")
      first = flip and value.ndim == 4
      v.assign(value[:, :, ::-1] if first else value)
      flip = flip and not first
    if f"{our_name}_bn" in names and "bias" in source:
      biases[f"{our_name}_bn"] = source.pop("bias")
    if source:
      raise DataError(f"{application.model}: layer {our_name!r} has nothing for {', '.join(source)} of {their_name!r}")
  for our_name, bias in biases.items():
    mean = ours.get_layer(our_name).moving_mean
    mean.assign(mean - bias)
  if left:
    raise DataError(f"{application.model}: no layer takes Keras's {', '.join(sorted(left))}")


def _difference(theirs: "keras.Model", ours: "keras.Model", application: Application) -> float:
  """Returns the largest difference of two logits of a random image, in units of the largest logit where that is above 1.

  Raises:
    DataError: if it is above `TOLERANCE`.
  """
  import keras
  import numpy as np

  image = np.random.default_rng(0).integers(0, 256, (1, *theirs.input_shape[1:]), np.uint8)
  preprocess = getattr(keras.applications, application.module).preprocess_input
  expected = keras.ops.convert_to_numpy(theirs(preprocess(image.astype(np.float32)), training=False))
  mean, std = (np.array(values, np.float32) for values in PIXELS[application.mode])
  found = ours((image.astype(np.float32) / 255 - mean) / std, training=False)
  found = keras.ops.convert_to_numpy(found["logits"] if isinstance(found, dict) else found)
  difference = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
  if not difference <= TOLERANCE:
    raise DataError(f"{application.model}: logits differ by {difference:.2g} of the largest from Keras's, more than "
                    f"{TOLERANCE:g}")
  return difference


def overrides(found: dict[str, Any]) -> dict[str, object]:
  """Returns {key of the config: value} for a run of a converted network.

  Args:
    found: what `convert` returns; of it `mean`, `std`, `model`.
  """
  values: dict[str, object] = {f"data.{key}": f"({', '.join(f'{v:.6f}' for v in found[key])})" for key in ("mean", "std")}
  values |= {f"model.{key}": value for key, value in found["model"].items()}
  if found["model"].get("auxiliary") is False:
    values["loss.auxiliary"] = 0.0
  return values


class _Parser(argparse.ArgumentParser):
  """Raises what argparse would print with its usage."""

  def error(self, message: str) -> NoReturn:
    raise ConfigError(message)


def main(argv: list[str] | None = None) -> int:
  """Runs one command and returns its exit code."""
  parser = _Parser(prog="python -m tools.convert_keras", description=__doc__,
                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--application", required=True, help=", ".join(APPLICATIONS))
  parser.add_argument("--out", required=True, help="folder to write, absent or empty")
  parser.add_argument("--weights", default="imagenet", help="imagenet (the default), random, or a file that Keras wrote")
  try:
    options = parser.parse_args(argv)
    import_tensorflow()
    found = convert(options.application, None if options.weights == "random" else options.weights, options.out)
  except DlsuiteError as e:
    print(f"convert_keras: {e}", file=sys.stderr)
    return e.exit_code
  print(f"{options.out}: {found['application']}, logits differ by {found['difference']:.1e} of the largest; for a run of these "
        "weights:")
  flags = " ".join(f"--config.{key}='{value}'" for key, value in overrides(found).items())
  print(f"  --init_from={options.out} {flags}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
