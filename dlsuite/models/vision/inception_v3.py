"""Inception-v3: inception modules whose large filters are factored into small and one-dimensional ones."""

from collections.abc import Callable

import keras
from keras import layers

from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, auxiliary: bool = True, width: float = 1.0, stem_stride: int = 2,
          stem_pool: bool = True, dropout: float = 0.2, initializer: str = "glorot_uniform") -> keras.Model:
  """Returns Inception-v3.

  Args:
    input_shape: (H, W, C); the paper's is (299, 299, 3).
    num_outputs: number of classes.
    auxiliary: with the classifier on the last 17x17 grid; its authors weigh its loss by 0.4.
    width: factor on the channels of all convolutions.
    stem_stride: of the first convolution; 1 suits small images.
    stem_pool: with the two poolings in front of the modules; without them suits small images.
    dropout: share dropped in front of the classifier.
    initializer: of all kernels, by its Keras name.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs]; with the auxiliary classifier a dict of two such: `logits`, `auxiliary`.

  Raises:
    ConfigError: if the images are too small.

  Source: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016, "Rethinking the Inception architecture for computer vision",
  figures 5 to 8 and 10. Its table 1 leaves details open: the stem, the channels of each path and the ReLU behind a batch
  norm without a factor are those of the network that its authors made public and others took over.
  """

  def conv(x: keras.KerasTensor, channels: int, size: int | tuple[int, int], name: str, stride: int = 1,
           padding: str = "same") -> keras.KerasTensor:
    x = Conv2D(max(1, round(channels * width)), size, stride, padding, use_bias=False, kernel_initializer=initializer,
               name=name)(x)
    x = BatchNorm(epsilon=1e-3, scale=False, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)

  def join(paths: list[keras.KerasTensor], name: str) -> keras.KerasTensor:
    return layers.Concatenate(name=name)(paths)

  def pooled(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    return conv(layers.AveragePooling2D(3, 1, "same", name=f"{name}_pool")(x), channels, 1, f"{name}_pool_proj")

  def module35(x: keras.KerasTensor, pool: int, name: str) -> keras.KerasTensor:
    """Figure 5: the 5x5 path of GoogLeNet as two of 3x3, beside one that its authors left at 5x5."""
    five = conv(conv(x, 48, 1, f"{name}_5x5_reduce"), 64, 5, f"{name}_5x5")
    double = conv(conv(x, 64, 1, f"{name}_double_reduce"), 96, 3, f"{name}_double_1")
    double = conv(double, 96, 3, f"{name}_double_2")
    return join([conv(x, 64, 1, f"{name}_1x1"), five, double, pooled(x, pool, name)], name)

  def module17(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Figure 6: 7x7 as 1x7 and 7x1, once and twice."""
    seven = conv(conv(x, channels, 1, f"{name}_7x7_reduce"), channels, (1, 7), f"{name}_7x7_1")
    seven = conv(seven, 192, (7, 1), f"{name}_7x7_2")
    double = conv(conv(x, channels, 1, f"{name}_double_reduce"), channels, (7, 1), f"{name}_double_1")
    double = conv(conv(double, channels, (1, 7), f"{name}_double_2"), channels, (7, 1), f"{name}_double_3")
    double = conv(double, 192, (1, 7), f"{name}_double_4")
    return join([conv(x, 192, 1, f"{name}_1x1"), seven, double, pooled(x, 192, name)], name)

  def module8(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Figure 7: 3x3 as 1x3 beside 3x1, which makes the last maps many."""
    three = conv(x, 384, 1, f"{name}_3x3_reduce")
    three = join([conv(three, 384, (1, 3), f"{name}_3x3_row"), conv(three, 384, (3, 1), f"{name}_3x3_column")], f"{name}_3x3")
    double = conv(conv(x, 448, 1, f"{name}_double_reduce"), 384, 3, f"{name}_double_1")
    double = join([conv(double, 384, (1, 3), f"{name}_double_row"), conv(double, 384, (3, 1), f"{name}_double_column")],
                  f"{name}_double")
    return join([conv(x, 320, 1, f"{name}_1x1"), three, double, pooled(x, 192, name)], name)

  x = inputs = keras.Input(input_shape)
  x = conv(x, 32, 3, "conv1", stem_stride, "valid")  # [B, 149, 149, 32]
  x = conv(x, 32, 3, "conv2", 1, "valid")  # [B, 147, 147, 32]
  x = conv(x, 64, 3, "conv3")  # [B, 147, 147, 64]
  x = layers.MaxPool2D(3, 2, name="pool1")(x) if stem_pool else x  # [B, 73, 73, 64]
  x = conv(x, 80, 1, "conv4")  # [B, 73, 73, 80]
  x = conv(x, 192, 3, "conv5", 1, "valid")  # [B, 71, 71, 192]
  x = layers.MaxPool2D(3, 2, name="pool2")(x) if stem_pool else x  # [B, 35, 35, 192]

  x = module35(x, 32, "mixed0")  # [B, 35, 35, 256]
  x = module35(x, 64, "mixed1")  # [B, 35, 35, 288]
  x = module35(x, 64, "mixed2")
  # Figure 10: the grid shrinks by strided convolutions beside a pooling.
  double = conv(conv(x, 64, 1, "mixed3_double_reduce"), 96, 3, "mixed3_double_1")
  x = join([conv(x, 384, 3, "mixed3_3x3", 2, "valid"), conv(double, 96, 3, "mixed3_double_2", 2, "valid"),
            layers.MaxPool2D(3, 2, name="mixed3_pool")(x)], "mixed3")  # [B, 17, 17, 768]
  for i, channels in enumerate((128, 160, 160, 192), 4):
    x = module17(x, channels, f"mixed{i}")  # [B, 17, 17, 768]
  heads = {"auxiliary": _auxiliary(x, num_outputs, conv, initializer)} if auxiliary else {}
  three = conv(conv(x, 192, 1, "mixed8_3x3_reduce"), 320, 3, "mixed8_3x3", 2, "valid")
  seven = conv(conv(x, 192, 1, "mixed8_7x7_reduce"), 192, (1, 7), "mixed8_7x7_1")
  seven = conv(conv(seven, 192, (7, 1), "mixed8_7x7_2"), 192, 3, "mixed8_7x7_3", 2, "valid")
  x = join([three, seven, layers.MaxPool2D(3, 2, name="mixed8_pool")(x)], "mixed8")  # [B, 8, 8, 1280]
  x = module8(x, "mixed9")  # [B, 8, 8, 2048]
  x = module8(x, "mixed10")
  x = layers.GlobalAveragePooling2D(name="pool")(x)  # [B, 2048]
  x = layers.Dropout(dropout, name="drop")(x)
  x = layers.Dense(num_outputs, kernel_initializer=initializer, dtype="float32", name="output")(x)
  return keras.Model(inputs, {"logits": x, **heads} if auxiliary else x, name="inception_v3")


def _auxiliary(x: keras.KerasTensor, num_outputs: int, conv: Callable[..., keras.KerasTensor], initializer: str
               ) -> keras.KerasTensor:
  """Figure 8: the auxiliary classifier, batch-normalised as everything else."""
  x = layers.AveragePooling2D(5, 3, name="auxiliary_pool")(x)  # [B, 5, 5, 768]
  x = conv(x, 128, 1, "auxiliary_reduce")
  x = conv(x, 768, (min(5, x.shape[1]), min(5, x.shape[2])), "auxiliary_conv", 1, "valid")  # [B, 1, 1, 768]
  x = layers.GlobalAveragePooling2D(name="auxiliary_mean")(x)
  return layers.Dense(num_outputs, kernel_initializer=initializer, dtype="float32", name="auxiliary")(x)
