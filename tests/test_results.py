"""What README says of the recorded results holds of `experiments/results.csv`."""

import csv
import statistics

from tests.conftest import ROOT

with open(ROOT / "experiments/results.csv", newline="", encoding="utf-8") as file:
  ROWS = list(csv.DictReader(file))
GZIP, XZ = 2.117, 1.936  # bits per byte of the same test text, for Python 3.11.7 (analysis `compressors` of the runs)


def values(config):
  return [float(row["value"]) for row in ROWS if row["config"] == config and not row["overrides"]]


def test_dqn_reaches_475_in_at_least_seven_of_ten_seeds():
  found = values("experiments/reinforcement/dqn.py")
  assert len(found) == 10
  assert sum(value >= 475 for value in found) >= 7


def test_a_denoising_autoencoder_helps_a_hundred_labels():
  pretrained = values("experiments/unsupervised/denoising.py:mnist#classify")
  scratch = values("experiments/unsupervised/denoising.py:mnist,scratch")
  assert len(pretrained) == len(scratch) == 5
  assert statistics.mean(pretrained) < statistics.mean(scratch)


def test_the_language_model_beats_gzip_and_xz_on_the_same_text():
  found = values("experiments/sequence/lstm.py")
  assert found
  assert max(found) < XZ < GZIP


def test_every_row_names_its_commit_and_no_run_is_there_twice():
  assert all(len(row["commit"]) == 12 for row in ROWS)
  keys = [(row["config"], row["overrides"], row["seed"]) for row in ROWS]
  assert len(keys) == len(set(keys))
