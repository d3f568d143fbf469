"""Detection: which predictor answers for which box, the loss by hand, and what comes out of the suppression."""

import numpy as np
import pytest
import tensorflow as tf

from dlsuite import catalog, modes
from dlsuite.errors import ConfigError
from dlsuite.tasks.grid import Grid, complete_overlap, overlap

pytest.importorskip("pycocotools", reason="pycocotools comes with the extra `detection`")

GRID = Grid(2, 3, (20, 30), ((4.0, 4.0), (8.0, 16.0)))  # cells of 10 x 10, 12 predictors


def config_of(**options):
  config = catalog.load("experiments/vision/detector.py:smoke").copy_and_resolve_references().unlock()
  config.model.update({"widths": (4, 4, 4), "blocks": (0, 0, 0), "head": 4})
  config.update_from_flattened_dict(options)
  return config


@pytest.fixture(scope="module")
def task(strategy):
  found = modes.task_of(config_of(**{"data.valid": "valid[:20]", "data.test": "test[:20]"}), strategy)
  found.build(4, 0)
  return found


def raw_of(boxes):
  """What a grid's predictors must say for boxes [N, 4]: the inverse of `Grid.boxes`, where it has one."""
  middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
  share = (middle / 10 - GRID._cells + 0.05) / 1.1
  return np.concatenate([np.log(share / (1 - share)), np.log(size / GRID._anchors)], 1).astype(np.float32)


# -- the grid


def test_numbers_of_zero_are_the_anchors_in_the_middle_of_their_cells():
  found = GRID.boxes(tf.zeros([1, 12, 4])).numpy()[0]
  np.testing.assert_allclose(found[0], [3, 3, 7, 7], atol=1e-5)  # cell (0, 0), anchor 0
  np.testing.assert_allclose(found[1], [1, -3, 9, 13], atol=1e-5)
  np.testing.assert_allclose(found[-2], [13, 23, 17, 27], atol=1e-5)  # cell (1, 2)


def test_a_middle_reaches_the_edge_of_its_cell_at_a_finite_number_and_a_size_grows_by_its_exponential():
  edge = np.log((1.05 / 1.1) / (0.05 / 1.1))
  found = GRID.boxes(tf.constant([[[edge, -edge, np.log(2), 100.0]] * 12], tf.float32)).numpy()[0, 0]
  middle, size = (found[:2] + found[2:]) / 2, found[2:] - found[:2]
  np.testing.assert_allclose(middle, [10, 0], atol=1e-4)
  np.testing.assert_allclose(size, [8, 4 * np.exp(4)], rtol=1e-5)  # what would overflow is held


def answers(boxes, labels, least=0.5):
  targets = GRID.targets(tf.constant([boxes], tf.float32), tf.constant([labels]), least)
  places = np.flatnonzero(targets.positive[0])
  return {int(i): (targets.boxes[0, i].numpy().tolist(), int(targets.labels[0, i])) for i in places}


def test_a_box_is_answered_for_by_the_likest_anchor_of_its_cell_and_padding_by_none():
  small, wide = [12.0, 22.0, 16.0, 27.0], [2.0, 8.0, 10.0, 24.0]  # middles (14, 24.5) and (6, 16): cells (1, 2) and (0, 1)
  assert answers([small, wide, [0.0] * 4], [2, 1, -1]) == {10: (small, 2), 3: (wide, 1)}
  assert answers([small, wide], [-1, -1]) == {}


def test_further_anchors_answer_if_they_are_like_the_box():
  box = [11.0, 1.0, 19.0, 7.0]  # 8 x 6: 16 of 48 shared with the first anchor, 48 of 128 with the second
  assert answers([box], [0], least=0.5) == {7: (box, 0)}
  assert answers([box], [0], least=0.34) == {7: (box, 0)}
  assert answers([box], [0], least=0.33) == {6: (box, 0), 7: (box, 0)}


def test_of_two_boxes_for_one_predictor_the_one_most_like_its_anchor_is_taken():
  like, unlike = [3.0, 3.0, 7.0, 7.0], [3.0, 3.0, 6.0, 6.0]
  assert answers([unlike, like], [0, 1], least=0.9) == {0: (like, 1)}


def test_a_box_in_the_last_corner_is_in_the_last_cell():
  corner = [19.0, 29.0, 21.0, 31.0]  # its middle is on the image's edge
  assert list(answers([corner], [0])) == [10]


