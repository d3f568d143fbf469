"""What a task adds to a config, and what of it is refused before TensorFlow is imported."""

import pytest

from dlsuite import checks, config, modules
from dlsuite.errors import ConfigError


@pytest.fixture
def options(monkeypatch):
  """Classification's options, to which a test may add."""
  found = modules.task_options("classification")
  monkeypatch.setattr(modules, "task_options", lambda task: found)
  return found


def test_a_config_has_the_keys_of_its_task_and_of_no_other(options):
  c = config.defaults("x", "classification")
  assert (c.loss.label_smoothing, c.data.mean, c.data.augment.flip) == (0.0, (0.0,), False)
  options.clear()
  c = config.defaults("x", "classification")
  assert "loss" not in c and "mean" not in c.data and "augment" not in c.data


@pytest.mark.parametrize("task", modules.tasks())
def test_every_tasks_own_defaults_are_what_it_allows(task):
  c = config.defaults("x", task)
  for key, (default, demand) in modules.task_options(task).items():
    assert config.get(c, key) == default
    if isinstance(demand, tuple):
      assert default in demand
    elif demand is not None and default is not None:
      assert all(map(checks.DEMANDS[demand], default if isinstance(default, tuple) else (default,))), key


def test_there_are_no_defaults_of_a_task_that_there_is_not():
  with pytest.raises(ConfigError, match=r"task='clasification' is unknown \(did you mean 'classification'\?\)"):
    config.defaults("x", "clasification")


def test_an_option_with_choices_takes_none_but_these(options):
  options["loss.kind"] = ("hinge", ("hinge", "softmax"))
  c = config.defaults("x", "classification")
  assert c.loss.kind == "hinge"
  c.loss.kind = "hinje"
  with pytest.raises(ConfigError, match=r"loss\.kind='hinje' is unknown \(did you mean 'hinge'\?\); allowed: hinge, softmax"):
    checks.check(c)


def test_a_config_without_a_key_of_its_task_is_refused(options):
  c = config.defaults("x", "classification")
  options["loss.temperature"] = (1.0, "above 0 and finite")
  with pytest.raises(ConfigError, match=r"task='classification' needs the key loss\.temperature"):
    checks.check(c)


def test_a_task_that_learns_from_an_environment_has_no_keys_of_a_data_set(options):
  options.clear()
  options |= {"environment.name": ("", None), "data.buffer": (1000, "above 0 and finite")}
  c = config.defaults("x", "classification")
  assert c.environment.to_dict() == {"name": ""}
  assert c.data.to_dict() == {"batch_size": 128, "buffer": 1000}


def test_a_model_that_does_not_take_what_the_task_gives_is_refused(monkeypatch):
  monkeypatch.setattr(modules, "builder_arguments", lambda model: {"input_shape": modules.Argument("tuple[int, ...]", True)})
  with pytest.raises(ConfigError, match=r"model\.name='x' is no model for task='classification': its `build` takes no num_out"):
    modules.model_arguments("x", "classification")
