"""gymnasium's CarRacing as a road: a camera of PilotNet's size, cruise control, and a driver who knows the track.

Needs the extra `driving`.
"""

from typing import Any

import numpy as np

from dlsuite.errors import ConfigError
from dlsuite.rl.registry import no_warnings

HEIGHT, WIDTH = 66, 200  # pixels of a picture (Bojarski et al. 2016, figure 4)
SPEED = 30.0  # track units a second, which cruise control holds
STEPS = 4  # steps of the simulation, 50 a second, between two pictures
LONGEST = 1200  # pictures of a drive: twice what a lap takes at this speed
_AHEAD = 9.0  # track units before the car that the driver aims at
_GAIN = 1.2  # steering a radian that the aim lies aside
_WHOLE = (WIDTH, 80)  # pixels of the whole scene, whose lower part is the dashboard


def simulator() -> Any:
  """Returns CarRacing's class, whose own pictures are only drawn when `camera` asks for one.

  Raises:
    ConfigError: if the extra is missing.
  """
  try:
    with no_warnings():  # pygame's own imports warn
      from gymnasium.envs.box2d.car_racing import CarRacing
  except Exception as e:  # gymnasium has an error of its own for it, which is no ImportError
    raise ConfigError(f"driving needs the extra `driving` (gymnasium with Box2D): pip install -e .[driving] ({e})") from None

  class Quiet(CarRacing):
    """Leaves out the picture that each step makes, which takes nine tenths of its time."""

    def _render(self, mode: str) -> Any:
      return np.zeros((96, 96, 3), np.uint8) if mode == "state_pixels" else super()._render(mode)

    def camera(self) -> np.ndarray:
      """Returns the scene before the car without the dashboard, uint8 [66, 200, 3]; twice as fine across as along."""
      super()._render("state_pixels")
      return self._create_image_array(self.surf, _WHOLE)[:HEIGHT].copy()

    def portrait(self) -> np.ndarray:
      """Returns the scene as a person would see it, uint8 [400, 600, 3]."""
      return super()._render("rgb_array")

  return Quiet


class Road:
  """One track, and a car on it that holds its speed.

  Args:
    seed: of the track.
  """

  def __init__(self, seed: int) -> None:
    self._env = simulator()()
    self._env.reset(seed=seed)
    self._env.t = 1.0  # the camera's first second zooms
    self._centre = np.array([[x, y] for _, _, x, y in self._env.track])
    self.over = False

  @property
  def visited(self) -> float:
    """Share of the track's tiles that the car has been on."""
    return self._env.tile_visited_count / len(self._env.track)

  @property
  def offside(self) -> float:
    """Distance of the car from the middle of the road, in halves of its width: beyond 1 the car is on the grass."""
    from gymnasium.envs.box2d.car_racing import TRACK_WIDTH

    return float(np.linalg.norm(self._centre - self._position(), axis=1).min() / TRACK_WIDTH)

  def _position(self) -> np.ndarray:
    return np.array(self._env.car.hull.position)

  def picture(self) -> np.ndarray:
    """Returns what the camera sees, uint8 [66, 200, 3]."""
    return self._env.camera()

  def portrait(self) -> np.ndarray:
    """Returns a picture for people, uint8 [400, 600, 3]."""
    return self._env.portrait()

  def steering(self) -> float:
    """Returns what the driver that knows the track would do, from -1 (left) to 1: pure pursuit of a point of its middle.

    Source: Coulter 1992, "Implementation of the pure pursuit path tracking algorithm".
    """
    offset = self._centre - self._position()
    nearest = int(np.linalg.norm(offset, axis=1).argmin())
    ahead = np.roll(offset, -nearest, 0)
    aim = ahead[int(np.argmax(np.linalg.norm(ahead, axis=1) > _AHEAD))]
    heading = self._env.car.hull.angle  # 0 looks along +y, positive turns left
    right = np.array([np.cos(heading), np.sin(heading)])
    forward = np.array([-np.sin(heading), np.cos(heading)])
    return float(np.clip(_GAIN * np.arctan2(aim @ right, aim @ forward), -1.0, 1.0))

  def drive(self, steering: float) -> None:
    """Steers for `STEPS` steps of the simulation while cruise control holds the speed."""
    for _ in range(STEPS):
      if not self.over:
        speed = float(np.linalg.norm(np.array(self._env.car.hull.linearVelocity)))
        gas = float(np.clip(0.05 * (SPEED - speed), 0.0, 0.5))
        brake = float(np.clip(0.02 * (speed - SPEED - 2.0), 0.0, 0.5))
        _, _, self.over, _, _ = self._env.step(np.array([steering, gas, brake]))

  def close(self) -> None:
    """Frees the simulation."""
    self._env.close()
