"""The command line: overrides that must work, and answers that need no TensorFlow."""

import inspect
import resource
import subprocess
import sys

import pytest

from dlsuite import checks, flags
from dlsuite.errors import ConfigError

LENET = "--config=experiments/vision/lenet5.py"


def config_of(*arguments: str, experiment: str = LENET):
  (config,) = flags.parse([experiment, "--workdir=/nowhere", *arguments]).stages.values()
  return config


def test_steps_on_the_command_line_replace_the_files_epochs():
  c = config_of("--config.train.steps=100")
  assert (c.train.steps, c.train.epochs) == (100, None)


def test_an_override_takes_the_type_of_its_key():
  c = config_of("--config.optimizer.learning_rate=1", "--config.data.mean=0.5", "--config.data.augment.flip",
                "--config.analyses=mistakes", "--config.seed", "7")
  assert c.optimizer.learning_rate == 1.0 and isinstance(c.optimizer.learning_rate, float)
  assert (c.data.mean, c.data.augment.flip, c.analyses, c.seed) == ((0.5,), True, ("mistakes",), 7)


def test_a_bool_is_switched_off_by_no():
  assert config_of("--noconfig.callbacks.tensorboard").callbacks.tensorboard is False


def test_an_optimizer_takes_its_own_arguments_though_the_file_sets_none():
  c = config_of("--config.optimizer.name=sgd", "--config.optimizer.arguments.momentum=0.9",
                "--config.optimizer.arguments.nesterov=true")
  assert c.optimizer.arguments.to_dict() == {"momentum": 0.9, "nesterov": True}


def test_a_model_takes_arguments_that_the_file_does_not_set():
  c = config_of("--config.model.original=false", "--config.model.width=2", experiment=LENET + ":original")
  assert c.model.width == 2.0 and isinstance(c.model.width, float)


def test_a_callback_can_be_given_on_the_command_line():
  c = config_of("--config.callbacks.custom={'plateau': {'name': 'keras.callbacks.ReduceLROnPlateau', 'patience': 3}}")
  assert c.callbacks.custom.plateau.patience == 3


def test_the_weights_of_another_run_are_part_of_the_config():
  assert config_of("--init_from=/runs/a").init_from == "/runs/a"


def test_the_config_is_locked():
  with pytest.raises(AttributeError):
    config_of().data.bach_size = 4


def test_describe_needs_no_workdir():
  assert flags.parse([LENET, "--mode=describe"]).mode == "describe"
  with pytest.raises(ConfigError, match="--workdir is missing"):
    flags.parse([LENET])


def test_evaluate_needs_no_workdir_where_weights_are_given_but_of_a_chain_or_an_ensemble():
  assert flags.parse([LENET, "--mode=evaluate", "--init_from=run"]).workdir == ""
  for more in (["--config=experiments/unsupervised/denoising.py"], [LENET, "--ensemble=a,b"]):
    with pytest.raises(ConfigError, match="--workdir is missing"):
      flags.parse([*more, "--mode=evaluate", "--init_from=run"])


def test_help_names_every_flag_and_every_exit_code():
  text = flags.parse(["--help"]).message
  for word in ("--config", "--workdir", "--mode", "--split", "--init_from", "--list", " 0 ", " 2 ", " 3 ", " 74 ",
               " 75 ", " 76 "):
    assert word in text
  assert flags.parse(["-h"]).message == text


@pytest.mark.parametrize(("arguments", "code"), [
  (["--help"], 0), (["--list"], 0), ([LENET, "--workdir=/nowhere", "--config.data.bach_size=4"], 2),
  ([LENET, "--workdir=/nowhere", "--config.optimizer.name=adm"], 2), (["--config=experiments/vision/lenet6.py"], 2),
])
def test_help_list_and_config_errors_answer_within_a_second_of_cpu_time_and_without_tensorflow(arguments, code):
  script = ("import sys; from dlsuite.main import main; code = main(sys.argv[1:])\n"
            "sys.exit(99 if {'tensorflow', 'keras', 'numpy'} & set(sys.modules) else code)")
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False)
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  assert done.returncode == code, done.stderr
  assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("name", checks.OPTIMIZERS)
def test_every_optimizer_argument_is_keras_own_and_of_the_type_that_is_demanded(name):
  import keras

  cls, known = checks.OPTIMIZERS[name]
  parameters = inspect.signature(getattr(keras.optimizers, cls)).parameters
  for argument in known:
    default = parameters[argument].default
    kind = checks.open_keys("vision.lenet5", "classification")[f"optimizer.arguments.{argument}"]
    assert isinstance(default, bool) is (kind is bool)


@pytest.mark.parametrize("name", checks.OPTIMIZERS)
def test_keras_accepts_the_least_value_that_a_config_may_give(name):
  import keras

  cls, known = checks.OPTIMIZERS[name]
  least = {"beta_1": 1e-6 if name == "lion" else 0.0, "learning_rate_power": -10.0}
  kinds = checks.open_keys("vision.lenet5", "classification")
  numbers = [argument for argument in known if kinds[f"optimizer.arguments.{argument}"] is float]
  getattr(keras.optimizers, cls)(**{argument: least.get(argument, 0.0) for argument in numbers})
