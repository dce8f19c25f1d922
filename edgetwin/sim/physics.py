"""Sim wing: how the simulated robot moves, and what its sensors would feel.

In: commanded velocities, a time step, a seed     Out: pose, wheels, efforts, accelerations, battery.
Pure: no clock, no ROS; the same seed and steps give the same robot. SI units throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LINEAR_MAX_MPS = 0.8
ANGULAR_MAX_RADPS = 1.5
LINEAR_ACCEL_MAX_MPS2 = 0.5
ANGULAR_ACCEL_MAX_RADPS2 = 2.0
WHEEL_RADIUS_M = 0.1
TRACK_M = 0.4
COMMAND_TIMEOUT_S = 0.5
WEAR_S = 8.0  # from the first sign to the end: a year in a demo
STRAIGHT_RADPS = 1e-9  # below this an arc's radius is too large to compute with

JOINT_NAMES = (
    "left_wheel_joint",
    "right_wheel_joint",
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_joint",
    "gripper_joint",
)

_MASS_KG = 20.0
_INERTIA_KGM2 = 0.8
_ROLLING_TORQUE_NM = 0.15
_WORN_FACTOR = 6.0  # what the left wheel's rolling costs at the end, against a sound one
_EFFORT_NOISE_NM = 0.02
_IDLE_W = 18.0
_MOTOR_EFFICIENCY = 0.6
_BATTERY_WH = 120.0
_BATTERY_FULL_V = 25.2
_BATTERY_EMPTY_V = 21.0
_BATTERY_OHM = 0.05
_J_PER_WH = 3600.0

# Arm joints sway: (centre [rad], amplitude [rad], period [s], gravity torque [Nm], inertia [kg m2]).
_ARM = (
    (0.0, 0.40, 11.0, 0.0, 0.30),
    (0.6, 0.20, 7.0, 6.0, 0.25),
    (-0.9, 0.30, 5.0, 3.0, 0.15),
    (0.2, 0.50, 3.0, 0.8, 0.05),
    (0.0, 0.02, 2.0, 0.2, 0.01),
)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the robot stands, in the frame `odom`."""

    x_m: float
    y_m: float
    yaw_rad: float


@dataclass(frozen=True, slots=True)
class Joints:
    """One reading of all joints, in the order of JOINT_NAMES: [rad], [rad/s], [Nm]."""

    positions: list[float]
    velocities: list[float]
    efforts: list[float]


def advance(pose: Pose, linear_mps: float, angular_radps: float, step_s: float) -> Pose:
    """Return the pose after driving a circular arc at constant velocities: exact for any step."""
    yaw = pose.yaw_rad + angular_radps * step_s
    if abs(angular_radps) < STRAIGHT_RADPS:
        distance = linear_mps * step_s
        return Pose(pose.x_m + distance * math.cos(yaw), pose.y_m + distance * math.sin(yaw), wrap(yaw))
    radius = linear_mps / angular_radps
    x = pose.x_m + radius * (math.sin(yaw) - math.sin(pose.yaw_rad))
    y = pose.y_m - radius * (math.cos(yaw) - math.cos(pose.yaw_rad))
    return Pose(x, y, wrap(yaw))


def wrap(angle_rad: float) -> float:
    """Return the angle in [-pi, pi]."""
    return math.remainder(angle_rad, math.tau)


def approach(current: float, target: float, step_max: float) -> float:
    """Return `current` moved towards `target` by at most `step_max`."""
    return current + max(-step_max, min(step_max, target - current))


def limited(value: float, limit: float) -> float:
    """Return `value` cut to [-limit, limit]; not a number becomes 0: a robot must not take it for a speed."""
    return max(-limit, min(limit, value)) if math.isfinite(value) else 0.0


