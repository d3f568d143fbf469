"""GoogLeNet: nine inception modules, which look at each pixel at four scales at once, and two auxiliary classifiers."""

import keras
from keras import layers

from dlsuite.layers.batch_norm import BatchNorm
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images
from dlsuite.layers.local_response_norm import LocalResponseNorm

# Table 1: channels of the 1x1 path, of reduction and convolution of the 3x3 path, of those of the 5x5 path, of the pooling's.
MODULES = {
  "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
  "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
  "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
  "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}
_HEADS = {"4a": "auxiliary1", "4d": "auxiliary2"}


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, auxiliary: bool = True, width: float = 1.0, stem_stride: int = 2,
          stem_pool: bool = True, batch_norm: bool = False, response_norm: bool = True, dropout: float = 0.4,
          auxiliary_units: int = 1024, auxiliary_dropout: float = 0.7, initializer: str = "glorot_uniform") -> keras.Model:
  """Returns GoogLeNet.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    auxiliary: with the two classifiers on the modules 4a and 4d; the paper weighs their losses by 0.3.
    width: factor on the channels of all convolutions.
    stem_stride: of the first convolution; 1 suits small images.
    stem_pool: with the two poolings in front of the modules; without them suits small images.
    batch_norm: batch norm between each convolution and its ReLU, which came a year later.
    response_norm: local response normalisation, twice in the stem.
    dropout: share dropped in front of the classifier.
    auxiliary_units: of the hidden layer of an auxiliary classifier.
    auxiliary_dropout: share of them dropped.
    initializer: of all kernels, by its Keras name.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs]; with auxiliary classifiers a dict of three such: `logits`, `auxiliary1`,
    `auxiliary2`.

  Raises:
    ConfigError: if the images are too small.

  Source: Szegedy et al. 2015, "Going deeper with convolutions", table 1, figure 3 and section 5.
  """

  def convolution(x: keras.KerasTensor, channels: int, size: int, name: str, stride: int = 1) -> keras.KerasTensor:
    x = Conv2D(max(1, round(channels * width)), size, stride, "same", kernel_initializer=initializer, name=name)(x)
    x = BatchNorm(epsilon=1e-3, name=f"{name}_bn")(x) if batch_norm else x
    return layers.ReLU(name=f"{name}_relu")(x)

  def inception(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    plain, reduce3, conv3, reduce5, conv5, pool = MODULES[name]
    name = f"inception_{name}"
    scales = [
      convolution(x, plain, 1, f"{name}_1x1"),
      convolution(convolution(x, reduce3, 1, f"{name}_3x3_reduce"), conv3, 3, f"{name}_3x3"),
      convolution(convolution(x, reduce5, 1, f"{name}_5x5_reduce"), conv5, 5, f"{name}_5x5"),
      convolution(layers.MaxPool2D(3, 1, "same", name=f"{name}_pool")(x), pool, 1, f"{name}_pool_proj"),
    ]
    return layers.Concatenate(name=f"{name}_output")(scales)

  def classifier(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)  # [B, 4, 4, 512] or [B, 4, 4, 528]
    x = convolution(x, 128, 1, f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)  # [B, 2048]
    x = layers.Dense(auxiliary_units, "relu", kernel_initializer=initializer, name=f"{name}_fc")(x)
    x = layers.Dropout(auxiliary_dropout, name=f"{name}_drop")(x)
    return layers.Dense(num_outputs, kernel_initializer=initializer, dtype="float32", name=name)(x)

  def pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.MaxPool2D(3, 2, "same", name=name)(x)

  x = inputs = keras.Input(input_shape)
  x = convolution(x, 64, 7, "conv1", stem_stride)  # [B, 112, 112, 64]
  x = pool(x, "pool1") if stem_pool else x  # [B, 56, 56, 64]
  x = LocalResponseNorm(name="norm1")(x) if response_norm else x
  x = convolution(x, 64, 1, "conv2_reduce")
  x = convolution(x, 192, 3, "conv2")  # [B, 56, 56, 192]
  x = LocalResponseNorm(name="norm2")(x) if response_norm else x
  x = pool(x, "pool2") if stem_pool else x  # [B, 28, 28, 192]
  heads = {}
  for name in MODULES:
    if name in ("4a", "5a"):
      x = pool(x, f"pool{int(name[0]) - 1}")  # [B, 14, 14, 480], [B, 7, 7, 832]
    x = inception(x, name)
    if auxiliary and name in _HEADS:
      heads[_HEADS[name]] = classifier(x, _HEADS[name])
  x = layers.GlobalAveragePooling2D(name="pool5")(x)  # [B, 1024]
  x = layers.Dropout(dropout, name="drop")(x)
  x = layers.Dense(num_outputs, kernel_initializer=initializer, dtype="float32", name="output")(x)
  return keras.Model(inputs, {"logits": x, **heads} if auxiliary else x, name="googlenet")
