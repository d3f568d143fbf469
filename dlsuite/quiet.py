"""Keeps TensorFlow's start-up chatter off the console, so that an error stays one line."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
  """Holds back what native code writes to stderr (file descriptor 2); shows it if the block raises."""
  sys.stderr.flush()
  saved = os.dup(2)
  with tempfile.TemporaryFile() as sink:
    os.dup2(sink.fileno(), 2)
    try:
      yield
    except BaseException:
      sink.seek(0)
      os.write(saved, sink.read())
      raise
    finally:
      os.dup2(saved, 2)
      os.close(saved)


def import_tensorflow() -> None:
  """Imports TensorFlow and Keras with the TensorFlow backend."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  # oneDNN is off by default on x86 without AVX-512, where it makes convolutional steps two to three times faster.
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
  os.environ["KERAS_BACKEND"] = "tensorflow"
  with quiet_stderr():
    import keras  # noqa: F401
    import tensorflow as tf

    tf.config.list_physical_devices()
  tf.get_logger().setLevel("ERROR")  # hints on deprecations and retracing inside libraries; errors still show
