"""The driver who knows the track, the camera, and what is recorded of both."""

import numpy as np
import pytest

from dlsuite.data.builders.car_racing.car_racing_dataset_builder import Builder, drive
from dlsuite.errors import ConfigError
from dlsuite.rl import track


@pytest.fixture(scope="module")
def lap():
  """One lap of the scripted driver: the road, what it steered, and how far from the middle it was."""
  road, steering, offside = track.Road(7), [], []
  while not road.over and len(steering) < track.LONGEST:
    steering.append(road.steering())
    road.drive(steering[-1])
    offside.append(road.offside)
  yield road, np.array(steering), np.array(offside)
  road.close()


def test_the_driver_visits_every_tile_of_a_track_and_stays_on_it(lap):
  road, steering, offside = lap
  assert road.visited == 1.0
  assert offside.max() < 1.0
  assert np.abs(steering).max() <= 1.0


def test_cruise_control_holds_the_speed():
  road, places = track.Road(8), []
  for _ in range(60):
    road.drive(road.steering())
    places.append(road._position())
  road.close()
  speeds = np.linalg.norm(np.diff(places[20:], axis=0), axis=1) * 50 / track.STEPS  # the simulation makes 50 steps a second
  assert speeds.mean() == pytest.approx(track.SPEED, rel=0.1)


def test_the_driver_steers_back_to_the_middle_from_both_sides():
  answers = []
  for side in (-0.4, 0.4):
    road = track.Road(9)
    for _ in range(6):
      road.drive(side)  # off the middle of the straight that every track begins with
    answers.append(road.steering())
    road.close()
  assert answers[0] > 0.1  # went left, steers right
  assert answers[1] < -0.1


def test_the_camera_shows_the_road_before_the_car_and_no_dashboard():
  road = track.Road(10)
  picture = road.picture().astype(int)
  road.close()
  assert picture.shape == (66, 200, 3)
  grey = np.abs(picture - picture.mean(-1, keepdims=True)).max(-1) < 8  # road; grass is green
  assert grey[30, 95:105].all()
  assert not grey[30, :40].any()
  assert picture[-1, :40].sum(-1).min() > 300  # the dashboard, below, is black


def test_what_is_recorded_depends_on_the_seed_alone():
  first, again, other = (list(drive(seed, 12)) for seed in (3, 3, 4))
  for (picture, steering), (picture2, steering2) in zip(first, again, strict=True):
    np.testing.assert_array_equal(picture, picture2)
    assert steering == steering2
  assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_no_track_is_in_two_splits():
  seeds = [seed for part in Builder.tracks.values() for seed in part]
  assert len(seeds) == len(set(seeds))
  assert max(seeds) < 3000  # where the tracks begin on which the network drives alone


def test_without_the_extra_the_error_names_it(monkeypatch):
  import sys

  monkeypatch.setitem(sys.modules, "gymnasium.envs.box2d.car_racing", None)
  with pytest.raises(ConfigError, match=r"extra `driving`"):
    track.simulator()
