"""The simulated robot: its physics without ROS, then the node as a real process."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data

from edgetwin.clock import SystemClock, seconds_to_ns
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class
from edgetwin.sim import physics, route
from edgetwin.sim.physics import Body, Pose, advance
from edgetwin.sim.ports import free_domain
from edgetwin.sim.robot_messages import OUTPUTS
from edgetwin.sim.route import Driver, ranges, within_walls

_STEP_S = 0.005
_CLOCK = SystemClock()


def _drive(body: Body, seconds: float, linear: float, angular: float) -> None:
    for _ in range(round(seconds / _STEP_S)):
        body.step(_STEP_S, linear, angular)


@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_an_arc_is_integrated_exactly_whatever_the_step(steps: int) -> None:
    """A quarter of a circle of 2 m radius ends at (2, 2), in one step or in a thousand."""
    pose = Pose(0.0, 0.0, 0.0)
    for _ in range(steps):
        pose = advance(pose, 1.0, 0.5, math.pi / steps)

    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((2.0, 2.0, math.pi / 2), abs=1e-9)


def test_a_straight_line_is_the_limit_of_an_arc() -> None:
    """A turn too small to have a radius is driven straight ahead, without a division by zero."""
    straight = advance(Pose(1.0, 1.0, math.pi / 2), 2.0, 0.0, 3.0)
    nearly = advance(Pose(1.0, 1.0, math.pi / 2), 2.0, 1e-8, 3.0)

    assert (straight.x_m, straight.y_m) == pytest.approx((1.0, 7.0))
    assert (nearly.x_m, nearly.y_m) == pytest.approx((straight.x_m, straight.y_m), abs=1e-6)


def test_the_robot_stops_within_its_acceleration_limit() -> None:
    """From 0.5 m/s at 0.5 m/s2 it takes one second and a quarter of a metre, and then it stands."""
    body = Body()
    _drive(body, 2.0, 0.5, 0.0)
    start_m = body.pose.x_m
    _drive(body, 1.0, 0.0, 0.0)
    braked_m = body.pose.x_m - start_m
    _drive(body, 1.0, 0.0, 0.0)

    assert braked_m == pytest.approx(0.25, abs=0.01)
    assert body.linear_mps == 0.0
    assert body.pose.x_m == start_m + braked_m


@pytest.mark.parametrize("wanted", [1e9, -1e9, math.inf, math.nan])
def test_no_command_exceeds_the_limits(wanted: float) -> None:
    """Velocity and acceleration stay within the limits for any command, also for none that is a number."""
    body = Body()
    for _ in range(1000):
        before = body.linear_mps
        body.step(_STEP_S, wanted, wanted)
        assert abs(body.linear_mps - before) <= physics.LINEAR_ACCEL_MAX_MPS2 * _STEP_S + 1e-12

    assert abs(body.linear_mps) <= physics.LINEAR_MAX_MPS
    assert abs(body.angular_radps) <= physics.ANGULAR_MAX_RADPS


def test_effort_follows_the_load() -> None:
    """Both wheels push while the robot speeds up, less while it rolls, and hold back while it brakes."""
    body = Body(seed=3)
    _drive(body, 0.5, 0.8, 0.0)
    speeding = body.joints().efforts[:2]
    _drive(body, 2.0, 0.8, 0.0)
    rolling = body.joints().efforts[:2]
    _drive(body, 0.5, 0.0, 0.0)
    braking = body.joints().efforts[:2]

    assert min(speeding) > max(rolling) > 0.0
    assert max(braking) < 0.0


def test_a_turn_in_place_moves_the_wheels_apart() -> None:
    """Turning left by itself, the left wheel goes back, the right one forth, and the robot stays."""
    body = Body()
    _drive(body, 1.0, 0.0, 1.0)
    left, right = body.joints().positions[:2]

    assert left == pytest.approx(-right)
    assert right > 0.0
    assert (body.pose.x_m, body.pose.y_m) == (0.0, 0.0)


def test_only_the_left_wheel_wears_out_and_it_costs_effort() -> None:
    """Sound until told; then its effort rises with the wear, up to its end; the right one stays as it was."""
    body = Body(seed=4)
    _drive(body, 4.0, 0.5, 0.0)
    sound, sound_w = body.joints().efforts[:2], body.power_w
    body.wear_out()
    _drive(body, physics.WEAR_S / 2, 0.5, 0.0)
    half, half_wear = body.joints().efforts[:2], body.wear
    _drive(body, physics.WEAR_S, 0.5, 0.0)
    worn = body.joints().efforts[:2]

    assert half_wear == pytest.approx(0.5, abs=0.01)
    assert body.wear == 1.0
    assert sound[0] == pytest.approx(sound[1], abs=0.15)
    assert worn[0] > half[0] > 2 * sound[0]
    assert worn[1] == pytest.approx(sound[1], abs=0.15)
    assert body.power_w > sound_w


def test_the_battery_falls_faster_under_load() -> None:
    """Energy only ever falls, and a driving robot needs more than a standing one."""
    standing, driving = Body(), Body()
    _drive(standing, 10.0, 0.0, 0.0)
    _drive(driving, 10.0, 0.8, 0.0)

    assert driving.energy_wh < standing.energy_wh < Body().energy_wh
    assert driving.battery_v < Body().battery_v


def test_the_same_seed_gives_the_same_robot() -> None:
    """Noise comes from the seed alone."""
    twins, other = [Body(seed=5), Body(seed=5)], Body(seed=6)
    for body in (*twins, other):
        _drive(body, 0.5, 0.5, 0.2)

    assert twins[0].joints() == twins[1].joints()
    assert other.joints() != twins[0].joints()


def _wander(seconds: float) -> tuple[list[Pose], list[float]]:
    body, driver = Body(start=route.START), Driver()
    poses, speeds = [], []
    for _ in range(round(seconds / _STEP_S)):
        body.step(_STEP_S, *driver.wanted(body.pose, time_s=body.time_s))
        poses.append(body.pose)
        speeds.append(body.linear_mps)
    return poses, speeds


def test_left_alone_the_robot_goes_round_and_rests() -> None:
    """In five minutes it visits all four quarters, never leaves the walls, and stands for a fair share of the time."""
    poses, speeds = _wander(300.0)
    quarters = {(pose.x_m > 1.0, pose.y_m > 0.5) for pose in poses if abs(pose.x_m) > 1.0 and abs(pose.y_m) > 0.5}
    still = sum(speed == 0.0 for speed in speeds) / len(speeds)

    assert len(quarters) == 4
    assert all(within_walls(pose) == pose for pose in poses)
    assert 0.15 < still < 0.6


def test_a_command_rules_for_half_a_second_then_the_robot_stops() -> None:
    """Silence is a stop; only after a while does the robot go its own way again."""
    driver = Driver()
    driver.command(0.3, -0.2, time_s=10.0)
    wanted = [driver.wanted(route.START, time_s=time_s) for time_s in (10.0, 10.5, 10.51, 13.4, 14.0)]

    assert wanted[:4] == [(0.3, -0.2), (0.3, -0.2), (0.0, 0.0), (0.0, 0.0)]
    assert wanted[4][0] > 0.0


def test_beams_end_at_the_walls() -> None:
    """Ahead, left, behind and right of a robot at (1, 1) that looks north; and every end lies on a wall."""
    pose = Pose(1.0, 1.0, math.pi / 2)
    bearings = np.linspace(-math.pi, math.pi, 721)
    measured = ranges(pose, bearings)
    x = np.abs(pose.x_m + measured * np.cos(bearings + pose.yaw_rad))
    y = np.abs(pose.y_m + measured * np.sin(bearings + pose.yaw_rad))

    assert measured[[360, 540, 0, 180]] == pytest.approx([2.0, 5.0, 4.0, 3.0])
    assert np.all(np.isclose(x, route.ROOM_HALF_X_M) | np.isclose(y, route.ROOM_HALF_Y_M))
    assert x.max() <= route.ROOM_HALF_X_M + 1e-9
    assert y.max() <= route.ROOM_HALF_Y_M + 1e-9


class _Listener:
    """A node that polls: counts messages by topic, keeps the newest."""

    def __init__(self, *, stamped: bool = False) -> None:
        self.node = open_node("sim_test")
        self.counts = dict.fromkeys((output.name for output in OUTPUTS), 0)
        self.newest: dict[str, Any] = {}
        self._taken = []
        for output in OUTPUTS:
            kind = message_class(output.type_name)
            subscription = self.node.create_subscription(kind, output.topic, lambda _: None, qos_profile_sensor_data)
            self._taken.append((output.name, kind, subscription.handle))
        message = message_class("geometry_msgs/msg/TwistStamped" if stamped else "geometry_msgs/msg/Twist")()
        self._message, self._twist = message, message.twist if stamped else message
        self._publisher = self.node.create_publisher(type(message), "/cmd_vel", 10)

    def poll(self) -> None:
        """Take what has come."""
        for name, kind, handle in self._taken:
            with handle:
                while (taken := handle.take_message(kind, False)) is not None:  # noqa: FBT003  # not raw
                    self.counts[name] += 1
                    self.newest[name] = taken[0]

    def command(self, linear: float) -> None:
        """Publish one Twist."""
        self._twist.linear.x = linear
        self._publisher.publish(self._message)


@pytest.fixture
def listener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Listener]:
    """A listening node in a ROS domain of this process; with a parameter, one that commands by TwistStamped."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain(os.getpid())))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    listening = _Listener(stamped=getattr(request, "param", False))
    yield listening
    close_node(listening.node)


