"""Sim wing: the messages of the simulated robot.

In: what the body feels now     Out: ROS messages, made once and refilled.

Refilled, because a simulation must not heat the machine that it shares with the daemon.
"""

from __future__ import annotations

import array
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetwin.ros.types import message_class
from edgetwin.sim.physics import JOINT_NAMES, Body
from edgetwin.sim.route import ranges

_BEAMS = 720
_BEARINGS = np.linspace(-math.pi, math.pi, _BEAMS, endpoint=False)
_SCAN_S = 0.1
_RANGE_MIN_M = 0.05
_RANGE_MAX_M = 12.0
_RANGE_NOISE_M = 0.005
_GYRO_NOISE_RADPS = 0.002
_ACCEL_NOISE_MPS2 = 0.02
_GRAVITY_MPS2 = 9.80665


@dataclass(frozen=True, slots=True)
class Output:
    """One topic of the robot: published every `every_ticks` of the base rate."""

    topic: str
    type_name: str
    every_ticks: int
    sensor_qos: bool = False

    @property
    def name(self) -> str:
        """The topic as the command line names it."""
        return self.topic.removeprefix("/")


OUTPUTS = (
    Output("/imu", "sensor_msgs/msg/Imu", 1, sensor_qos=True),
    Output("/joint_states", "sensor_msgs/msg/JointState", 2),
    Output("/odom", "nav_msgs/msg/Odometry", 4),
    Output("/scan", "sensor_msgs/msg/LaserScan", 20, sensor_qos=True),
    Output("/battery_state", "sensor_msgs/msg/BatteryState", 200),
)


class Messages:
    """The messages, made once; each fill method writes what the body feels now into its own."""

    def __init__(self, body: Body) -> None:
        self._body = body
        made = {output.name: message_class(output.type_name)() for output in OUTPUTS}
        self.imu, self.joint_states, self.odom = made["imu"], made["joint_states"], made["odom"]
        self.scan, self.battery_state = made["scan"], made["battery_state"]
        frames = {"imu": "imu_link", "joint_states": "", "odom": "odom", "scan": "laser", "battery_state": "base_link"}
        for name, message in made.items():
            message.header.frame_id = frames[name]
        self.odom.child_frame_id = "base_link"
        self.joint_states.name = list(JOINT_NAMES)
        self.scan.angle_min, self.scan.angle_max = -math.pi, float(_BEARINGS[-1])
        self.scan.angle_increment = math.tau / _BEAMS
        self.scan.scan_time, self.scan.range_min, self.scan.range_max = _SCAN_S, _RANGE_MIN_M, _RANGE_MAX_M
        self.battery_state.present = True

    def fill_odom(self) -> Any:
        """Return the odometry: pose in `odom`, twist in `base_link`."""
        body, odom = self._body, self.odom
        pose, twist = odom.pose.pose, odom.twist.twist
        pose.position.x, pose.position.y = body.pose.x_m, body.pose.y_m
        pose.orientation.z, pose.orientation.w = math.sin(body.pose.yaw_rad / 2), math.cos(body.pose.yaw_rad / 2)
        twist.linear.x, twist.angular.z = body.linear_mps, body.angular_radps
        return odom

    def fill_joint_states(self) -> Any:
        """Return the joints, effort with noise."""
        joints = self._body.joints()
        message = self.joint_states
        message.position, message.velocity, message.effort = joints.positions, joints.velocities, joints.efforts
        return message

    def fill_imu(self) -> Any:
        """Return what the gyroscope and the accelerometer feel: turning, pushing, gravity."""
        body, imu = self._body, self.imu
        noise = body.noise(6, 1.0)
        turn, push = imu.angular_velocity, imu.linear_acceleration
        turn.x, turn.y = noise[0] * _GYRO_NOISE_RADPS, noise[1] * _GYRO_NOISE_RADPS
        turn.z = body.angular_radps + noise[2] * _GYRO_NOISE_RADPS
        push.x = body.linear_mps2 + noise[3] * _ACCEL_NOISE_MPS2
        push.y = body.linear_mps * body.angular_radps + noise[4] * _ACCEL_NOISE_MPS2
        push.z = _GRAVITY_MPS2 + noise[5] * _ACCEL_NOISE_MPS2
        imu.orientation.z, imu.orientation.w = math.sin(body.pose.yaw_rad / 2), math.cos(body.pose.yaw_rad / 2)
        return imu

    def fill_scan(self) -> Any:
        """Return one turn of the laser."""
        measured = ranges(self._body.pose, _BEARINGS) + self._body.noise(_BEAMS, _RANGE_NOISE_M)
        self.scan.ranges = array.array("f", measured.astype(np.float32).tobytes())
        return self.scan

    def fill_battery_state(self) -> Any:
        """Return the battery; current is negative while it gives."""
        body, battery = self._body, self.battery_state
        battery.voltage, battery.percentage = body.battery_v, body.battery_fraction
        battery.current = -body.power_w / body.battery_v
        battery.power_supply_status = battery.POWER_SUPPLY_STATUS_DISCHARGING
        return battery
