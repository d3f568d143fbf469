"""What README says of the recorded results is what `experiments/results.csv` holds."""

import collections
import csv
import re
import statistics

import pytest

from dlsuite import config as config_lib
from dlsuite import flags, identity
from tests.conftest import ROOT
from tools import compare, ten_years

with open(ROOT / "experiments/results.csv", newline="", encoding="utf-8") as file:
  ROWS = list(csv.DictReader(file))
TEN_YEARS = "experiments/vision/ten_years.py:cifar10,network="
ONE_SEED = {f"experiments/vision/{name}" for name in (
  "cifar_resnet.py:cifar10,fast", "nin.py:cifar10,fast", "densenet.py:cifar10,fast", "unet.py:isbi")} | {
  TEN_YEARS + network for network in ten_years.ENTRIES}
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


@pytest.mark.parametrize(("a", "b", "said"), [
  ("cifar_resnet.py:cifar10,fast,epochs=13.6", "cifar_resnet.py:cifar10,fast,se,epochs=11.2",
   "by pairs {:.2f} more, 95% interval {:.2f} to {:.2f}"),
  ("transfer.py:cifar10#finetune", "transfer.py:cifar10,scratch", "by pairs {:.2f} less, 95% interval {:.2f} to {:.2f}")])
def test_the_differences_by_pairs_in_the_readme_are_those_of_the_runs(a, b, said):
  pairs = compare.paired(f"experiments/vision/{a}", f"experiments/vision/{b}")
  found = compare.interval([second - first for first, second in pairs.values()])
  assert said.format(*found) in (ROOT / "README.md").read_text()


def test_what_cifar_taught_helps_with_500_images_of_mnist_for_every_seed():
  tuned, scratch = (values(f"experiments/vision/transfer.py:cifar10{which}") for which in ("#finetune", ",scratch"))
  assert len(tuned) == len(scratch) == 3
  assert all(a < b for a, b in zip(tuned, scratch, strict=True))


def test_the_language_model_beats_gzip_and_xz_on_the_same_text():
  found = values("experiments/sequence/lstm.py")
  assert found
  assert max(found) < XZ < GZIP


def test_resnet20_reaches_its_published_error_in_at_most_seventy_minutes():
  """He et al. 2015, table 6."""
  found = [row for row in ROWS if row["config"] == "experiments/vision/cifar_resnet.py:cifar10,fast"]
  assert found and all(float(row["value"]) <= 8.75 and float(row["hours"]) <= 70 / 60 for row in found)


def test_the_detector_finds_blood_cells_with_a_mean_average_precision_of_0_6():
  assert min(values("experiments/vision/detector.py:bccd")) >= 0.6


def test_videos_tell_a_movement_and_one_frame_of_them_does_not():
  chance, deviation = 87.5, 100 * (0.125 * 0.875 / 1000) ** 0.5  # of 1,000 test videos
  assert all(abs(value - chance) < 3 * deviation for value in values("experiments/vision/action.py:network=frame"))
  assert max(values("experiments/vision/action.py:network=lstm") + values("experiments/vision/action.py:network=conv3d")) < 5


def test_every_result_has_three_seeds_or_as_many_as_are_claimed():
  claimed = {"experiments/reinforcement/dqn.py": 10, "experiments/unsupervised/denoising.py:mnist#classify": 5,
             "experiments/unsupervised/denoising.py:mnist,scratch": 5} | dict.fromkeys(ONE_SEED, 1)
  seeds = collections.Counter((row["config"], row["overrides"]) for row in ROWS)
  assert {key: claimed.get(key[0], 3) for key in seeds} == dict(seeds)


def test_every_kind_of_learning_has_results():
  """One entry an experiment file, whatever its variants."""
  assert {row["config"].partition(":")[0].partition("#")[0] for row in ROWS} == {
    f"experiments/{name}.py" for name in (
      "foundations/diabetes", "foundations/mlp", "reinforcement/dqn", "sequence/lstm", "unsupervised/autoencoder",
      "unsupervised/denoising", "unsupervised/gan", "unsupervised/vae", "vision/action", "vision/cifar_resnet",
      "vision/densenet", "vision/detector", "vision/lenet5", "vision/nin", "vision/pilotnet", "vision/ten_years",
      "vision/transfer", "vision/unet")}


