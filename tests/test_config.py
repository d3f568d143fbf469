"""Arguments, durations and fingerprints, against values worked out by hand."""

import re

import pytest
from ml_collections import ConfigDict

from dlsuite import catalog, config, identity
from dlsuite.errors import ConfigError


def test_an_argument_takes_the_type_of_its_default():
  found = config.parse_arg("mnist,width=2,depth=20,act=relu,smoke=False",
                           mnist=False, width=1.0, depth=8, act="tanh", smoke=True)
  assert vars(found) == {"mnist": True, "width": 2.0, "depth": 20, "act": "relu", "smoke": False}
  assert isinstance(found.width, float)


def test_no_argument_leaves_every_default():
  assert vars(config.parse_arg("", mnist=False, width=1.0)) == {"mnist": False, "width": 1.0}


def test_an_argument_that_is_unknown_is_answered_with_all_that_are_known():
  with pytest.raises(ConfigError, match=re.escape("'widht' is unknown (did you mean 'width'?); known: width (float, 1.0)")):
    config.parse_arg("widht=2", width=1.0)


@pytest.mark.parametrize(("key", "value", "steps"), [
  ("train.steps", 7, 7),
  ("train.epochs", 3.0, 1407),  # 3 x 469
  ("train.epochs", 0.5, 235),  # 234.5 rounded up
  ("train.epochs", 1e-6, 1),  # never none
  ("train.examples", 60_000, 469),  # 60000 / 128 = 468.75 rounded up
  ("train.examples", 256, 2),
])
def test_a_duration_becomes_steps(key, value, steps):
  c = config.defaults("x", task="classification")  # batch size 128
  config.set_duration(c, "train", key, value)
  assert config.steps_of(c, "train", steps_per_epoch=469) == steps


def test_an_epoch_is_not_rounded_up_by_the_error_of_a_float():
  c = config.defaults("x", task="classification")
  config.set_duration(c, "train", "train.epochs", 0.1 + 0.2)  # 0.30000000000000004
  assert config.steps_of(c, "train", steps_per_epoch=10) == 3


def test_a_duration_that_is_not_set_is_no_steps():
  assert config.steps_of(config.defaults("x", task="classification"), "warmup", 10) == 0


def test_a_duration_of_the_command_line_replaces_the_files():
  c = config.defaults("x", task="classification")
  c.train.epochs = 20.0
  c.train.steps = 100
  config.replace_durations(c, ["train.steps"])
  assert (c.train.epochs, c.train.steps, c.train.examples) == (None, 100, None)


def test_smoke_shrinks_any_config_to_a_few_steps_and_claims_no_number():
  c = config.defaults("x", task="classification")
  c.train.epochs, c.optimizer.warmup_epochs, c.reference.value = 300.0, 5.0, 0.95
  config.finish(c, smoke=True)
  assert [config.steps_of(c, group, 1000) for group in ("train", "evaluate", "warmup")] == [4, 2, 1]
  assert c.data.batch_size == 16
  assert c.reference.value is None


def test_a_misspelt_key_in_a_file_is_an_error_and_open_sections_take_any():
  c = config.defaults("x", task="classification")
  c.model.depth = 20
  c.data.features = {"image": "picture"}
  c.optimizer.arguments.momentum = 0.9
  with pytest.raises(AttributeError, match="bach_size"):
    c.data.bach_size = 4


def plain(**changes: object) -> dict:
  return {"seed": 0, "train": {"steps": 4, "epochs": None, "steps_per_call": 0}, "data": {"mean": [0.5]},
          "strategy": {"kind": "auto", "devices": 0, "sync_batch_norm": False}, "model": {}, **changes}


def test_the_fingerprint_is_the_hash_of_the_sorted_keys_that_matter():
  # printf '%s' '{"data.mean": [0.5], "model": {}, "seed": 0, "strategy.sync_batch_norm": false, "train.epochs": null,
  # "train.steps": 4}' | sha256sum  (one line, one blank after each comma)
  assert identity.fingerprint(plain()) == "ced1bb20c3cd"


def test_of_a_tasks_config_only_what_is_not_at_its_default_counts():
  c = config.to_json(config.defaults("x", task="classification"))
  c["train"]["steps"], c["reference"]["value"] = 4, 0.5
  # printf '%s' '{"name": "x", "task": "classification", "train.steps": 4}' | sha256sum
  assert identity.fingerprint(c) == "1b375e14f8aa"


def test_a_key_that_an_older_run_did_not_know_counts_only_where_it_is_not_at_its_default():
  new = config.to_json(config.defaults("x", task="classification"))
  old = config.to_json(config.defaults("x", task="classification"))
  del old["loss"]["label_smoothing"], old["train"]["accumulate"]
  assert identity.differing_keys(new, old) == []
  assert identity.fingerprint(new) == identity.fingerprint(old)
  new["loss"]["label_smoothing"] = 0.1
  assert identity.differing_keys(new, old) == ["loss.label_smoothing (absent there, 0.1 here)"]
  assert identity.fingerprint(new) != identity.fingerprint(old)


def test_the_fingerprint_does_not_change_with_how_a_run_is_carried_out():
  other = plain(strategy={"kind": "gpu", "devices": 8, "sync_batch_norm": False},
                train={"steps": 4, "epochs": None, "steps_per_call": 100})
  assert identity.fingerprint(other) == identity.fingerprint(plain())
  assert identity.differing_keys(other, plain()) == []


@pytest.mark.parametrize(("change", "lines"), [
  ({"seed": 1}, ["seed (0 there, 1 here)"]),
  ({"strategy": {"kind": "auto", "devices": 0, "sync_batch_norm": True}},
   ["strategy.sync_batch_norm (false there, true here)"]),
  ({"model": {"depth": 20}}, ["model ({} there, absent here)", "model.depth (absent there, 20 here)"]),
])
def test_the_fingerprint_changes_with_what_a_run_computes(change, lines):
  assert identity.fingerprint(plain(**change)) != identity.fingerprint(plain())
  assert identity.differing_keys(plain(**change), plain()) == lines


def test_two_configs_differ_in_a_key_exactly_when_their_fingerprints_do():
  # JSON tells 1 from true and 4 from 4.0, Python's == does not.
  for value in (True, 0.0, "0", None):
    assert identity.fingerprint(plain(seed=value)) != identity.fingerprint(plain())
    assert len(identity.differing_keys(plain(seed=value), plain())) == 1


def test_a_config_survives_its_json():
  c = catalog.load("experiments/vision/lenet5.py")
  there_and_back = config.to_json(ConfigDict(config.to_json(c)))
  assert identity.fingerprint(there_and_back) == identity.fingerprint(config.to_json(c))
