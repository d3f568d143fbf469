"""Keras's pooling of videos in every type, also where TensorFlow has no kernel for it."""

import keras
import tensorflow as tf

from dlsuite.layers import processor


@keras.saving.register_keras_serializable("dlsuite")
class MaxPool3D(keras.layers.MaxPool3D):
  """`keras.layers.MaxPool3D`, arguments the same; float16 too on a CPU, where TensorFlow pools bfloat16 and float32 alone."""

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """Pools [B, T, H, W, C]; same dtype."""
    if not processor.emulates(inputs.dtype.name):
      return super().call(inputs)
    return tf.cast(super().call(tf.cast(inputs, tf.float32)), inputs.dtype)