def readme_rows():
  """Returns (config, our mean and the seeds' values as README prints them) of its table of results."""
  table = (ROOT / "README.md").read_text().partition("## Results")[2].partition("\n## ")[0]
  files = {path.name: path.relative_to(ROOT) for path in (ROOT / "experiments").glob("*/*.py")}
  variants = {"denoising.py:mnist": "denoising.py:mnist#classify",
              "transfer.py:cifar10": "transfer.py:cifar10#finetune"}  # the stage that is tested
  found = []
  for line in table.splitlines():
    if cells := re.fullmatch(r"\|(.*`(\w+\.py[^`]*)`.*)\|(.*)\|(.*)\|(.*)\|", line):
      name = variants.get(cells[2], cells[2])
      file, mark, rest = re.fullmatch(r"(\w+\.py)(.?)(.*)", name).groups()
      mean, _, others = cells[4].replace("R2 ", "").strip(" *").partition("(")
      first = re.match(r"\d+(?:\.\d+)?", mean)[0]
      seeds = [] if "in each of" in mean else re.findall(r"\d+(?:\.\d+)?", others.partition(")")[0])
      found.append((f"{files[file]}{mark}{rest}", first, seeds))
  return found


@pytest.mark.parametrize(("config", "mean", "seeds"), readme_rows())
def test_the_numbers_in_the_readme_are_those_of_the_runs(config, mean, seeds):
  def printed(value, like):
    return f"{value:.{len(like.partition('.')[2])}f}"

  ours = values(config)
  assert printed(statistics.mean(ours), mean) == mean
  assert [printed(value, text) for value, text in zip(ours, seeds or [mean] * len(ours), strict=True)] == (
    seeds or [mean] * len(ours))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['config']} {row['overrides']} {row['seed']}")
def test_every_row_is_of_a_run_that_its_command_would_still_make(row):
  name, _, stage = row["config"].partition("#")
  command = [f"--config={name}", f"--config.seed={row['seed']}", "--workdir=run", *(f"--{o}" for o in row["overrides"].split())]
  config = flags.parse(command).stages[stage]
  assert identity.fingerprint(config_lib.to_json(config)) == row["fingerprint"]


def test_the_baselines_in_the_readme_are_those_of_the_analyses():
  with open(ROOT / "experiments/analyses.csv", newline="", encoding="utf-8") as f:
    found = collections.defaultdict(list)
    for row in csv.DictReader(f):
      found[row["config"].removeprefix("experiments/vision/"), row["number"]].append(float(row["value"]))
  text = (ROOT / "README.md").read_text()
  for line, name in (("histograms of oriented gradients + support vector machine", "HOG_and_SVM"),
                     ("random forest on pixels", "random_forest_on_pixels"),
                     ("three nearest neighbours in pixels", "3_nearest_neighbours_in_pixels")):
    values_of = [found[config, name] for config in ("lenet5.py", "lenet5.py:mnist", "cifar_resnet.py:cifar10,fast")]
    assert f"| {line} | " + " | ".join(f"{value:.2f}" for value, in values_of) + " |" in text
  isbi, simulated = ({name: found[config, name] for name in ("threshold_error", "forest_error", "threshold_iou", "forest_iou")}
                     for config in ("unet.py:isbi", "unet.py"))
  assert ("threshold {:.1f}%, random forest {:.1f}% (foreground IoU {:.3f}, {:.3f}), here".format(
    *(value for value, in isbi.values()))) in text
  (error,), (iou,), (rand_error,) = (found["unet.py:isbi", name] for name in ("network_error", "network_iou", "rand_error"))
  assert f"with 3,600 steps instead of 6,000 {error:.2f}%, IoU {iou:.3f}, Rand error {rand_error:.3f}" in text
  assert error < min(isbi["threshold_error"][0], isbi["forest_error"][0])
  assert iou > max(isbi["threshold_iou"][0], isbi["forest_iou"][0])
  assert ("threshold {:.1f}%, random forest {:.1f}%, here".format(*(value for value, in list(simulated.values())[:2]))) in text
  assert found["pilotnet.py", "laps_completed"] == [1.0, 1.0, 1.0] and "10 of 10 unseen tracks whole in each of 3 seeds" in text


def test_every_row_names_its_commit_and_no_run_is_there_twice():
  assert all(len(row["commit"]) == 12 for row in ROWS)
  keys = [(row["config"], row["overrides"], row["seed"]) for row in ROWS]
  assert len(keys) == len(set(keys))
