"""What the command lane reads out of the robot's messages: a value, or something the gate counts as missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState, Imu, Joy, LaserScan
from std_msgs.msg import Bool

from edgetwin.errors import FieldPathError
from edgetwin.ros.robot_messages import (
    charge_reader,
    drive_reader,
    pose_reader,
    pressed_reader,
    scan_reader,
    speed_reader,
)

NOW_NS = 1_700_000_000_000_000_000


def odometry(covariance: dict[int, float]) -> Any:
    """Return an Odometry at (1, 2), turned left by 90 degrees, driving 0.5 m/s."""
    message = Odometry()
    message.pose.pose.position.x, message.pose.pose.position.y = 1.0, 2.0
    message.pose.pose.orientation.z = message.pose.pose.orientation.w = math.sqrt(0.5)
    for index, value in covariance.items():
        message.pose.covariance[index] = value
    message.twist.twist.linear.x, message.twist.twist.angular.z = 0.5, -0.25
    return message


@pytest.mark.parametrize(
    ("covariance", "sigma_m"),
    [
        ({}, 0.0),
        ({0: 0.04, 7: 0.01}, 0.2),
        ({0: 0.01, 7: 0.09}, 0.3),
        ({0: 0.05, 7: 0.05, 1: 0.04, 6: 0.04}, 0.3),
        ({0: math.nan}, math.nan),
        ({0: math.inf}, math.nan),
        ({7: -1.0}, math.nan),
    ],
)
def test_a_pose_carries_the_larger_deviation(covariance: dict[int, float], sigma_m: float) -> None:
    """Along the longer axis of the ellipse; one that makes no sense is no number."""
    raw = serialize_message(odometry(covariance))
    pose = pose_reader(Odometry)(raw)
    speed = speed_reader(Odometry)

    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((1.0, 2.0, math.pi / 2))
    assert pose.sigma_m == pytest.approx(sigma_m, nan_ok=True)
    assert speed is not None
    assert (speed(raw).linear_mps, speed(raw).angular_radps) == (0.5, -0.25)


def test_a_pose_may_come_without_covariance_and_without_speed() -> None:
    """PoseStamped has neither, PoseWithCovarianceStamped no speed, Imu no position at all."""
    message = PoseWithCovarianceStamped()
    message.pose.covariance[0] = 0.25

    assert pose_reader(PoseStamped)(serialize_message(PoseStamped())).sigma_m == 0.0
    assert pose_reader(PoseWithCovarianceStamped)(serialize_message(message)).sigma_m == 0.5
    assert speed_reader(PoseStamped) is None
    with pytest.raises(FieldPathError, match="pose_channel"):
        pose_reader(Imu)


@pytest.mark.parametrize(
    ("percentage", "charge"),
    [
        (0.5, 0.5),
        (0.0, 0.0),
        (1.0, 1.0),
        (87.0, math.nan),
        (-0.1, math.nan),
        (math.nan, math.nan),
        (math.inf, math.nan),
    ],
)
def test_a_charge_lies_between_0_and_1(percentage: float, charge: float) -> None:
    """A driver that means percent would pass for a full battery."""
    read = charge_reader(BatteryState)

    assert read(serialize_message(BatteryState(percentage=percentage))) == pytest.approx(charge, nan_ok=True)


def test_a_bool_is_pressed_or_not() -> None:
    """True is pressed."""
    assert pressed_reader(Bool)(serialize_message(Bool(data=True)))
    assert not pressed_reader(Bool)(serialize_message(Bool(data=False)))


def test_somebody_drives_who_is_not_at_rest() -> None:
    """Any component of a twist, a stick beyond its play, a button; NaN counts as driving."""
    twist, stamped, nan = Twist(), TwistStamped(), Twist()
    twist.angular.z, stamped.twist.linear.x, nan.linear.y = -0.1, 0.1, math.nan

    assert not drive_reader(Twist)(serialize_message(Twist()))
    assert not drive_reader(TwistStamped)(serialize_message(TwistStamped()))
    assert drive_reader(Twist)(serialize_message(twist))
    assert drive_reader(Twist)(serialize_message(nan))
    assert drive_reader(TwistStamped)(serialize_message(stamped))
    assert not drive_reader(Joy)(serialize_message(Joy(axes=[0.05, -0.05], buttons=[0, 0])))
    assert drive_reader(Joy)(serialize_message(Joy(axes=[0.05, -0.2], buttons=[])))
    assert drive_reader(Joy)(serialize_message(Joy(axes=[], buttons=[0, 1])))
    assert drive_reader(Joy)(serialize_message(Joy(axes=[math.nan], buttons=[])))


def scan(ranges: list[float], *, stamp_ns: int = NOW_NS, increment: float = math.pi / 2) -> bytes:
    """Return a scan that begins straight ahead and turns left."""
    message = LaserScan(angle_min=0.0, angle_increment=increment, range_min=0.2, range_max=20.0)
    message.ranges = ranges
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return bytes(serialize_message(message))


def test_a_scan_is_points_ahead_and_to_the_left() -> None:
    """Near ones; what is farther than the reach, infinite, invalid or beyond the sensor's range is left out."""
    read = scan_reader(LaserScan, 5.0)
    points = read(scan([1.0, 2.0, 6.0, math.inf, math.nan, 0.0, -1.0, 30.0]), NOW_NS)

    assert points is not None
    assert np.allclose(points, [(1.0, 0.0), (0.0, 2.0)], atol=1e-6)


def test_what_touches_the_sensor_is_kept() -> None:
    """Below range_min: no reason to drive on."""
    points = scan_reader(LaserScan, 5.0)(scan([0.05]), NOW_NS)

    assert points is not None
    assert np.allclose(points, [(0.05, 0.0)])


@pytest.mark.parametrize("count", [4, 720])
def test_an_empty_field_is_trusted_and_blind_eyes_are_not(count: int) -> None:
    """All infinite: nothing is there. All NaN, all zero, no range at all, from the future: nobody can tell."""
    read = scan_reader(LaserScan, 5.0)

    assert read(scan([math.inf] * count), NOW_NS) == ()
    assert read(scan([math.nan] * count), NOW_NS) is None
    assert read(scan([0.0] * count), NOW_NS) is None
    assert read(scan([]), NOW_NS) is None
    assert read(scan([1.0] * count, increment=math.nan), NOW_NS) is None
    assert read(scan([1.0] * count, stamp_ns=NOW_NS + 200_000_000), NOW_NS) is None
    assert read(scan([math.nan] * (count - 1) + [1.0], stamp_ns=NOW_NS - 10**12), NOW_NS) is not None
