"""Sim wing: where the simulated robot goes, and what its laser sees there.

In: pose, time, the last command     Out: wanted velocities; ranges to the walls.
Pure. A rectangular room around the origin; with nobody in command the robot drives round it and
rests at every corner, so that a deadband has something to hold back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetwin.sim.physics import COMMAND_TIMEOUT_S, LINEAR_ACCEL_MAX_MPS2, Pose, wrap

ROOM_HALF_X_M = 4.0
ROOM_HALF_Y_M = 3.0
START = Pose(0.0, -1.5, 0.0)

_CORNERS = ((2.0, -1.5), (2.5, 1.0), (-2.0, 1.5), (-2.5, -1.0))
_REST_S = 2.5
_REACHED_M = 0.05
_CRUISE_MPS = 0.5
_TURN_GAIN = 2.0
_TURN_MAX_RADPS = 1.0
_DRIVE_WITHIN_RAD = 0.6
_BRAKE_SHARE = 0.7  # brakes a little early: the ramp must not pass the corner
_BODY_RADIUS_M = 0.3
_TAKE_OVER_S = 3.0

FloatArray = npt.NDArray[np.float64]


class Driver:
    """Chooses velocities: a command while it is fresh, then a stop, then the round again."""

    def __init__(self) -> None:
        self._corner = 0
        self._rest_until_s = 0.0
        self._commanded_s = -math.inf
        self._command = (0.0, 0.0)

    def command(self, linear_mps: float, angular_radps: float, *, time_s: float) -> None:
        """Take a command; it holds for COMMAND_TIMEOUT_S."""
        self._command = (linear_mps, angular_radps)
        self._commanded_s = time_s

    def wanted(self, pose: Pose, *, time_s: float) -> tuple[float, float]:
        """Return the wanted (linear [m/s], angular [rad/s])."""
        silence_s = time_s - self._commanded_s
        if silence_s <= COMMAND_TIMEOUT_S:
            return self._command
        if silence_s <= COMMAND_TIMEOUT_S + _TAKE_OVER_S or time_s < self._rest_until_s:
            return 0.0, 0.0
        x, y = _CORNERS[self._corner]
        distance = math.hypot(x - pose.x_m, y - pose.y_m)
        if distance < _REACHED_M:
            self._corner = (self._corner + 1) % len(_CORNERS)
            self._rest_until_s = time_s + _REST_S
            return 0.0, 0.0
        error = wrap(math.atan2(y - pose.y_m, x - pose.x_m) - pose.yaw_rad)
        turn = max(-_TURN_MAX_RADPS, min(_TURN_MAX_RADPS, _TURN_GAIN * error))
        brake_mps = math.sqrt(2 * LINEAR_ACCEL_MAX_MPS2 * _BRAKE_SHARE * distance)
        ahead = math.cos(error) if abs(error) < _DRIVE_WITHIN_RAD else 0.0
        return min(_CRUISE_MPS, brake_mps) * ahead, turn


def within_walls(pose: Pose) -> Pose:
    """Return the pose, or the nearest one that the walls allow."""
    x_max, y_max = ROOM_HALF_X_M - _BODY_RADIUS_M, ROOM_HALF_Y_M - _BODY_RADIUS_M
    return Pose(max(-x_max, min(x_max, pose.x_m)), max(-y_max, min(y_max, pose.y_m)), pose.yaw_rad)


def ranges(pose: Pose, bearings_rad: FloatArray) -> FloatArray:
    """Return the distance to the wall along every bearing [m].

    Args:
        pose: Somewhere inside the room.
        bearings_rad: float64 (beams,), relative to the robot's nose.
    """
    angles = bearings_rad + pose.yaw_rad
    across, along = np.cos(angles), np.sin(angles)
    with np.errstate(divide="ignore"):  # a beam parallel to a wall meets it at infinity
        to_x: Any = (np.copysign(ROOM_HALF_X_M, across) - pose.x_m) / across
        to_y: Any = (np.copysign(ROOM_HALF_Y_M, along) - pose.y_m) / along
    nearest: FloatArray = np.minimum(to_x, to_y)
    return nearest
