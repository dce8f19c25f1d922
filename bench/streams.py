"""Bench: the robot's topics, and serialised messages whose values change as a real robot's do.

In: a stream, how many     Out: CDR bytes, the stamp at bytes 4..12 still to be set.

Noise has a sensor's resolution: full doubles where the source computes them (odometry, Imu, joints), whole
millimetres where a scanner measures them. So what compression saves here it also saves on a robot.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgetwin.clock import NS_PER_S, NS_PER_US
from edgetwin.ros.types import message_class

JOINTS = 7
BEAMS = 720
_VARIANTS = 2048  # more than any compressed block holds: none of it meets its own repetition
_VARIANTS_LARGE = 128
_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # after the encapsulation: every type here begins with its header


@dataclass(frozen=True, slots=True)
class Stream:
    """One topic of the load."""

    channel: str
    type_name: str
    rate_hz: int
    fields: tuple[str, ...] = ()  # absent: the whole message

    @property
    def topic(self) -> str:
        """ROS topic."""
        return f"/bench/{self.channel}"

    @property
    def period_us(self) -> int:
        """Time between two messages."""
        return 1_000_000 // self.rate_hz


ODOM: Final = "nav_msgs/msg/Odometry"
JOINT_STATE: Final = "sensor_msgs/msg/JointState"
IMU: Final = "sensor_msgs/msg/Imu"
SCAN: Final = "sensor_msgs/msg/LaserScan"
BATTERY: Final = "sensor_msgs/msg/BatteryState"
TEMPERATURE: Final = "sensor_msgs/msg/Temperature"

REFERENCE: Final = (
    Stream("odom", ODOM, 50),
    Stream("joint_states", JOINT_STATE, 100),
    Stream("imu", IMU, 200),
    Stream("scan", SCAN, 10),
    Stream("battery", BATTERY, 1),
)
SMALL: Final = (  # 2,000 small messages a second, for outages
    Stream("odom", ODOM, 200),
    Stream("joint_states", JOINT_STATE, 800),
    Stream("imu", IMU, 500),
    Stream("imu_arm", IMU, 500),
)
_READING = ("temperature", "variance")  # makes records of 200 B
SENSORS: Final = (Stream("motor", TEMPERATURE, 500, _READING), Stream("bearing", TEMPERATURE, 500, _READING))
LOADS: Final = {"reference": REFERENCE, "small": SMALL, "sensors": SENSORS}


def serialised(type_name: str, count: int | None = None) -> list[bytearray]:
    """Return different messages of a type, serialised."""
    from rclpy.serialization import serialize_message  # noqa: PLC0415  # the driver does not load ROS

    cls, noise = message_class(type_name), np.random.default_rng(1)
    count = count or (_VARIANTS_LARGE if type_name == SCAN else _VARIANTS)
    return [bytearray(serialize_message(_FILL[type_name](cls(), noise, turn))) for turn in range(count)]


def set_stamp(message: bytearray, stamp_us: int) -> None:
    """Write the header's stamp into a serialised message."""
    seconds, rest_ns = divmod(stamp_us * NS_PER_US, NS_PER_S)
    _STAMP.pack_into(message, _STAMP_AT, seconds, rest_ns)


def _odometry(message: Any, noise: np.random.Generator, turn: int) -> Any:
    angle = turn * 0.01
    message.header.frame_id, message.child_frame_id = "odom", "base_link"
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x = 5 * math.cos(angle) + noise.normal(0, 1e-3)
    pose.position.y = 5 * math.sin(angle) + noise.normal(0, 1e-3)
    pose.orientation.z, pose.orientation.w = math.sin(angle / 2), math.cos(angle / 2)
    twist.linear.x, twist.angular.z = 0.5 + noise.normal(0, 0.01), 0.1 + noise.normal(0, 0.01)
    for axis in range(0, 36, 7):
        message.pose.covariance[axis] = message.twist.covariance[axis] = 1e-3
    return message


def _joint_state(message: Any, noise: np.random.Generator, turn: int) -> Any:
    message.name = [f"arm_joint_{number}" for number in range(1, JOINTS + 1)]
    phases = np.arange(JOINTS) + turn * 0.01
    message.position = _floats(np.sin(phases) + noise.normal(0, 1e-4, JOINTS))
    message.velocity = _floats(np.cos(phases) + noise.normal(0, 1e-2, JOINTS))
    message.effort = _floats(noise.normal(5, 0.5, JOINTS))
    return message


def _imu(message: Any, noise: np.random.Generator, turn: int) -> Any:
    message.header.frame_id = "imu_link"
    angle = turn * 0.001
    message.orientation.z, message.orientation.w = math.sin(angle), math.cos(angle)
    for vector, means in ((message.angular_velocity, (0, 0, 0.1)), (message.linear_acceleration, (0, 0, 9.81))):
        vector.x, vector.y, vector.z = _floats(noise.normal(means, 0.02))
    for covariance in (message.orientation_covariance, message.angular_velocity_covariance):
        covariance[0] = covariance[4] = covariance[8] = 4e-4
    return message


def _scan(message: Any, noise: np.random.Generator, turn: int) -> Any:
    message.header.frame_id = "laser"
    message.angle_min, message.angle_max, message.angle_increment = -math.pi, math.pi, 2 * math.pi / BEAMS
    message.scan_time, message.range_min, message.range_max = 0.1, 0.1, 30.0
    walls = 4 + 2 * np.sin(np.arange(BEAMS) * 0.03 + turn * 0.05)
    message.ranges = _floats(np.round(walls + noise.normal(0, 0.01, BEAMS), 3))
    return message


def _battery(message: Any, noise: np.random.Generator, turn: int) -> Any:
    message.voltage, message.current = 25.2 - turn * 1e-4 + float(noise.normal(0, 0.01)), -3.0
    message.percentage, message.present, message.cell_voltage = 0.8, True, _floats(noise.normal(4.2, 0.01, 6))
    return message


def _temperature(message: Any, noise: np.random.Generator, turn: int) -> Any:
    message.header.frame_id = "motor"
    message.temperature = 40 + math.sin(turn * 0.01) + float(noise.normal(0, 0.1))
    message.variance = 0.01
    return message


def _floats(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]


_FILL: Final[dict[str, Callable[[Any, np.random.Generator, int], Any]]] = {
    ODOM: _odometry,
    JOINT_STATE: _joint_state,
    IMU: _imu,
    SCAN: _scan,
    BATTERY: _battery,
    TEMPERATURE: _temperature,
}
