"""What makes two configs the same computation; no TensorFlow import."""

import functools
import hashlib
import json
from collections.abc import Collection
from typing import Any

from dlsuite import config, modules

# The keys that change how a run is carried out but not what it computes: they are left out of the
# fingerprint, so that a run may go on with other devices or another checkpoint interval.
EXECUTION_KEYS = (
  "strategy.kind", "strategy.devices", "strategy.connect_seconds", "train.steps_per_call", "checkpoint.every_steps",
  "checkpoint.every_minutes", "checkpoint.keep", "analyses", "callbacks.tensorboard", "reference", "generate",
)


@functools.cache
def _default_texts(task: str) -> dict[str, str]:
  """Returns the defaults of all other keys of a task's config as JSON, by dotted key."""
  if task not in modules.tasks():
    return {}
  texts = _texts(config.to_json(config.defaults("", task)))
  del texts["task"]
  return texts


def _texts(plain: dict[str, Any]) -> dict[str, str]:
  """Returns every value as JSON, where true is not 1 and 2 is not 2.0; nothing for what is JSON but no config."""
  return {k: json.dumps(v, sort_keys=True) for k, v in config.flatten(plain).items()} if isinstance(plain, dict) else {}


def _identity(plain: dict[str, Any]) -> dict[str, str]:
  """Returns what a config computes: its values but for those of `EXECUTION_KEYS` and those at their defaults.

  So a key that is new leaves the identity of older runs as it was, if its default means what was done before there was the key;
  and the default of a key never changes.
  """
  texts = _texts(plain)
  usual = _default_texts(str(plain.get("task", ""))) if texts else {}
  return {k: text for k, text in texts.items()
          if usual.get(k) != text and not any(k == e or k.startswith(e + ".") for e in EXECUTION_KEYS)}


def looking_keys(plain: dict[str, Any], mode: str) -> tuple[str, ...]:
  """Returns what a `--mode` may change of a trained run: what is no part of its training, though it is of its tested number.

  Another split or set may be tested on only by `evaluate`, which writes nothing into the run's folder.
  """
  of_folder = () if plain["data"].get("name") == "folder" else ("data.folder", "data.skip_corrupt")  # else it was learnt
  of_test = ("data.test", "data.test_name", *of_folder) if mode == "evaluate" else ()
  return ("evaluate.augment", *of_test) if mode != "train" else ()


def fingerprint(plain: dict[str, Any]) -> str:
  """Returns 12 hex digits that are equal for two configs (from `to_json`) if they compute the same."""
  text = ", ".join(f'"{key}": {value}' for key, value in sorted(_identity(plain).items()))
  return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:12]


def differing_keys(ours: dict[str, Any], theirs: dict[str, Any], ignored: Collection[str] = ()) -> list[str]:
  """Returns `key (2 there, 1 here)` for each key that makes two fingerprints differ and is not ignored."""
  a, b, all_a, all_b = _identity(ours), _identity(theirs), _texts(ours), _texts(theirs)
  return [f"{key} ({all_b.get(key, 'absent')} there, {all_a.get(key, 'absent')} here)" for key in sorted(a.keys() | b.keys())
          if a.get(key) != b.get(key) and key not in ignored]