def _poll(listener: _Listener, until: Any, *, seconds: float, command: float | None = None) -> bool:
    deadline_ns = _CLOCK.now_ns() + seconds_to_ns(seconds)
    while not (done := bool(until())) and _CLOCK.now_ns() < deadline_ns:
        if command is not None:
            listener.command(command)
        listener.poll()
        time.sleep(0.02)
    return done


@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")  # rclpy's parser uses them
def test_the_node_publishes_obeys_and_ends_on_sigterm(listener: _Listener) -> None:
    """Every topic comes at its rate with fresh stamps, /cmd_vel is obeyed, SIGTERM ends the process with 0."""
    command = [sys.executable, "-m", "edgetwin.sim.robot", "--seed", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert _poll(listener, lambda: all(listener.counts.values()), seconds=20.0), listener.counts
            before, start_ns = dict(listener.counts), _CLOCK.now_ns()
            _poll(listener, lambda: False, seconds=3.0)
            seconds = (_CLOCK.now_ns() - start_ns) / 1e9
            rates = {name: (count - before[name]) / seconds for name, count in listener.counts.items()}
            stamp = listener.newest["odom"].header.stamp
            age_s = _CLOCK.stamp_ns() / 1e9 - stamp.sec - stamp.nanosec / 1e9
            backwards = _poll(
                listener, lambda: listener.newest["odom"].twist.twist.linear.x == -0.2, seconds=10.0, command=-0.2
            )
            stopped = _poll(listener, lambda: listener.newest["odom"].twist.twist.linear.x == 0.0, seconds=10.0)
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=10)

    promised = {"imu": 200, "joint_states": 100, "odom": 50, "scan": 10, "battery_state": 1}

    assert rates == pytest.approx(promised, rel=0.4)
    assert 0.0 <= age_s < 0.5
    assert backwards
    assert stopped
    assert len(listener.newest["scan"].ranges) == 720
    assert len(listener.newest["joint_states"].effort) == len(listener.newest["joint_states"].name) == 7
    assert (process.returncode, said) == (0, b"")


@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
@pytest.mark.parametrize("listener", [True], indirect=True)
def test_the_node_obeys_stamped_commands_and_wears_out_on_a_signal(listener: _Listener) -> None:
    """With --twist-stamped a TwistStamped is obeyed; SIGUSR1 is no end, and the left wheel soon costs more."""
    command = [sys.executable, "-m", "edgetwin.sim.robot", "--twist-stamped", "--without", "scan"]

    def odom_mps() -> float:
        return float(listener.newest["odom"].twist.twist.linear.x) if "odom" in listener.newest else 0.0

    def worn() -> bool:
        left, right = listener.newest["joint_states"].effort[:2]
        return float(abs(left)) > 2.0 * float(abs(right)) > 0.2

    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            backwards = _poll(listener, lambda: odom_mps() == -0.2, seconds=20.0, command=-0.2)
            process.send_signal(signal.SIGUSR1)
            wears = _poll(listener, worn, seconds=20.0, command=-0.2)
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=10)

    assert (backwards, wears) == (True, True)
    assert (process.returncode, said) == (0, b"")
