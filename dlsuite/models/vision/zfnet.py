"""ZFNet: AlexNet with smaller, denser first filters, found by looking at what its layers had learnt."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images
from dlsuite.layers.local_response_norm import LocalResponseNorm


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, filters: tuple[int, ...] = (96, 256, 384, 384, 256),
          stem_kernel: int = 7, stem_strides: tuple[int, ...] = (2, 2), stem_padding: int = 1, units: int = 4096,
          dropout: float = 0.5, initializer: str = "paper") -> keras.Model:
  """Returns ZFNet.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3).
    num_outputs: number of classes.
    filters: channels of the five convolutions.
    stem_kernel: side of the first convolution's filters.
    stem_strides: of the first two convolutions; (1, 1) suits small images. At a stride of 1 the second one is padded.
    stem_padding: pixels added around the image.
    units: of each of the two hidden fully connected layers.
    dropout: share of these units dropped.
    initializer: of all kernels, by its Keras name; "paper" is a normal distribution of 0.01.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if there are not five numbers of filters and two strides, or the images are too small.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", figure 3 and section 3.1. The paper
  does not say how the contrast is normalised across feature maps: here as in AlexNet. Paddings are those that give the
  figure's sizes.
  """
  if len(filters) != 5 or len(stem_strides) != 2:
    raise ConfigError(f"model.filters={tuple(filters)} must be five numbers, e.g. (96, 256, 384, 384, 256), and "
                      f"model.stem_strides={tuple(stem_strides)} two, e.g. (2, 2)")
  kernel: object = keras.initializers.RandomNormal(stddev=0.01) if initializer == "paper" else initializer

  def convolution(x: keras.KerasTensor, i: int, size: int, stride: int = 1, padding: str = "same") -> keras.KerasTensor:
    return Conv2D(filters[i - 1], size, stride, padding, activation="relu", kernel_initializer=kernel, name=f"conv{i}")(x)

  x = inputs = keras.Input(input_shape)
  if stem_padding:
    x = layers.ZeroPadding2D(stem_padding, name="pad")(x)
  x = convolution(x, 1, stem_kernel, stem_strides[0], "valid")  # [B, 110, 110, 96]
  x = layers.MaxPool2D(3, 2, "same", name="pool1")(x)  # [B, 55, 55, 96]
  x = LocalResponseNorm(name="norm1")(x)
  x = convolution(x, 2, 5, stem_strides[1], "valid" if stem_strides[1] > 1 else "same")  # [B, 26, 26, 256]
  x = layers.MaxPool2D(3, 2, "same", name="pool2")(x)  # [B, 13, 13, 256]
  x = LocalResponseNorm(name="norm2")(x)
  x = convolution(x, 3, 3)  # [B, 13, 13, 384]
  x = convolution(x, 4, 3)  # [B, 13, 13, 384]
  x = convolution(x, 5, 3)  # [B, 13, 13, 256]
  x = layers.MaxPool2D(3, 2, name="pool5")(x)  # [B, 6, 6, 256]
  x = layers.Flatten(name="flatten")(x)  # [B, 9216]
  for name in ("fc6", "fc7"):
    x = layers.Dense(units, "relu", kernel_initializer=kernel, name=name)(x)
    x = layers.Dropout(dropout, name=f"{name}_drop")(x)
  x = layers.Dense(num_outputs, kernel_initializer=kernel, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name="zfnet")