class Body:
    """A differential-drive base with an arm and a battery; step() moves its time on.

    Attributes:
        pose: Where it stands.
        linear_mps: Forward velocity.
        angular_radps: Turning velocity, counter-clockwise positive.
        linear_mps2: Forward acceleration of the last step.
        time_s: Simulated time since the start.
        energy_wh: What the battery still holds.
        power_w: What it gave during the last step.
        wear: Of the left wheel's motor, 0 sound to 1 at its end.
    """

    def __init__(self, seed: int = 0, *, start: Pose | None = None) -> None:
        self.pose = start or Pose(0.0, 0.0, 0.0)
        self.linear_mps = 0.0
        self.angular_radps = 0.0
        self.linear_mps2 = 0.0
        self.time_s = 0.0
        self.energy_wh = _BATTERY_WH
        self.power_w = _IDLE_W
        self.wear = 0.0
        self._wears = False
        self._angular_radps2 = 0.0
        self._wheels_rad = [0.0, 0.0]
        self._random = np.random.default_rng(seed)

    def step(self, step_s: float, linear_mps: float, angular_radps: float) -> None:
        """Drive for `step_s` towards the wanted velocities, within speed and acceleration limits."""
        linear = approach(self.linear_mps, limited(linear_mps, LINEAR_MAX_MPS), LINEAR_ACCEL_MAX_MPS2 * step_s)
        angular = approach(
            self.angular_radps, limited(angular_radps, ANGULAR_MAX_RADPS), ANGULAR_ACCEL_MAX_RADPS2 * step_s
        )
        self.linear_mps2 = (linear - self.linear_mps) / step_s
        self._angular_radps2 = (angular - self.angular_radps) / step_s
        self.linear_mps, self.angular_radps = linear, angular
        self.pose = advance(self.pose, linear, angular, step_s)
        speeds = self._wheel_speeds()
        for wheel, speed in enumerate(speeds):
            self._wheels_rad[wheel] += speed * step_s
        mechanical_w = sum(abs(torque * speed) for torque, speed in zip(self._wheel_torques(), speeds, strict=True))
        self.power_w = _IDLE_W + mechanical_w / _MOTOR_EFFICIENCY
        self.energy_wh = max(0.0, self.energy_wh - self.power_w * step_s / _J_PER_WH)
        self.time_s += step_s
        if self._wears:
            self.wear = min(1.0, self.wear + step_s / WEAR_S)

    def wear_out(self) -> None:
        """Let the left wheel's motor wear out from here on, within WEAR_S."""
        self._wears = True

    def joints(self) -> Joints:
        """Return what the joint encoders and motor drivers report now; efforts carry noise."""
        positions, velocities, efforts = list(self._wheels_rad), self._wheel_speeds(), self._wheel_torques()
        for centre, amplitude, period, gravity, inertia in _ARM:
            rate = math.tau / period
            sway = amplitude * math.sin(rate * self.time_s)
            positions.append(centre + sway)
            velocities.append(amplitude * rate * math.cos(rate * self.time_s))
            efforts.append(gravity * math.cos(centre + sway) - inertia * rate * rate * sway)
        noise = self.noise(len(efforts), _EFFORT_NOISE_NM)
        return Joints(positions, velocities, [effort + error for effort, error in zip(efforts, noise, strict=True)])

    def noise(self, count: int, sigma: float) -> list[float]:
        """Return `count` samples of white noise."""
        samples: list[float] = (self._random.standard_normal(count) * sigma).tolist()
        return samples

    @property
    def battery_fraction(self) -> float:
        """How full the battery is, 0..1."""
        return self.energy_wh / _BATTERY_WH

    @property
    def battery_v(self) -> float:
        """Voltage under the present load."""
        open_v = _BATTERY_EMPTY_V + (_BATTERY_FULL_V - _BATTERY_EMPTY_V) * self.battery_fraction
        return open_v - _BATTERY_OHM * self.power_w / open_v

    def _wheel_speeds(self) -> list[float]:
        turn = self.angular_radps * TRACK_M / 2
        return [(self.linear_mps - turn) / WHEEL_RADIUS_M, (self.linear_mps + turn) / WHEEL_RADIUS_M]

    def _wheel_torques(self) -> list[float]:
        push_n = _MASS_KG * self.linear_mps2 / 2
        turn_n = _INERTIA_KGM2 * self._angular_radps2 / TRACK_M
        frictions = (_ROLLING_TORQUE_NM * (1.0 + (_WORN_FACTOR - 1.0) * self.wear), _ROLLING_TORQUE_NM)
        speeds = self._wheel_speeds()
        rolling = [math.copysign(own, speed) if speed else 0.0 for own, speed in zip(frictions, speeds, strict=True)]
        return [(push_n - turn_n) * WHEEL_RADIUS_M + rolling[0], (push_n + turn_n) * WHEEL_RADIUS_M + rolling[1]]
