"""AlexNet: five convolutions, two of them normalised by their neighbours, overlapping poolings, three dense layers."""

import keras
from keras import layers

from dlsuite.errors import ConfigError
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images
from dlsuite.layers.local_response_norm import LocalResponseNorm


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, filters: tuple[int, ...] = (96, 256, 384, 384, 256), towers: int = 2,
          response_norm: bool = True, stem_kernel: int = 11, stem_stride: int = 4, stem_padding: int = 2, units: int = 4096,
          dropout: float = 0.5, initializer: str = "paper") -> keras.Model:
  """Returns AlexNet.

  Args:
    input_shape: (H, W, C); the paper's is (224, 224, 3). (227, 227, 3) without padding gives the same sizes.
    num_outputs: number of classes.
    filters: channels of the five convolutions; (64, 192, 384, 256, 256) with one tower is torchvision's reading of
      the later, single-GPU network, whose paper names 384 for the fourth and a count of parameters that speaks for 256.
    towers: into how many groups the second, fourth and fifth convolution are split: the GPUs of the paper.
    response_norm: local response normalisation after the first two convolutions.
    stem_kernel: side of the first convolution's filters; 3 or 5 suits small images.
    stem_stride: of the first convolution; 1 suits small images.
    stem_padding: pixels added around the image.
    units: of each of the two hidden fully connected layers.
    dropout: share of these units dropped.
    initializer: of all kernels, by its Keras name; "paper" is a normal distribution of 0.01, and biases of one in the second,
      fourth and fifth convolution and in the hidden fully connected layers.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if there are not five numbers of filters, they do not divide by the towers, or the images are too small.

  Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 3 and
  figure 2; initialisation: section 5. The sums of the response norm run over all maps, as its formula says, also across the
  towers. One tower: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks".
  """
  if len(filters) != 5:
    raise ConfigError(f"model.filters={tuple(filters)} must be five numbers, e.g. (96, 256, 384, 384, 256)")
  if towers < 1 or any(count % towers for count in filters):
    raise ConfigError(f"model.towers={towers} must divide each of model.filters={tuple(filters)}")
  as_paper = initializer == "paper"
  kernel: object = keras.initializers.RandomNormal(stddev=0.01) if as_paper else initializer

  def convolution(x: keras.KerasTensor, i: int, size: int, groups: int = 1, bias: float = 0.0) -> keras.KerasTensor:
    start = keras.initializers.Constant(bias if as_paper else 0.0)
    stride, padding = (stem_stride, "valid") if i == 1 else (1, "same")
    return Conv2D(filters[i - 1], size, stride, padding, groups=groups, activation="relu", kernel_initializer=kernel,
                  bias_initializer=start, name=f"conv{i}")(x)

  def hidden(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    start = keras.initializers.Constant(1.0 if as_paper else 0.0)
    x = layers.Dense(units, "relu", kernel_initializer=kernel, bias_initializer=start, name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_drop")(x)

  x = inputs = keras.Input(input_shape)
  if stem_padding:
    x = layers.ZeroPadding2D(stem_padding, name="pad")(x)
  x = convolution(x, 1, stem_kernel)  # [B, 55, 55, 96]
  x = LocalResponseNorm(name="norm1")(x) if response_norm else x
  x = layers.MaxPool2D(3, 2, name="pool1")(x)  # [B, 27, 27, 96]
  x = convolution(x, 2, 5, towers, bias=1.0)  # [B, 27, 27, 256]
  x = LocalResponseNorm(name="norm2")(x) if response_norm else x
  x = layers.MaxPool2D(3, 2, name="pool2")(x)  # [B, 13, 13, 256]
  x = convolution(x, 3, 3)  # [B, 13, 13, 384]
  x = convolution(x, 4, 3, towers, bias=1.0)  # [B, 13, 13, 384]
  x = convolution(x, 5, 3, towers, bias=1.0)  # [B, 13, 13, 256]
  x = layers.MaxPool2D(3, 2, name="pool5")(x)  # [B, 6, 6, 256]
  x = layers.Flatten(name="flatten")(x)  # [B, 9216]
  x = hidden(x, "fc6")
  x = hidden(x, "fc7")
  x = layers.Dense(num_outputs, kernel_initializer=kernel, dtype="float32", name="output")(x)
  return keras.Model(inputs, x, name="alexnet")
