"""U-Net: a contracting path, an expanding path, and copies across between equal resolutions."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.crop import CropLike

PADDINGS = ("valid", "same")


def build(input_shape: tuple[int | None, ...], num_outputs: int, sides: tuple[int, ...] = (), base: int = 64, depth: int = 4,
          padding: str = "valid", dropout: float = 0.5, batch_norm: bool = False) -> keras.Model:
  """Returns a U-Net for images of any size that fits.

  Args:
    input_shape: (H, W, C); H and W may be None.
    num_outputs: number of classes.
    sides: pixels a side of the inputs that the network will be given; refused here if one does not fit.
    base: channels at the full resolution, doubled at each of the `depth` coarser ones; 64 in the paper.
    depth: how often the resolution is halved; 4 in the paper.
    padding: `valid` as in the paper: each 3x3 convolution takes off a border of one pixel; `same`: zeros around, the output
      is as large as the input.
    dropout: share of the numbers dropped at the two coarsest resolutions of the contracting path, in training.
    batch_norm: whether a batch norm stands between each 3x3 convolution and its ReLU; not in the paper.

  Returns:
    [B, H, W, C] -> logits [B, h, w, num_outputs], h = `output_side(H)`, w = `output_side(W)`; float32.

  Raises:
    ConfigError: if an argument is out of its range or a size does not fit.

  Source: Ronneberger, Fischer & Brox 2015, figure 1 and section 2; initial weights: section 3.
  """
  if padding not in PADDINGS:
    raise ConfigError(f"model.padding={padding!r} is unknown; allowed: {', '.join(PADDINGS)}")
  if base < 1 or depth < 1 or not 0 <= dropout < 1:
    raise ConfigError(f"model.base={base} and model.depth={depth} must be 1 or more, model.dropout={dropout} at least 0 and "
                      "below 1")
  for side in {*input_shape[:2], *sides} - {None}:
    output_side(int(side), depth, padding)  # type: ignore[arg-type]

  def double(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    for part in "ab":
      x = Conv2D(channels, 3, padding=padding, use_bias=not batch_norm, kernel_initializer="he_normal",
                 name=f"{name}_{part}")(x)
      x = BatchNorm(name=f"{name}_{part}_bn")(x) if batch_norm else x
      x = layers.ReLU(name=f"{name}_{part}_relu")(x)
    return x

  x = inputs = keras.Input(input_shape)  # the shapes below: padding "valid", depth 4, 572 pixels
  copies = []
  for level in range(depth):
    x = double(x, base * 2**level, f"down{level}")  # [B, 568, 568, 64], [B, 280, 280, 128], [136, 256], [64, 512]
    if level == depth - 1:
      x = layers.Dropout(dropout, name=f"down{level}_dropout")(x)
    copies.append(x)
    x = layers.MaxPooling2D(2, name=f"pool{level}")(x)  # [B, 284, 284, 64], [B, 140, 140, 128], [68, 256], [32, 512]
  x = double(x, base * 2**depth, "bottom")  # [B, 28, 28, 1024]
  x = layers.Dropout(dropout, name="bottom_dropout")(x)
  for level in reversed(range(depth)):
    x = layers.Conv2DTranspose(base * 2**level, 2, 2, kernel_initializer="he_normal", name=f"up{level}_upconv")(x)
    copied = CropLike(name=f"up{level}_crop")([copies[level], x]) if padding == "valid" else copies[level]
    x = layers.Concatenate(name=f"up{level}_join")([copied, x])  # [B, 56, 56, 1024], [104, 512], [200, 256], [392, 128]
    x = double(x, base * 2**level, f"up{level}")  # [B, 52, 52, 512], [100, 256], [196, 128], [B, 388, 388, 64]
  x = Conv2D(num_outputs, 1, kernel_initializer="he_normal", dtype="float32", name="output")(x)  # [B, 388, 388, 2]
  return keras.Model(inputs, x, name="unet")


def output_side(side: int, depth: int = 4, padding: str = "valid") -> int:
  """Returns how many pixels a side of the output has for one of the input: 388 for 572 in the paper.

  Raises:
    ConfigError: if some resolution cannot be halved, or nothing is left; it names the layer and the nearest sizes that fit.
  """
  found, why = _follow(side, depth, padding)
  if found > 0:
    return found
  step = 2**depth
  smaller = next((s for s in range(side - 1, max(0, side - step) - 1, -1) if _follow(s, depth, padding)[0] > 0), None)
  larger = next(s for s in range(side + 1, side + 100 * step) if _follow(s, depth, padding)[0] > 0)
  raise ConfigError(f"a U-Net with model.depth={depth} and model.padding={padding!r} takes no input of {side} pixels a side: "
                    f"{why}; nearest: {f'{smaller} or ' if smaller else ''}{larger}")


def _follow(side: int, depth: int, padding: str) -> tuple[int, str]:
  """Returns the output's pixels a side; or 0, and at which layer the input does not fit."""
  lost = 2 if padding == "valid" else 0  # by each convolution

  def double(side: int, name: str) -> tuple[int, str]:
    for part in "ab":
      if side <= lost:
        return 0, f"nothing is left after its layer '{name}_{part}', which gets {side}x{side}"
      side -= lost
    return side, ""

  for level in range(depth):
    side, why = double(side, f"down{level}")
    if why:
      return 0, why
    if side % 2:
      return 0, f"its layer 'pool{level}' gets {side}x{side}, which cannot be halved"
    side //= 2
  for name in ["bottom", *(f"up{level}" for level in reversed(range(depth)))]:
    side, why = double(side if name == "bottom" else 2 * side, name)
    if why:
      return 0, why
  return side, ""
