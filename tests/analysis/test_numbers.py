"""What the analyses measure, against other libraries and numbers worked out by hand."""

import types

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from dlsuite.analysis import (
  codes,
  compressors,
  episode,
  first_layer_filters,
  manifold,
  mode_coverage,
  predicted_against_true,
  reconstructions,
)

RANDOM = np.random.default_rng(0)


def task_of(**methods):
  config = types.SimpleNamespace(name="fixture", data=types.SimpleNamespace(valid="valid"))
  return types.SimpleNamespace(config=config, builder_of=lambda split: types.SimpleNamespace(name="data"), **methods)


# -- compressors


def test_gzip_is_the_length_of_the_compressed_text_in_bits_a_byte():
  text = b"to be or not to be, that is the question\n" * 20
  assert compressors.bits_per_byte(text, b"")["gzip"] == 8 * 66 / 820  # gzip -9n | wc -c


def test_random_bytes_cost_all_compressors_eight_bits_and_a_little():
  numbers = compressors.bits_per_byte(RANDOM.bytes(50_000), RANDOM.bytes(1000))
  assert set(numbers) == {"gzip", "bzip2", "xz", "xz_after_training"}
  for bits in numbers.values():
    assert 8 <= bits < 8.1


def test_what_was_read_before_costs_nearly_nothing_again():
  text = RANDOM.bytes(20_000)
  before = text + RANDOM.bytes(2_000_000)  # further back than small windows reach
  numbers = compressors.bits_per_byte(text, before)
  assert numbers["xz"] > 8
  assert numbers["xz_after_training"] < 0.2


def test_the_networks_bar_stands_beside_those_of_the_compressors(drawn, tmp_path):
  text = np.frombuffer(b"abcd" * 100, np.uint8)
  task = task_of(text=lambda key: np.frombuffer(b"abcd" * 300, np.uint8))
  numbers = compressors.draw(task, {"text": text, "bits": np.full(400, 0.5)}, tmp_path / "compressors.png")
  assert numbers == compressors.bits_per_byte(b"abcd" * 100, b"abcd" * 300)
  (axis,) = drawn[0].axes
  assert [label.get_text() for label in axis.get_yticklabels()] == ["gzip", "bzip2", "xz", "xz after training", "network"]
  assert [bar.get_width() for bar in axis.patches] == pytest.approx([*numbers.values(), 0.5])


# -- codes


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_share_of_equal_neighbours_is_the_accuracy_of_leaving_one_out(size, tmp_path):
  labels = RANDOM.integers(3, size=60)
  found = {"code": RANDOM.normal(size=(60, size)) + labels[:, None], "label": labels}
  expected = cross_val_score(KNeighborsClassifier(1), found["code"], labels, cv=LeaveOneOut()).mean()
  numbers = codes.draw(task_of(), found, tmp_path / "codes.png")
  assert numbers == {"nearest_code_of_same_class": pytest.approx(expected)}
  assert 0.4 < expected < 1


def test_a_code_is_not_its_own_neighbour_where_codes_are_equal(tmp_path):
  found = {"code": np.zeros((4, 2)), "label": np.arange(4)}
  assert codes.draw(task_of(), found, tmp_path / "codes.png") == {"nearest_code_of_same_class": 0}


@pytest.mark.parametrize(("count", "names"), [(3, ["0", "1", "2"]), (21, [])])
def test_each_class_is_named_in_the_plane_unless_so_many_names_would_cover_it(count, names, drawn, tmp_path):
  labels = np.arange(2 * count) % count
  codes.draw(task_of(), {"code": np.stack([labels, -labels], 1) / count, "label": labels}, tmp_path / "codes.png")
  assert [text.get_text() for text in drawn[0].axes[0].texts] == names


def test_codes_without_classes_are_drawn_without_a_number(tmp_path):
  assert codes.draw(task_of(), {"code": RANDOM.normal(size=(9, 3))}, tmp_path / "codes.png") == {}
  assert (tmp_path / "codes.png").exists()


# -- reconstructions


@pytest.mark.parametrize("count", [1, 30])
def test_principal_components_are_those_of_the_training_images(count, tmp_path):
  train, test = (RANDOM.integers(256, size=(size, 4, 3, 1), dtype=np.uint8) for size in (50, count))
  found = {"image": test, "reconstruction": np.full(test.shape, 0.25), "code": np.zeros((count, 2))}
  numbers = reconstructions.draw(task_of(arrays=lambda split: {"train": {"image": train}}[split]), found, tmp_path / "r.png")
  pixels = test.reshape(count, 12) / 255
  mean = train.reshape(50, 12).mean(0) / 255
  _, _, directions = np.linalg.svd(train.reshape(50, 12) / 255 - mean)
  rest = (pixels - mean) - (pixels - mean) @ directions[:2].T @ directions[:2]
  assert numbers == {"network_squared_error": pytest.approx(np.square(pixels - 0.25).sum(1).mean(), rel=1e-4),
                     "pca_squared_error": pytest.approx(np.square(rest).sum(1).mean(), rel=1e-4)}


