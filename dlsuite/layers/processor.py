"""What the processor that this process computes on lacks; layers do without, at the same result."""

import functools
import pathlib

import tensorflow as tf


@functools.cache
def is_cpu() -> bool:
  """Returns whether this process computes on a CPU."""
  return not (tf.config.get_visible_devices("GPU") or tf.config.list_logical_devices("TPU"))


def emulates(dtype: str) -> bool:
  """Returns whether this process has no quick kernels, or none, for images in a type: no CPU has TensorFlow's for float16."""
  return emulates_bfloat16() if dtype == "bfloat16" else dtype == "float16" and is_cpu()


@functools.cache
def emulates_bfloat16() -> bool:
  """Returns whether this process computes on an x86 CPU without AVX-512, where oneDNN refuses bfloat16 convolutions."""
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  flags = cpuinfo.read_text(encoding="utf-8", errors="replace") if is_cpu() and cpuinfo.exists() else ""
  return "avx2" in flags and "avx512" not in flags
