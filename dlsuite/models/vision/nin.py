"""Network in network: small perceptrons slide over the image, and the mean of each last map is a class's logit."""

import keras
from keras import layers

from dlsuite.errors import ConfigError, one_of
from dlsuite.layers.convolution import Conv2D
from dlsuite.layers.image_size import refuses_small_images

# Of each mlpconv block: side, stride and padding of its convolution, channels of it and of the 1x1 convolutions behind it,
# padding of the pooling behind the block, which in the authors' framework rounds up. The last channels of all are the classes.
LAYOUTS = {
  "cifar": ((5, 1, "same", (192, 160, 96), "same"), (5, 1, "same", (192, 192, 192), "same"), (3, 1, "same", (192, 192), "")),
  "imagenet": ((11, 4, "valid", (96, 96, 96), "same"), (5, 1, "same", (256, 256, 256), "valid"),
               (3, 1, "same", (384, 384, 384), "valid"), (3, 1, "same", (1024, 1024), "")),
}


@refuses_small_images
def build(input_shape: tuple[int, ...], num_outputs: int, layout: str = "cifar", width: float = 1.0, dropout: float = 0.5,
          last_relu: bool = True) -> keras.Model:
  """Returns a network in network.

  Args:
    input_shape: (H, W, C); (32, 32, 3) for `cifar`, (224, 224, 3) for `imagenet`.
    num_outputs: number of classes.
    layout: "cifar", three blocks, or "imagenet", four, which its authors made public later.
    width: factor on the channels of every layer but the last.
    dropout: share dropped behind the poolings: of `cifar` behind both, of `imagenet` behind the last.
    last_relu: a ReLU also on the maps of the classes, as the paper has it; a class whose map is zero for all images learns
      no more, which happens to narrow networks.

  Returns:
    [B, H, W, C] -> logits [B, num_outputs].

  Raises:
    ConfigError: if there is no such layout, or the images are too small.

  Source: Lin, Chen & Yan 2014, "Network in network", section 3 and figure 2. The paper leaves the sizes to its
  supplement: these are those of the definitions that the authors published, for CIFAR-10 and for ImageNet; all
  poolings are maxima, as the paper says.
  """
  if layout not in LAYOUTS:
    raise ConfigError(one_of("model.layout", layout, LAYOUTS))
  blocks = LAYOUTS[layout]
  x = inputs = keras.Input(input_shape)
  for block, (size, stride, padding, channels, pooling) in enumerate(blocks, 1):
    last = block == len(blocks)
    widths = [max(1, round(count * width)) for count in channels]
    name = f"mlpconv{block}"
    x = Conv2D(widths[0], size, stride, padding, activation="relu", kernel_initializer="he_normal", name=f"{name}_conv")(x)
    for i, count in enumerate(widths[1:], 1):
      x = Conv2D(count, 1, activation="relu", kernel_initializer="he_normal", name=f"{name}_mlp{i}")(x)
    if last:
      x = Conv2D(num_outputs, 1, activation="relu" if last_relu else None, kernel_initializer="he_normal", dtype="float32",
                 name="output")(x)
    else:  # to [B, 16, 16, 96], [B, 8, 8, 192] or [B, 27, 27, 96], [B, 13, 13, 256], [B, 6, 6, 384]
      x = layers.MaxPool2D(3, 2, pooling, name=f"pool{block}")(x)
      if layout == "cifar" or block == len(blocks) - 1:
        x = layers.Dropout(dropout, name=f"drop{block}")(x)
  x = layers.GlobalAveragePooling2D(dtype="float32", name="mean")(x)  # [B, num_outputs]
  return keras.Model(inputs, x, name=f"nin_{layout}")