# -- predicted_against_true


def table(size):
  features = RANDOM.normal([0, 5, -3], [1, 10, 0.1], (size, 3))
  return {"features": features, "target": features @ [1, 0.2, 5] + RANDOM.normal(size=size)}


def test_the_penalty_of_ridge_regression_is_the_one_that_is_best_on_the_validation_split(tmp_path):
  train, valid, test = table(40), table(30), table(25)
  mean, spread = train["features"].mean(0), train["features"].std(0)

  def solved(penalty):  # the normal equations on standardised features
    x, y = (train["features"] - mean) / spread, train["target"]
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(3), x.T @ (y - y.mean()))
    return lambda features: (features - mean) / spread @ weights + y.mean()

  best = min(np.logspace(-3, 3, 25), key=lambda p: np.square(solved(p)(valid["features"]) - valid["target"]).sum())
  found = test | {"predicted": test["target"] + 1}
  numbers = predicted_against_true.draw(task_of(arrays=lambda split: {"train": train, "valid": valid}[split]), found,
                                        tmp_path / "predicted.png")
  assert numbers["ridge_r2"] == pytest.approx(r2_score(test["target"], solved(best)(test["features"])))
  assert numbers["network_r2"] == pytest.approx(1 - 1 / test["target"].var())


def test_without_a_validation_split_the_penalty_of_ridge_regression_is_one():
  train, test = table(40), table(5)
  mean, spread = train["features"].mean(0), train["features"].std(0)
  model = RidgeCV([1.0]).fit((train["features"] - mean) / spread, train["target"])
  np.testing.assert_allclose(predicted_against_true.ridge_predictions(train, None, test["features"]),
                             model.predict((test["features"] - mean) / spread))


# -- modes, manifold, filters, episode


def test_the_samples_near_each_mode_are_drawn(tmp_path):
  points = 2 * np.array([[1.0, 0.0], [0.0, 1.0]])
  found = {"samples": points, "point": points, "good": np.array([1, 0, 1])}
  assert mode_coverage.draw(task_of(), found, tmp_path / "modes.png") == {}
  assert (tmp_path / "modes.png").stat().st_size > 2_000


@pytest.mark.parametrize("variational", [True, False])
def test_the_grid_of_decoded_codes_spans_the_normal_or_the_test_codes(variational, tmp_path):
  asked = []

  def decode(grid):
    asked.append(grid)
    return np.zeros((len(grid), 4, 4, 1))

  code = RANDOM.uniform([-3, 10], [5, 20], (10_000, 2))
  found = {"code": code} | ({"mean": code} if variational else {})
  assert manifold.draw(task_of(decode=decode), found, tmp_path / "manifold.png") == {}
  low, high = asked[0].min(0), asked[0].max(0)
  if variational:
    np.testing.assert_allclose([low, high], [[-2.0537] * 2, [2.0537] * 2], atol=1e-4)  # the normal's quantiles at 2 and 98%
  else:
    np.testing.assert_allclose([low, high], [[-2.84, 10.2], [4.84, 19.8]], atol=0.1)
  first, last = asked[0][0], asked[0][-1]  # the picture's upper left and lower right
  np.testing.assert_allclose([first, last], [[low[0], high[1]], [high[0], low[1]]])


def test_a_plane_of_codes_needs_codes_of_two_numbers(tmp_path):
  assert manifold.draw(task_of(), {"code": np.zeros((5, 3))}, tmp_path / "manifold.png") is None


@pytest.mark.parametrize(("shape", "input_shape", "drawn"), [
  ((5, 5, 1, 6), (8, 8, 1), True), ((3, 3, 3, 4), (8, 8, 3), True), ((64, 20), (8, 8, 1), True), ((10, 20), (8, 8, 1), False),
])
def test_the_filters_of_a_convolution_or_of_a_layer_over_all_pixels_are_drawn(shape, input_shape, drawn, tmp_path):
  kernel = types.SimpleNamespace(shape=shape, numpy=lambda: RANDOM.normal(size=shape))
  layers = [types.SimpleNamespace(name="flatten"), types.SimpleNamespace(name="c1", kernel=kernel)]
  network = types.SimpleNamespace(layers=layers)
  answer = first_layer_filters.draw(task_of(main_network=network, input_shape=input_shape), {}, tmp_path / "filters.png")
  assert (answer == {}) == (tmp_path / "filters.png").exists() == drawn


def test_the_film_of_an_episode_shows_every_second_picture_at_half_its_size(tmp_path):
  pictures = [np.full((40, 60, 3), shade, np.uint8) for shade in range(0, 250, 25)]
  task = task_of(episode=lambda frames: (pictures[:frames], 7.0))
  numbers = episode.draw(task, {"return": np.array([3.0, 4.0, 8.0])}, tmp_path / "episode.png")
  assert numbers == {"least": 3, "mean": 5, "largest": 8}
  with Image.open(tmp_path / "episode.gif") as film:
    assert (film.n_frames, film.size) == (5, (30, 20))
