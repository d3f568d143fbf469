"""The dry run: what a config is, before anything is trained or written."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from dlsuite.plan import Plan
from dlsuite.runs.console import Console, size_text
from dlsuite.strategy import Strategy

_BATCHED = ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")


def flops(network: keras.Model, length: int = 1) -> int:
  """Returns the floating-point operations of one example's forward pass (a multiply-add counts as 2).

  Args:
    network: any.
    length: of an example along an axis that the network leaves open, e.g. time.
  """
  specs = [tf.TensorSpec([1, *(d or length for d in x.shape[1:])], x.dtype) for x in network.inputs]
  graph = tf.function(lambda *x: network(list(x) if len(x) > 1 else x[0], training=False)).get_concrete_function(*specs).graph
  options = (tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
             .with_empty_output().build())
  node = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
  total = int(node.total_float_ops)
  while node.children:
    node = node.children[0]
    total -= int(node.float_ops) if node.name in _BATCHED else 0  # the profiler takes a wrong axis where one is transposed
  return total + sum(2 * int(op.outputs[0].shape.num_elements()) * int(op.inputs[0].shape[-2 if op.get_attr("adj_x") else -1])
                     for op in graph.get_operations() if op.type in _BATCHED)


def _bytes(variables: list[Any]) -> int:
  return sum(int(np.prod(v.shape)) * tf.as_dtype(v.dtype).size for v in variables)


def _activations(network: keras.Model, bytes_each: int, length: int) -> int:
  """Returns the bytes of every layer's output for one example."""
  total = 0
  for layer in network.layers:
    for tensor in tf.nest.flatten(layer.output):
      total += int(np.prod([d or length for d in tensor.shape[1:]])) * bytes_each
  return total


def _shape(output: Any) -> str:
  return ", ".join(" x ".join(str(d or "T") for d in tensor.shape[1:]) or "scalar" for tensor in tf.nest.flatten(output))


def describe(task: Any, config: ConfigDict, strategy: Strategy, console: Console) -> None:
  """Prints layers with shapes and parameters, FLOPs an example, memory, steps and data splits."""
  steps_per_epoch, length = task.steps_per_epoch, config.data.get("window", 1)
  known = bool(steps_per_epoch) or not config.data.get("name")
  plan = Plan.of(config, steps_per_epoch) if known else Plan(1, 0, 1, 1, 0, 1)
  task.build(plan.total, plan.warmup)
  for name, network in task.networks.items():
    rows = [[layer.name, type(layer).__name__, _shape(layer.output),
             f"{layer.count_params():,}"] for layer in network.layers]
    rows.append(["total", "", "", f"{network.count_params():,}"])
    console.table(f"{config.name}: {name}", ["layer", "kind", "output (an example)", "parameters"], rows)
    trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    console.show(f"  trainable {trainable:,}; forward pass {flops(network, length):,} FLOPs an example (a multiply-add is 2)")
  weights = [v for values in task.weights().values() for v in values]
  optimizer = [v for learner in task.learners.values() for values in learner.variables().values() for v in values]
  part = config.data.batch_size // strategy.replicas // config.train.accumulate
  compute_bytes = 4 if strategy.precision(config) == "float32" else 2
  activations = sum(_activations(network, compute_bytes, length) for network in task.networks.values()) * part
  console.show(f"  memory a replica: weights {size_text(_bytes(weights))}, optimizer {size_text(_bytes(optimizer))}, "
               f"activations {size_text(activations)} for {part} examples")
  data, splits = task.describe_data()
  console.table(f"data: {data}", ["split", "reads", "examples"], splits)
  if known:
    epochs = f"{steps_per_epoch:,} steps an epoch of batch {config.data.batch_size}; " if steps_per_epoch else ""
    console.show(f"  {epochs}{plan.total:,} steps in all, evaluated every {plan.evaluate:,}")
  else:
    console.show("  the set is not prepared on this machine: training will fetch it, and the steps are then known")
  reference = config.reference
  if reference.value is not None:
    console.show(f"  published: {reference.metric} {reference.value:g} {reference.unit} ({reference.paper}, {reference.table}; "
                 f"{reference.protocol})")
  console.show(f"  would run on {strategy.description}, {strategy.precision(config)}{', jit' if strategy.jit(config) else ''}")