# -- overlaps


def test_overlaps_are_worked_out_by_hand():
  a, b = tf.constant([0.0, 0.0, 4.0, 4.0]), tf.constant([2.0, 2.0, 4.0, 6.0])
  assert float(overlap(a, a)) == 1
  assert float(overlap(a, b)) == pytest.approx(4 / 20)
  assert float(overlap(a, a + 5.0)) == 0
  # Middles (2, 2) and (3, 4): 1 + 4 of a diagonal 16 + 36; proportions: angles 45 and atan(4 / 2) degrees.
  v = 4 / np.pi**2 * (np.arctan(2) - np.pi / 4) ** 2
  assert float(complete_overlap(b, a)) == pytest.approx(0.2 - 5 / 52 - v * v / (0.8 + v), abs=1e-6)
  assert float(complete_overlap(a, a)) == pytest.approx(1)


def test_boxes_that_do_not_touch_are_drawn_to_each_other():
  found = tf.Variable([0.0, 0.0, 4.0, 4.0])
  with tf.GradientTape() as tape:
    loss = 1.0 - complete_overlap(found, tf.constant([10.0, 20.0, 14.0, 24.0]))
  corners = tape.gradient(loss, found).numpy().reshape(2, 2)
  assert (corners.sum(0) < 0).all()  # a step against the gradient moves the box down and to the right


# -- the loss


def test_the_loss_is_worked_out_by_hand(task):
  task.grid = Grid(2, 3, (96, 96), ((10.0, 10.0),))  # cells of 48 x 32
  box = np.array([19.0, 43.0, 29.0, 53.0]) / 96  # in the middle of cell (0, 1), the anchor's size
  batch = {"boxes": tf.constant([[box, [0] * 4], [[0] * 4] * 2], tf.float32), "labels": tf.constant([[2, -1], [-1, -1]])}
  outputs = np.zeros((2, 6, 8), np.float32)
  outputs[0, 1, 4], outputs[0, 1, 7] = 3.0, 1.0
  loss, terms = task.losses(tf.constant(outputs), batch, True)
  expected = {"box": [0, 0], "object": [np.log(1 + np.exp(-3)), 0], "background": [5 * np.log(2), 6 * np.log(2)],
              "classes": [np.log(2 + np.e) - 1, 0]}
  del task.grid
  for name, values in expected.items():
    np.testing.assert_allclose(terms[name], values, atol=1e-5, err_msg=name)
  weights = {"box": 5.0, "object": 1.0, "background": 0.5, "classes": 1.0}
  np.testing.assert_allclose(loss, sum(weight * np.array(expected[name]) for name, weight in weights.items()), rtol=1e-5)


def test_a_prediction_that_lies_on_a_box_of_another_is_no_background(task):
  task.grid = Grid(1, 2, (96, 96), ((40.0, 40.0),))
  box = np.array([28.0, 20.0, 68.0, 60.0]) / 96  # in cell 0; cell 1 predicts from column 52 to 92
  batch = {"boxes": tf.constant([[box]], tf.float32), "labels": tf.constant([[0]])}
  outputs = np.zeros((1, 2, 8), np.float32)
  _, far = task.losses(tf.constant(outputs), batch, True)
  outputs[0, 1, 1] = -5.0  # to the left, onto the box
  _, near = task.losses(tf.constant(outputs), batch, True)
  del task.grid
  assert float(far["background"][0]) == pytest.approx(np.log(2))
  assert float(near["background"][0]) == 0


def test_images_without_a_box_have_a_finite_loss_and_gradient(task):
  batch = {"image": tf.zeros([2, 96, 96, 3], tf.uint8), "boxes": tf.zeros([2, 6, 4]), "labels": tf.fill([2, 6], -1)}
  variables = [v.value for v in task.networks["detector"].trainable_variables]
  with tf.GradientTape() as tape:
    loss, terms = task.losses(task.outputs(batch, True), batch, True)
  for gradient in tape.gradient(loss, variables):
    assert np.isfinite(gradient).all()
  assert float(terms["box"][0]) == float(terms["object"][0]) == 0


# -- what is found


