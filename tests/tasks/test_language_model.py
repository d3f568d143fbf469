"""Language models: what a known network costs, the state that goes on from window to window, and what is written."""

import types

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import catalog
from dlsuite.errors import ConfigError
from dlsuite.tasks.language_model import LanguageModel
from dlsuite.training import steps

RANDOM = np.random.default_rng(0)
TEXTS = {"train": bytes(RANDOM.choice(list(b"abc \n"), 120).tolist()), "valid": b"abba cab\n" * 11,
         "test": b"cabbage; a bad cab\n" * 7}
VOCABULARY = b"\n ;abcdeg"


class OfText(LanguageModel):
  """A language model on the texts above instead of a data set."""

  def open(self, prepare=True):
    self.builder = types.SimpleNamespace(name="texts", info=types.SimpleNamespace(splits=("train",), full_name="texts"))

  def text(self, key):
    return np.frombuffer(TEXTS[key], np.uint8)


@pytest.fixture
def built(strategy):
  """Returns the function from options to a task, built."""

  def make(**options):
    config = catalog.load("experiments/sequence/lstm.py:smoke").copy_and_resolve_references().unlock()
    small = {"model.units": 7, "model.dropout": 0.0, "data.batch_size": 4, "data.window": 6, "evaluate.batch_size": 3}
    config.update_from_flattened_dict(small | options)
    task = OfText(config, strategy)
    task.open()
    task.build(100, 0)
    return task

  return make


def enlarge(task, factor=3.0):
  """Makes a network that forgets nothing and is sure of itself, so that states matter."""
  for v in task.networks["language_model"].weights:
    v.assign(factor * v)


def silence(task):
  """Makes a network for which all bytes are equally likely; returns the bias of its output."""
  output = task.networks["language_model"].get_layer("output")
  output.kernel.assign(tf.zeros_like(output.kernel))
  return output.bias


def test_the_vocabulary_is_the_bytes_of_all_splits_and_the_newline(built, monkeypatch):
  assert bytes(built().vocabulary) == VOCABULARY
  monkeypatch.setitem(TEXTS, "train", b"ab" * 60)
  monkeypatch.setitem(TEXTS, "valid", b"b")
  monkeypatch.setitem(TEXTS, "test", b"z")
  assert bytes(built().vocabulary) == b"\nabz"


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_network_without_knowledge_costs_the_logarithm_of_the_vocabulary(built, split):
  task = built()
  silence(task)
  found = task.evaluate(split)
  assert found.values["bits_per_byte"] == pytest.approx(np.log2(len(VOCABULARY)), rel=1e-5)
  assert found.values["loss"] == pytest.approx(np.log(len(VOCABULARY)), rel=1e-5)
  assert (found.count, found.unit) == (len(TEXTS[split]), "bytes")


def test_a_network_that_knows_only_frequencies_costs_their_cross_entropy(built):
  task = built()
  silence(task).assign(np.log([1 / 2] + [1 / 16] * 8))  # half of the bytes are newlines
  size, lines = len(TEXTS["test"]), TEXTS["test"].count(b"\n")
  found = task.evaluate("test").values
  assert found["bits_per_byte"] == pytest.approx((1 * lines + 4 * (size - lines)) / size, rel=1e-5)
  assert found["accuracy"] == pytest.approx(lines / size)  # the newline is always its guess


def test_each_bytes_cost_is_the_same_in_short_windows_as_in_one_that_holds_the_text(built):
  short, long = (built(**{"data.window": window, "evaluate.batch_size": 1, "data.batch_size": 1}) for window in (5, 120))
  for task in (short, long):
    enlarge(task)
  bits = [task.predict("test")["bits"] for task in (short, long, short)]
  np.testing.assert_allclose(bits[0], bits[1], rtol=1e-3, atol=1e-4)
  np.testing.assert_array_equal(bits[0], bits[2])  # the next pass begins anew
  forgetful = built(**{"data.window": 5, "evaluate.batch_size": 27, "data.batch_size": 1})  # rows of five bytes
  enlarge(forgetful)
  assert np.abs(forgetful.predict("test")["bits"] - bits[1]).max() > 0.1


