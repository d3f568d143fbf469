"""A small one-stage detector: a residual backbone and, for each cell of its last grid, a few boxes with their classes."""

from typing import Any

import keras
import numpy as np
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D

_PRIOR = 0.01  # what the network takes for the chance of an object anywhere before it has learnt


def build(input_shape: tuple[int, ...], num_anchors: int, num_classes: int, widths: tuple[int, ...] = (16, 32, 64, 128),
          blocks: tuple[int, ...] = (0, 0, 1, 2), head: int = 128) -> keras.Model:
  """Returns a detector whose grid has a cell for each 2^n x 2^n pixels, n being the number of stages.

  Args:
    input_shape: (H, W, C); H and W divide by 2^n.
    num_anchors: boxes a cell.
    num_classes: of objects.
    widths: channels of each stage; each begins with a convolution of stride 2.
    blocks: residual blocks of each stage.
    head: channels of the last convolution before the output.

  Returns:
    [B, H, W, C] -> float32 [B, H / 2^n, W / 2^n, num_anchors, 5 + num_classes]: the box's place (top to bottom, left to
    right) and size (height, width), the logit of an object, the logits of the classes.

  Raises:
    ConfigError: if the stages disagree, or the image does not divide into cells.

  Source: Redmon & Farhadi 2018, "YOLOv3", table 1: strided convolutions and residual blocks of a 1x1 and a 3x3 convolution,
  each with batch norm and leaky ReLU, fewer and narrower; the output is that of Redmon & Farhadi 2017, "YOLO9000", section 2.
  The first chance of an object: Lin et al. 2017, "Focal loss", section 3.3.
  """
  if len(widths) != len(blocks) or not widths:
    raise ConfigError(f"model.widths={widths} and model.blocks={blocks} need one number a stage each")
  stride, near = 2 ** len(widths), []
  for side in input_shape[:2]:
    near.append(max(stride, round(side / stride) * stride))
  if tuple(near) != tuple(input_shape[:2]):
    raise ConfigError(f"data.size={tuple(input_shape[:2])} must divide by {stride}, the pixels a cell that model.widths="
                      f"{widths} makes; nearest: {tuple(near)}")
  x = inputs = keras.Input(input_shape)
  for i, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):  # [B, H / 2^i, W / 2^i, width]
    x = _convolution(x, width, 3, 2, f"stage{i}")
    for block in range(1, count + 1):
      x = _residual(x, f"stage{i}_block{block}")
  x = _convolution(x, head, 3, 1, "head")  # [B, H / 2^n, W / 2^n, head]
  outputs = 5 + num_classes
  x = Conv2D(num_anchors * outputs, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
             bias_initializer=Prior(num_anchors, outputs), dtype="float32", name="output")(x)
  x = layers.Reshape((*x.shape[1:3], num_anchors, outputs), dtype="float32", name="boxes")(x)
  return keras.Model(inputs, x, name="grid_detector")


@keras.saving.register_keras_serializable("dlsuite")
class Prior(keras.initializers.Initializer):
  """Sets the bias of every box's logit of an object to the prior's, and the others to 0.

  Args:
    num_anchors: boxes a cell.
    outputs: numbers a box, the fifth of which is that logit.
  """

  def __init__(self, num_anchors: int, outputs: int) -> None:
    self.num_anchors, self.outputs = num_anchors, outputs

  def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Returns the biases, [num_anchors * outputs]."""
    values = np.zeros((self.num_anchors, self.outputs), np.float32)
    values[:, 4] = np.log(_PRIOR / (1 - _PRIOR))
    return keras.ops.convert_to_tensor(values.reshape(shape), dtype)

  def get_config(self) -> dict[str, int]:
    """Returns the arguments that rebuild it."""
    return {"num_anchors": self.num_anchors, "outputs": self.outputs}


def _convolution(x: keras.KerasTensor, filters: int, size: int, stride: int, name: str) -> keras.KerasTensor:
  # Padded by hand where strided, so that a cell's pixels lie in the middle of what its convolutions see.
  if stride > 1:
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
  padding = "valid" if stride > 1 else "same"
  x = Conv2D(filters, size, stride, padding, use_bias=False, kernel_initializer="he_normal", name=name)(x)
  return layers.LeakyReLU(0.1, name=f"{name}_relu")(BatchNorm(name=f"{name}_bn")(x))


def _residual(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
  channels = x.shape[-1]
  y = _convolution(x, max(1, channels // 2), 1, 1, f"{name}_a")
  y = _convolution(y, channels, 3, 1, f"{name}_b")
  return layers.Add(name=f"{name}_add")([x, y])