def test_outputs_that_say_the_truth_are_found_again_with_a_precision_of_one(task, monkeypatch):
  def perfect(batch, training):
    targets = task.grid.targets(batch["boxes"] * task._pixels, tf.cast(batch["labels"], tf.int32), 0.5)
    middle, size = (targets.boxes[..., :2] + targets.boxes[..., 2:]) / 2, targets.boxes[..., 2:] - targets.boxes[..., :2]
    share = tf.clip_by_value((middle / task.grid._cell - task.grid._cells + 0.05) / 1.1, 0.04, 0.96)
    sure = tf.where(targets.positive, 5.0, -9.0)[..., tf.newaxis]
    return tf.concat([tf.math.log(share / (1 - share)), tf.math.log(size / task.grid._anchors), sure,
                      20 * tf.one_hot(targets.labels, 3)], -1)

  monkeypatch.setattr(task, "outputs", perfect)
  monkeypatch.setitem(vars(task), "_predict_step", None)
  vars(task).pop("_predict_step")
  measured = task.evaluate("valid")
  vars(task).pop("_predict_step")
  assert (measured.count, measured.unit) == (20, "examples")
  assert measured.values["map50"] == pytest.approx(1)
  assert measured.values["map"] > 0.98
  assert measured.values["box"] < 0.01


def test_an_evaluation_asks_the_network_once_and_its_loss_is_that_of_a_pass_over_the_split(task, monkeypatch):
  real, asked = task.outputs, []
  monkeypatch.setattr(task, "outputs", lambda batch, training: asked.append(training) or real(batch, training))
  vars(task).pop("_predict_step", None)
  found = task.evaluate("valid").values
  vars(task).pop("_predict_step")
  assert asked == [False]  # traced once
  passed = task.measured("valid", task.evaluation_pass(task.evaluate_step)).values
  assert {name: found[name] for name in task.metrics} == pytest.approx(passed, rel=1e-5)


def test_of_two_boxes_of_one_class_that_overlap_the_surer_stays_and_another_class_is_left_alone(task, monkeypatch):
  boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.1, 0.1, 0.5, 0.51], [0.6, 0.6, 0.8, 0.8]])
  scores = np.array([[0.6, 0, 0], [0.7, 0, 0], [0, 0.5, 0], [0.005, 0, 0]])
  given = {"image": np.zeros((1, 96, 96, 3)), "boxes": np.zeros((1, 6, 4)), "labels": np.full((1, 6), -1),
           "candidate_boxes": boxes[None].astype(np.float32), "candidate_scores": scores[None].astype(np.float32)}
  monkeypatch.setattr("dlsuite.tasks.supervised.Supervised.predict", lambda self, split: dict(given))
  found = task.predict("valid")
  assert found["detected_scores"][0, :3].tolist() == pytest.approx([0.7, 0.5, 0])
  assert found["detected_labels"][0, :2].tolist() == [0, 1]
  np.testing.assert_allclose(found["detected_boxes"][0, 0], 96 * boxes[1], rtol=1e-5)
  columns, rows = task.prediction_table(found)
  assert rows == [[0, "circle", "0.7000", "9.6", "9.6", "48.0", "49.9"], [0, "square", "0.5000", "9.6", "9.6", "48.0", "49.0"]]
  assert len(columns) == 7


@pytest.mark.parametrize(("options", "says"), [
  ({"anchors.heights": (1.0, 2.0)}, r"anchors\.heights=\(1\.0, 2\.0\) and anchors\.widths"),
  ({"anchors.heights": (), "anchors.widths": ()}, r"tools\.anchors"),
  ({"data.size": (96,)}, r"data\.size=\(96,\) must be two whole numbers"),
  ({"data.size": (96, 96.5)}, "two whole numbers"),
  ({"data.resize": 96}, r"data\.resize=96 is not for task='detection'"),
], ids=["anchors_that_disagree", "no_anchors", "one_side", "half_a_pixel", "a_square_size"])
def test_a_config_that_is_no_detectors_is_refused(strategy, options, says):
  with pytest.raises(ConfigError, match=says):
    modes.task_of(config_of(**options), strategy)


def test_means_that_do_not_fit_the_channels_are_refused(strategy):
  task = modes.task_of(config_of(**{"data.mean": (0.5, 0.5), "data.std": (1.0, 1.0)}), strategy)
  with pytest.raises(ConfigError, match=r"data\.mean has 2 values but the images have 3 channel"):
    task.build(4, 0)