def test_the_mean_of_the_predicted_costs_is_what_the_evaluation_reports(built):
  task = built()
  enlarge(task)
  found = task.predict("valid")
  assert bytes(found["text"]) == TEXTS["valid"]
  assert found["bits"].mean() == pytest.approx(task.evaluate("valid").values["bits_per_byte"], rel=1e-5)


def test_an_epoch_of_training_carries_its_states_as_an_evaluation_of_the_same_rows_does(built, strategy):
  # 120 bytes are 4 rows of 5 windows of 6, none to spare; the rate is too small to change a weight.
  task = built(**{"evaluate.batch_size": 4, "optimizer.learning_rate": 1e-30, "optimizer.name": "sgd"})
  enlarge(task)
  run, source = steps.train_steps(task, strategy), task.feed(0).source(0, 10)
  sums = [run(source, tf.constant(5 * epoch, tf.int64), tf.constant(5, tf.int64), tf.zeros([2]), tf.constant(0.0))[0].numpy()
          for epoch in range(2)]
  expected = task.evaluate("train").values
  for found in sums:
    np.testing.assert_allclose(found / (5 * 4), [expected["loss"], expected["accuracy"]], rtol=1e-5)


def test_the_state_is_part_of_a_checkpoint_and_changes_from_step_to_step(built, strategy):
  task = built()
  carry = task.variables()["carry"]
  assert [tuple(v.shape) for v in carry] == [(4, 7), (4, 7)]
  assert not any(np.any(v.numpy()) for v in carry)
  run, source = steps.train_steps(task, strategy), task.feed(0).source(0, 2)
  seen = []
  for step in range(2):
    run(source, tf.constant(step, tf.int64), tf.constant(1, tf.int64), tf.zeros([2]), tf.constant(0.0))
    seen.append([v.numpy() for v in carry])
  for first, second in zip(*seen, strict=True):
    assert (first != second).all()


def test_what_is_written_is_of_the_vocabulary_and_the_same_for_the_same_seed(built):
  texts = [built(**{"generate.length": 40, "generate.temperature": 2.0, "seed": seed}).generate("cab") for seed in (0, 0, 1)]
  assert texts[0] == texts[1] != texts[2]
  for text in texts:
    assert len(text) == 40
    assert set(text.encode()) <= set(VOCABULARY)


def test_the_temperature_is_the_power_to_which_chances_are_raised(built):
  task = built(**{"generate.length": 200, "generate.temperature": 0.5})
  silence(task).assign([0, 0, 0, np.log(2), 0, 0, 0, 0, 0])  # `a` is twice as likely as each of the eight others
  chance = 4 / (4 + 8)  # and four times at half the temperature
  text = task.generate("a")
  assert text.count("a") / 200 == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 200) ** 0.5)


def test_a_prompt_is_read_before_anything_is_written(built):
  task = built(**{"generate.length": 8, "generate.temperature": 1e-3})  # so cold that the likeliest byte is written
  enlarge(task, 4.0)
  network = task.networks["language_model"]
  for prompt in ("a", "cab;"):
    states, expected = [np.zeros((1, 7), np.float32)] * 2, []
    codes = [VOCABULARY.index(byte) for byte in b"\n" + prompt.encode()]
    for _ in range(8):
      for code in codes:
        logits, *states = network([np.array([[code]], np.int32), *(np.asarray(s) for s in states)])
      codes = [int(np.argmax(logits[0, -1]))]
      expected.append(VOCABULARY[codes[0]])
    assert task.generate(prompt).encode() == bytes(expected)


def test_a_prompt_with_a_byte_that_never_occurred_is_refused_with_those_that_did(built):
  with pytest.raises(ConfigError) as caught:
    built().generate("a bad\tcafé")
  assert str(caught.value) == ("--prompt has '\\t', 'f', 'é', not among the 9 bytes of texts: "
                               "'\\n', ' ', ';', 'a'-'e', 'g'")
