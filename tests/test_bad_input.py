"""Every bad input is answered by one line on stderr that names the key, with exit code 2 and nothing written."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from dlsuite import catalog, config
from dlsuite.errors import ConfigError
from dlsuite.main import main

ROOT = pathlib.Path(__file__).resolve().parent.parent
LENET = "experiments/vision/lenet5.py"


@dataclasses.dataclass(frozen=True)
class Case:
  """A command that must be refused.

  Attributes:
    arguments: separated by blanks; `{lenet}` is --config with LeNet-5, `{run}` a --workdir that does not exist, `{tmp}`
      the test's own folder. Without `{lenet}` or a --config the text stands for itself.
    says: all that the line must contain: the key, and the nearest spelling or what is allowed.
    prepare: fills the test's folder before the command runs.
    tensorflow: whether the mistake can only be seen with TensorFlow, on one CPU device.
  """

  arguments: str
  says: tuple[str, ...]
  prepare: Callable[[pathlib.Path], object] | None = None
  tensorflow: bool = False


def bad(arguments: str, *says: str, prepare: Callable[[pathlib.Path], object] | None = None) -> Case:
  return Case(arguments, says, prepare)


def override(arguments: str, *says: str) -> Case:
  return Case("{lenet} {run} " + arguments, says)


def late(arguments: str, *says: str, prepare: Callable[[pathlib.Path], object] | None = None) -> Case:
  start = "" if "--workdir" in arguments else "{run} "
  return Case("{lenet} " + start + "--config.strategy.kind=cpu " + arguments, says, prepare, tensorflow=True)


def experiment(text: str) -> Callable[[pathlib.Path], object]:
  return lambda folder: (folder / "mine.py").write_text(text)


def fill(name: str, text: str) -> Callable[[pathlib.Path], object]:
  def write(folder: pathlib.Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)

  return write


def run_without_checkpoint(folder: pathlib.Path) -> None:
  c = catalog.load(LENET)
  with c.unlocked():
    c.strategy.kind = "cpu"
  fill("run/config.json", json.dumps(config.to_json(c)))(folder)
  (folder / "run/checkpoints").mkdir()


def run_of_seed_7(folder: pathlib.Path) -> None:
  c = catalog.load(LENET)
  with c.unlocked():
    c.seed = 7
  fill("run/config.json", json.dumps(config.to_json(c)))(folder)


START = ("from dlsuite.config import defaults, finish\ndef get_config(arg=''):\n"
         "  c = defaults('mine', 'classification'); c.data.name = 'mnist'; c.model.name = 'vision.lenet5'\n")

CASES = {
  # The flags.
  "an_unknown_flag": bad("--hlep", "--hlep", "'--help'"),
  "a_misspelt_workdir": bad("{lenet} --worrkdir=x", "--worrkdir", "'--workdir'"),
  "an_override_without_config": bad("{lenet} {run} --train.steps=4", "--train.steps", "'--config.train.steps'"),
  "a_misspelt_config_flag": bad("{lenet} {run} --conifg.seed=3", "--conifg.seed", "'--config.seed'"),
  "a_flag_without_its_value": bad("{lenet} --workdir", "--workdir", "missing"),
  "a_positional_argument": bad(LENET, f"'{LENET}'", f"--config={LENET}"),
  "a_word_after_the_flags": bad("{lenet} {run} faster", "'faster'", "--"),
  "an_unknown_mode": bad("{lenet} {run} --mode=trian", "--mode='trian'", "'train'", "describe"),
  "an_unknown_split": bad("{lenet} {run} --split=tset", "--split='tset'", "'test'"),
  "no_config": bad("{run}", "--config", "--list"),
  "an_empty_prompt": bad("{lenet} {run} --mode=predict --prompt=", "--prompt is empty"),
  "a_prompt_for_training": bad("{lenet} {run} --prompt=x", "--prompt", "--mode=predict"),
  "a_prompt_for_an_evaluation": bad("{lenet} {run} --mode=evaluate --prompt=x", "--prompt", "--mode=predict"),
  "a_stage_of_what_is_no_chain": bad("{lenet} {run} --mode=evaluate --stage=first", "--stage", "no chain"),
  "a_stage_to_train": bad("{lenet} {run} --stage=first", "--stage", "--mode=evaluate"),
  "starting_from_a_stage_without_a_chain": bad("{lenet} {run} --init_from=stage:first", ": init_from='stage:first'",
                                               "none"),
  "no_workdir": bad("{lenet}", "--workdir", "train"),
  "an_empty_workdir": bad("{lenet} --workdir=", "--workdir", "missing"),
  "a_workdir_in_nobodys_home": bad("{lenet} --workdir=~nobody-here/run", "--workdir='~nobody-here/run'", "~nobody-here"),
  "a_data_dir_in_nobodys_home": bad("{lenet} {run} --data_dir=~nobody-here", "--data_dir='~nobody-here'", "home folder"),
  "a_split_that_the_config_has_not": bad(
    "{lenet} {run} --mode=evaluate --split=valid --config.data.valid= --config.checkpoint.select=last", "--split=valid",
    "data.valid"),
  # The experiment's file.
  "no_such_experiment": bad("--config=experiments/vision/lenet6.py {run}", "--config=", f"'{LENET}'"),
  "a_misspelt_chapter": bad("--config=experiments/vison/lenet5.py {run}", "--config=", f"'{LENET}'"),
  "an_experiment_without_its_folder": bad("--config=lenet5 {run}", "--config=lenet5", f"'{LENET}'"),
  "a_folder_as_experiment": bad("--config=experiments/vision {run}", "--config=experiments/vision", "no such file"),
  "a_file_that_is_no_python": bad("--config=setup.cfg {run}", "--config=setup.cfg", ".py"),
  "a_file_that_does_not_parse": bad("--config={tmp}/mine.py {run}", "mine.py, line 2", "SyntaxError",
                                    prepare=experiment("\ndef (")),
  "a_file_that_fails": bad("--config={tmp}/mine.py {run}", "mine.py, line 4", "ZeroDivisionError",
                           prepare=experiment(START + "  return 1 / 0\n")),
  "a_file_without_get_config": bad("--config={tmp}/mine.py {run}", "mine.py", "get_config", prepare=experiment("x = 1\n")),
  "a_file_that_returns_no_config": bad("--config={tmp}/mine.py {run}", "mine.py", "finish(config)",
                                       prepare=experiment(START + "  return {}\n")),
  "a_misspelt_key_in_the_file": bad("--config={tmp}/mine.py {run}", "line 4", "'bach_size'", "'batch_size'",
                                    prepare=experiment(START + "  c.data.bach_size = 4\n  return finish(c)\n")),
  "an_ill_typed_key_in_the_file": bad("--config={tmp}/mine.py {run}", "line 4", "batch_size", "int",
                                      prepare=experiment(START + "  c.data.batch_size = 'many'\n  return finish(c)\n")),
  "an_unknown_task_in_the_file": bad("--config={tmp}/mine.py {run}", "task='clasification'", "'classification'",
                                     prepare=experiment(START.replace("classification", "clasification"))),
  "a_config_without_data": bad("--config={tmp}/mine.py {run}", "data.name",
                               prepare=experiment(START + "  c.train.steps = 1; c.data.name = ''\n  return finish(c)\n")),
  "a_config_without_a_duration": bad("--config={tmp}/mine.py {run}", "train.epochs, train.steps, train.examples",
                                     prepare=experiment(START + "  return finish(c)\n")),
  "two_durations_in_the_file": bad("--config={tmp}/mine.py {run}", "train.epochs and train.steps", "exactly one",
                                   prepare=experiment(START + "  c.train.steps = c.train.epochs = 1\n  return finish(c)\n")),
  "a_value_that_no_json_holds": bad("--config={tmp}/mine.py {run}", "model.act", "builtin_function",
                                    prepare=experiment(START + "  c.train.steps = 1; c.model.act = print; return finish(c)\n")),
  # The experiment's argument.
  "an_unknown_argument": bad("--config=" + LENET + ":mnist,smok {run}", "'smok'", "'smoke'", "width (float, 1.0)"),
  "an_ill_typed_argument": bad("--config=" + LENET + ":width=wide {run}", "'width'", "float", "'wide'"),
  "an_argument_without_its_value": bad("--config=" + LENET + ":width {run}", "'width'", "no value"),
  "an_argument_given_twice": bad("--config=" + LENET + ":mnist,mnist {run}", "'mnist'", "twice"),
  "a_bool_argument_spelt_yes": bad("--config=" + LENET + ":mnist=yes {run}", "'mnist'", "bool", "'yes'"),
  # Overrides: names.
  "an_unknown_key": override("--config.data.bach_size=4", "--config.data.bach_size", "'batch_size'"),
  "a_key_without_its_section": override("--config.batch_size=4", "--config.batch_size", "'data.batch_size'",
                                        "'evaluate.batch_size'"),
  "a_misspelt_section": override("--config.optimiser.name=sgd", "--config.optimiser.name", "optimizer"),
  "a_key_like_no_other": override("--config.zzz=4", "--config.zzz", "its sections", "data"),
  "a_section_set_whole": override("--config.data=mnist", "--config.data is a section", "data.name"),
  "an_unknown_optimizer_argument": override("--config.optimizer.arguments.beta1=0.5", "optimizer.arguments.beta1", "'beta_1'"),
  "an_argument_of_another_optimizer": override("--config.optimizer.arguments.momentum=0.9", "momentum", "adam", "beta_1"),
  "an_unknown_model_argument": override("--config.model.widht=2", "model.widht", "'width'"),
  "a_misspelt_model_and_an_argument_of_it": override("--config.model.name=vision.lenet --config.model.depth=2", "model.name",
                                                     "'vision.lenet5'"),
  "an_unknown_feature_word": override("--config.data.features.lable=label", "data.features.lable", "'label'"),
  # Overrides: types.
  "text_for_a_whole_number": override("--config.data.batch_size=many", "--config.data.batch_size='many'", "whole number"),
  "a_fraction_for_a_whole_number": override("--config.data.augment.pad_crop=2.5", "pad_crop='2.5'", "whole number"),
  "nothing_for_a_whole_number": override("--config.train.steps=", "--config.train.steps=''", "whole number"),
  "a_key_without_its_value": override("--config.seed", "--config.seed", "missing"),
  "text_for_a_number": override("--config.optimizer.learning_rate=fast", "optimizer.learning_rate='fast'", "a number"),
  "text_for_a_model_argument": override("--config.model.width=wide", "--config.model.width='wide'", "a number"),
  "a_bool_spelt_yes": override("--config.strategy.sync_batch_norm=yes", "sync_batch_norm='yes'", "true or false"),
  "a_bool_optimizer_argument_spelt_maybe": override("--config.optimizer.arguments.amsgrad=maybe", "amsgrad='maybe'",
                                                    "true or false"),
  "text_for_a_tuple_of_numbers": override("--config.data.mean=grey", "data.mean", "a number"),
  "half_a_tuple": override("--config.data.mean=(0.1,", "--config.data.mean='(0.1,'", "tuple"),
  "a_number_for_a_callback": override("--config.callbacks.custom=3", "callbacks.custom='3'", "dict"),
  "a_callback_without_a_name": override("--config.callbacks.custom={'stop':{'patience':3}}", "callbacks.custom.stop", "name"),
  # Overrides: values.
  "an_unknown_optimizer": override("--config.optimizer.name=adm", "optimizer.name='adm'", "'adam'"),
  "an_unknown_schedule": override("--config.optimizer.schedule.name=cosin", "optimizer.schedule.name='cosin'", "'cosine'"),
  "an_unknown_clipping": override("--config.optimizer.clip.kind=globalnorm", "optimizer.clip.kind='globalnorm'",
                                  "'global_norm'"),
  "an_unknown_precision": override("--config.train.precision=float61", "train.precision='float61'", "'float16'"),
  "an_unknown_strategy": override("--config.strategy.kind=GPUs", "strategy.kind='GPUs'", "'gpu'"),
  "an_unknown_model": override("--config.model.name=vision.lenet", "model.name='vision.lenet'", "'vision.lenet5'"),
  "an_unknown_task": override("--config.task=clasification", "task='clasification'", "'classification'"),
  "an_unknown_analysis": override("--config.analyses=confusion_matrx", "analyses='confusion_matrx'", "'confusion_matrix'"),
  "a_step_schedule_without_steps": override("--config.optimizer.schedule.name=step", "optimizer.schedule.milestones",
                                            "(0.5, 0.75)"),
  "an_infinite_width": override("--config.model.width=inf", "model.width=inf", "above 0 and at most 1,000,000"),
  "a_width_beyond_all_memory": override("--config.model.width=1e308", "model.width=1e+308", "above 0 and at most 1,000,000"),
  "a_width_of_zero": override("--config.model.width=0", "model.width=0.0", "above 0 and at most 1,000,000"),
  "an_infinite_dropout": override("--config.model.dropout=inf", "model.dropout=inf", "at least 0 and below 1"),
  "a_width_of_nan": override("--config.model.width=nan", "model.width=nan", "must be a number"),
  "milestones_that_fall": override("--config.optimizer.schedule.milestones=(0.7,0.5)",
                                   "optimizer.schedule.milestones=(0.7, 0.5)"),
  "a_learning_rate_of_nan": override("--config.optimizer.learning_rate=nan", "optimizer.learning_rate=nan"),
  "a_learning_rate_of_zero": override("--config.optimizer.learning_rate=0", "optimizer.learning_rate=0", "above 0"),
  "a_negative_weight_decay": override("--config.optimizer.weight_decay=-0.1", "optimizer.weight_decay=-0.1", "0 or more"),
  "an_average_that_never_moves": override("--config.optimizer.ema=1", "optimizer.ema=1.0", "below 1"),
  "a_beta_above_one": override("--config.optimizer.arguments.beta_1=1.5", "optimizer.arguments.beta_1=1.5", "below 1"),
  "a_negative_seed": override("--config.seed -5", "seed=-5", "0 or more"),
  "a_seed_too_large_for_numpy": override("--config.seed=4294967296", "seed=4294967296", "2**32"),
  "a_lion_without_average": override("--config.optimizer.name=lion --config.optimizer.arguments.beta_1=0", "beta_1=0",
                                     "above 0"),
  "a_mean_of_grey_levels": override("--config.data.mean=(125.3,)", "data.mean=(125.3,) must be from 0 to 1"),
  "a_deviation_of_zero": override("--config.data.std=(0.0,)", "data.std=(0.0,)", "above 0"),
  "a_whole_deviation_of_zero": override("--config.data.std=(0,)", "data.std=(0,)", "above 0"),
  "one_deviation_of_zero": override("--config.data.mean=(0.1,0.2) --config.data.std=(0.5,0.0)", "data.std=(0.5, 0.0)",
                                    "all be above 0"),
  "an_infinite_deviation": override("--config.data.std=(1e999,)", "data.std=(inf,)", "finite"),
  "smoothing_that_leaves_no_label": override("--config.loss.label_smoothing=1", "loss.label_smoothing=1.0", "below 1"),
  "a_negative_class_weight": override("--config.loss.class_weights=(1,-1)", "loss.class_weights=(1, -1)", "0 or more"),
  "a_text_as_class_weight": override("--config.loss.class_weights=('a',)", "loss.class_weights=('a',)", "a number"),
  "a_negative_padding": override("--config.data.augment.pad_crop=-1", "data.augment.pad_crop=-1", "0 or more"),
  "more_means_than_deviations": override("--config.data.mean=(0.1,0.2)", "data.mean=(0.1, 0.2)", "data.std"),
  # Durations and batch sizes.
  "two_durations": override("--config.train.steps=100 --config.train.epochs=2", "--config.train.epochs", "--config.train.steps",
                            "exactly one"),
  "no_steps": override("--config.train.steps=0", "train.steps=0", "above 0"),
  "negative_epochs": override("--config.train.epochs=-1", "train.epochs=-1", "above 0"),
  "a_warm_up_of_negative_examples": override("--config.optimizer.warmup_examples=-8", "optimizer.warmup_examples=-8",
                                             "above 0"),
  "more_steps_than_can_be_counted": override("--config.train.steps=99999999999999999999", "train.steps=", "2**62"),
  "an_empty_batch": override("--config.data.batch_size=0", "data.batch_size=0", "above 0"),
  "a_negative_batch": override("--config.data.batch_size=-32", "data.batch_size=-32", "above 0"),
  "parts_that_do_not_divide_the_batch": override("--config.train.accumulate=5", "train.accumulate=5", "data.batch_size=32"),
  "training_on_the_test_split": override("--config.data.train=test", "data.train='test'", "test split", "train[:90%]"),
  "validating_on_the_test_split": override("--config.data.valid=test[:50%]", "data.valid='test[:50%]'", "test split"),
  "no_validation_to_select_by": override("--config.data.valid=", "data.valid", "checkpoint.select='last'"),
  "no_data": override("--config.data.name=", "data.name", "tfds"),
  # The run's folder.
  "another_runs_workdir": bad("{lenet} {run}", "--workdir=", "seed (7 there, 0 here)", prepare=run_of_seed_7),
  "a_workdir_that_is_a_file": bad("{lenet} {run}", "--workdir=", "is a file", prepare=fill("run", "text")),
  "a_workdir_below_a_file": bad("{lenet} --workdir={tmp}/file/run", "--workdir=", "not writable", prepare=fill("file", "text")),
  "a_workdir_of_another_program": bad("{lenet} {run}", "--workdir=", "not empty", prepare=fill("run/thesis.tex", "text")),
  "a_damaged_config_json": bad("{lenet} {run}", "config.json", "not JSON", prepare=fill("run/config.json", '{"seed": ')),
  "a_config_json_of_another_program": bad("{lenet} {run}", "--workdir=", "another config", prepare=fill("run/config.json",
                                          "[1]")),
  "evaluate_without_a_run": bad("{lenet} {run} --mode=evaluate", "--workdir=", "no run", "--mode=train"),
  "predict_without_a_run": bad("{lenet} {run} --mode=predict", "--workdir=", "no run", "--mode=train"),
  "evaluate_without_a_checkpoint": late("{run} --mode=evaluate", "no whole checkpoint", "--mode=train",
                                        prepare=run_without_checkpoint),
  "starting_from_no_folder": late("--init_from={tmp}/none", "--init_from=", "not a run"),
  "starting_from_nobodys_home": late("--config.init_from=~nobody-here/run", "'~nobody-here/run'", "~nobody-here is no"),
  "starting_from_no_run": late("--init_from={tmp}/other", "--init_from=", "not a run", prepare=fill("other/notes.txt", "text")),
  "starting_from_an_empty_run": late("--init_from={tmp}/other", "--init_from=", "no whole checkpoint",
                                     prepare=lambda folder: (folder / "other/checkpoints").mkdir(parents=True)),
  # What only the data, the network and the devices can tell.
  "an_unknown_data_set": late("--config.data.name=optical_digit", "data.name='optical_digit'", "'optical_digits'"),
  "an_unknown_set_to_test_on": late("--config.data.test_name=optical_digit", "data.test_name='optical_digit'",
                                    "'optical_digits'"),
  "a_set_of_other_classes_to_test_on": late("--config.data.test_name=digit_halves", "data.test_name='digit_halves'",
                                            "5 classes", "data.name='optical_digits' 10"),
  "a_data_set_of_tfds_misspelt": late("--config.data.name=minst", "data.name='minst'", "'mnist'"),
  "a_version_that_is_not_there": late("--config.data.name=mnist:9.9.9", "data.name='mnist:9.9.9'", "3.0"),
  "a_variant_that_is_not_there": late("--config.data.name=glue/colla", "data.name='glue/colla'", "'cola'"),
  "a_variant_of_a_set_without_any": late("--config.data.name=optical_digits/big", "data.name='optical_digits/big'",
                                         "'optical_digits'"),
  "an_unknown_data_split": late("--config.data.train=trian", "data.train='trian'", "'train'"),
  "a_split_that_does_not_parse": late("--config.data.train=train[:x]", "data.train='train[:x]'", "optical_digits"),
  "an_empty_split": late("--config.data.train=train[:0]", "data.train='train[:0]'", "no example"),
  "splits_that_share_examples": late("--config.data.valid=train[:10]", "data.train='train'", "data.valid='train[:10]'",
                                     "10 examples"),
  "an_unknown_feature": late("--config.data.features.image=imgae", "data.features.image='imgae'", "'image'"),
  "an_image_as_label": late("--config.data.features.label=image", "data.features.label='image'", "ClassLabel (label)"),
  "a_label_as_image": late("--config.data.features.image=label", "data.features.image='label'", "Image (image)"),
  "a_batch_larger_than_the_split": late("--config.data.batch_size=1198", "data.batch_size=1198", "1197 examples"),
  "means_for_channels_that_are_not_there": late("--config.data.mean=(0.1,0.2) --config.data.std=(0.1,0.2)", "data.mean",
                                                "1 channel"),
  "weights_for_classes_that_are_not_there": late("--config.loss.class_weights=(1,2)", "loss.class_weights", "10 classes"),
  "images_too_small_for_the_network": late("--config.data.resize=4", "images of 4x4 are too small for lenet5", "layer 'c1'",
                                           "the smallest that work are 16x16 (data.resize)"),
  "a_dropout_of_two": override("--config.model.dropout=2", "model.dropout=2", "at least 0 and below 1"),
  "an_unknown_metric_to_select_by": late("--config.checkpoint.monitor=val_eror", "checkpoint.monitor='val_eror'",
                                         "'val_error'"),
  "an_unknown_metric_to_stop_by": late("--config.early_stopping.patience=2 --config.early_stopping.monitor=val_acuracy",
                                       "early_stopping.monitor='val_acuracy'", "'val_accuracy'"),
  "an_unknown_callback": late("--config.callbacks.custom={'a':{'name':'keras.callbacks.ReduceLROnPlatau'}}",
                              "callbacks.custom.a.name", "'ReduceLROnPlateau'"),
  "a_callback_of_an_unknown_module": late("--config.callbacks.custom={'a':{'name':'kears.callbacks.CSVLogger'}}",
                                          "callbacks.custom.a.name", "kears.callbacks"),
  "a_callback_with_an_unknown_argument": late("--config.callbacks.custom={'a':{'name':'keras.callbacks.TerminateOnNaN','x':1}}",
                                              "callbacks.custom.a", "TerminateOnNaN"),
  "workers_without_a_cluster": late("--config.strategy.kind=workers", "strategy.kind='workers'", "TF_CONFIG"),
}


def snapshot(folder: pathlib.Path) -> dict[str, bytes | None]:
  """Returns every file below a folder with its bytes, and every folder."""
  return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def the_line(text: str) -> str:
  """Returns the one line that stderr must be."""
  assert text.endswith("\n") and text.count("\n") == 1, text
  assert text.startswith("dlsuite: ")
  return text


def command(case: Case, folder: pathlib.Path) -> list[str]:
  words = {"lenet": f"--config={LENET}", "run": f"--workdir={folder / 'run'}", "tmp": str(folder)}
  for word, value in words.items():
    case = dataclasses.replace(case, arguments=case.arguments.replace(f"{{{word}}}", value))
  return case.arguments.split()


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_answered_by_one_line_and_nothing_is_written(name, tmp_path, capfd, monkeypatch):
  case = CASES[name]
  if case.prepare:
    case.prepare(tmp_path)
  monkeypatch.chdir(ROOT)
  monkeypatch.delenv("TF_CONFIG", raising=False)
  monkeypatch.setattr(sys, "dont_write_bytecode", True)
  if not case.tensorflow:
    monkeypatch.setattr("dlsuite.main.import_tensorflow", lambda: pytest.fail("TensorFlow was imported too early"))
  before = snapshot(tmp_path)
  code = main(command(case, tmp_path))
  line = the_line(capfd.readouterr().err)
  assert code == 2
  for words in case.says:
    assert words in line
  assert snapshot(tmp_path) == before


@pytest.mark.parametrize("folder", ["/proc/dlsuite-run", "/sys/kernel/dlsuite-run"])
def test_a_read_only_workdir_is_refused(folder, capfd):
  if not os.path.ismount("/" + folder.split("/")[1]):  # root may write wherever permissions alone forbid it
    pytest.skip("needs a kernel's file system, which not even root can write to")
  assert main([f"--config={LENET}", f"--workdir={folder}"]) == 2
  line = the_line(capfd.readouterr().err)
  assert f"--workdir={folder} is not writable" in line
  assert not os.path.exists(folder)


def test_data_that_are_missing_without_a_network_are_named_with_where_and_how(tmp_path, capfd, monkeypatch, strategy):
  from dlsuite.data import sources

  monkeypatch.setattr(sources, "_online", lambda: False)
  monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
  monkeypatch.chdir(ROOT)
  begin = time.monotonic()
  code = main(command(late("--config.data.name=cifar10"), tmp_path))
  assert time.monotonic() - begin < 10
  line = the_line(capfd.readouterr().err)
  assert code == 2
  for words in ("data.name='cifar10' is missing", "no network", str(tmp_path / "tfds"), "download_and_prepare()"):
    assert words in line
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("batch", "accumulate", "replicas", "line"), [
  (30, 1, 4, "data.batch_size=30 does not divide by 4 replicas; nearest that do: 28 or 32"),
  (3, 1, 8, "data.batch_size=3 does not divide by 8 replicas; nearest that do: 8"),
  (32, 2, 3, "data.batch_size=32 does not divide by 3 replicas x train.accumulate=2; nearest that do: 30 or 36"),
])
def test_the_nearest_batch_sizes_that_divide_are_named(batch, accumulate, replicas, line):
  from dlsuite.checks import check_batch

  c = config.defaults("x", task="classification")
  c.data.batch_size, c.train.accumulate = batch, accumulate
  with pytest.raises(ConfigError) as error:
    check_batch(c, replicas)
  assert str(error.value) == line


def test_a_batch_that_does_not_divide_by_the_replicas_names_the_nearest_that_do(tmp_path):
  # 30 examples on 4 devices: 28 and 32 divide. Another number of devices needs another process.
  arguments = command(late("--config.strategy.devices=4 --config.data.batch_size=30"), tmp_path)
  done = subprocess.run([sys.executable, "-m", "dlsuite.main", *arguments], cwd=ROOT, capture_output=True, text=True,
                        timeout=120, check=False)
  line = the_line(done.stderr)
  assert done.returncode == 2
  assert "data.batch_size=30 does not divide by 4 replicas" in line
  assert "28 or 32" in line
  assert not (tmp_path / "run").exists()
