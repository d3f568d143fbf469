"""Layers that stay as they are, and layers that learn at a rate of their own, chosen by the patterns of their names.

A pattern is that of a shell: `*` stands for any letters, `?` for one, `[ab]` for either. A weight belongs to each layer that
its path names, so that the name of a layer within another one counts as well as that of the outer one.
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence

import keras

from dlsuite.config import parse_rates
from dlsuite.errors import ConfigError, nearest
from dlsuite.layers.nested import inner_layers


def freeze(networks: Mapping[str, keras.Model], patterns: Sequence[str]) -> None:
  """Makes layers untrainable: their weights stay, and batch norm among them uses and keeps its moving averages.

  Args:
    networks: by name.
    patterns: of layers' names. One that begins with `!` takes layers out again that those before it named.

  Raises:
    ConfigError: if a pattern names no layer that has weights, or nothing is left to train.
  """
  if not patterns:
    return
  leaves = [layer for network in networks.values() for layer in inner_layers(network)
            if layer.weights and not inner_layers(layer)]
  for pattern in patterns:
    _check("optimizer.frozen", pattern.removeprefix("!"), (name for leaf in leaves for name in names(leaf.weights[0])))
  for leaf in leaves:
    frozen = False
    for pattern in patterns:
      if _matches(names(leaf.weights[0]), pattern.removeprefix("!")):
        frozen = not pattern.startswith("!")
    if frozen:
      leaf.trainable = False
  if not any(network.trainable_variables for network in networks.values()):
    raise ConfigError(f"optimizer.frozen={tuple(patterns)} leaves no weight to train; take a layer out again, e.g. "
                      f"'!{names(leaves[-1].weights[0])[-1]}'")


def factors(variables: Sequence[keras.Variable], rates: Sequence[str]) -> tuple[float, ...]:
  """Returns by what the learning rate of each variable is multiplied; empty if of none.

  Args:
    variables: that are learnt.
    rates: `pattern=factor`; of several that name a layer the last counts.

  Raises:
    ConfigError: if a pattern names no layer that is learnt.
  """
  found = [1.0] * len(variables)
  for pattern, factor in parse_rates(rates):
    _check("optimizer.rates", pattern, (name for variable in variables for name in names(variable)))
    for i, variable in enumerate(variables):
      if _matches(names(variable), pattern):
        found[i] = factor
  return tuple(found) if rates else ()


def fresh(networks: Mapping[str, keras.Model], patterns: Sequence[str]) -> set[int]:
  """Returns the ids of the weights of layers that some patterns name.

  Raises:
    ConfigError: if a pattern names no layer that has weights.
  """
  weights = [weight for network in networks.values() for weight in network.weights]
  for pattern in patterns:
    _check("init_fresh", pattern, (name for weight in weights for name in names(weight)))
  return {id(weight) for weight in weights if any(_matches(names(weight), pattern) for pattern in patterns)}


def heads(network: keras.Model) -> set[str]:
  """Returns the names of the layers that give a network's outputs: their weights depend on what is to be told apart."""
  with_weights = [layer.name for layer in network.layers if layer.weights]
  return {name if name in with_weights else with_weights[-1] for name in network.output_names} if with_weights else set()


def names(variable: keras.Variable) -> list[str]:
  """Returns the names of the layers that a variable belongs to, the outermost first."""
  return variable.path.split("/")[:-1]


def _matches(layers: Iterable[str], pattern: str) -> bool:
  return any(fnmatch.fnmatchcase(name, pattern) for name in layers)


def _check(key: str, pattern: str, layers: Iterable[str]) -> None:
  known = sorted(set(layers))
  if not _matches(known, pattern):
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise ConfigError(f"{key}: {pattern!r} names no layer that could learn{nearest(pattern.strip('*'), known)}; "
                      f"there are: {shown}")
