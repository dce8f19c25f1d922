"""What the gate knows of the robot, from real publishers: nothing that is missing, old or pressed lets it move."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import BatteryState, LaserScan
from std_msgs.msg import Bool

from edgetwin.gate.limits import Fence, StopZone
from edgetwin.ros.robot_inputs import Source, Sources
from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Robot, until
from tests.integration.lane_lab import LIMITS, Base, Operator, Rig

MS = 1_000_000


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


@contextmanager
def said(
    robot: Robot, message_class: Any, topic: str, make: Callable[[], Any], period_s: float = 0.05
) -> Iterator[None]:
    """Publish again and again meanwhile."""
    publisher, ended = robot.publisher(message_class, topic, 5), threading.Event()

    def speak() -> None:
        while not ended.wait(period_s):
            publisher.publish(make())

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
        robot.node.destroy_publisher(publisher)


def name() -> str:
    """Return a topic of this test's own."""
    return f"/input_{uuid4().hex[:8]}"


def refused_at_last(operator: Operator, code: str) -> None:
    """Wait until a move is refused with this code; with none, until one is not refused."""

    def as_wanted() -> bool:
        ack = operator.move(0.3)
        return bool(ack["code"] == code if code else ack["verdict"] != "REJECTED")

    until(as_wanted, f"a move answered with {code or 'no refusal'}")


def test_a_pressed_estop_stops_and_a_silent_one_counts_as_pressed(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Pressed in mid-drive: zero at once, ESTOP; released: HELD, never moving by itself; silent: ESTOP again."""
    topic, pressed = name(), threading.Event()
    sources = Sources(estop=Source(topic, "std_msgs/msg/Bool"))
    limits = replace(LIMITS, estop_age_max_ns=2000 * MS)
    with Rig(broker.port, tmp_path, limits=limits, sources=sources) as rig:
        base = Base(robot, rig.topic)
        assert operator.move()["code"] in {"NOT_READY", "ESTOP_STALE"}
        with said(robot, Bool, topic, lambda: Bool(data=pressed.is_set())):
            rig.becomes("IDLE")
            operator.drive(base, duration_ms=1000)
            pressed.set()
            rig.becomes("ESTOP")
            until(lambda: base.heard[-1].zero, "a zero")
            assert operator.move()["code"] == "ESTOP"
            assert operator.ask("reset", {"stop_id": "x"})["code"] == "ESTOP"
            pressed.clear()
            rig.becomes("HELD")
            assert operator.move()["code"] == "HELD"
        rig.becomes("ESTOP")
        reasons = [entry.code for entry in rig.entries() if entry.after == "ESTOP" and entry.before != "ESTOP"]

        assert reasons == ["ESTOP", "ESTOP_STALE"]
        until(lambda: rig.latch()["state"] == "ESTOP", "the latch on disk")


def test_somebody_beside_the_robot_has_it_alone(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """While they drive nothing of ours is published; afterwards a new move is needed."""
    topic = name()
    twist = Twist()
    twist.linear.x = 0.1
    sources = Sources(override=Source(topic, "geometry_msgs/msg/Twist"))
    limits = replace(LIMITS, override_quiet_ns=2000 * MS)
    with Rig(broker.port, tmp_path, limits=limits, sources=sources) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        with said(robot, Twist, topic, Twist):
            operator.drive(base, duration_ms=1000)  # a teleoperation at rest is nobody
        with said(robot, Twist, topic, lambda: twist):
            rig.becomes("LOCAL")
            assert operator.move()["code"] == "LOCAL_OVERRIDE"
            assert base.quiet_for(0.3)
        rig.becomes("IDLE")


def test_an_empty_battery_does_not_drive(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Never heard: not ready; below the minimum: refused; a driver that says 87 for 87 %: unknown, refused."""
    topic, charge = name(), [0.5]
    sources = Sources(battery=Source(topic, "sensor_msgs/msg/BatteryState"))
    with Rig(broker.port, tmp_path, limits=replace(LIMITS, battery_required=True), sources=sources) as rig:
        Base(robot, rig.topic)
        assert operator.move()["code"] == "NOT_READY"
        with said(robot, BatteryState, topic, lambda: BatteryState(percentage=charge[0])):
            rig.becomes("IDLE")
            for value, code in ((0.5, ""), (0.05, "BATTERY"), (0.5, ""), (87.0, "BATTERY"), (0.5, "")):
                charge[0] = value
                refused_at_last(operator, code)


def test_a_fence_needs_a_fresh_pose(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """With it a move inside is accepted and one through the fence is not; without it nothing."""
    topic = name()
    fence = Fence(inside=(((-1.0, -1.0), (1.5, -1.0), (1.5, 1.0), (-1.0, 1.0)),))
    limits = replace(LIMITS, fence=fence, pose_required=True, still_required=True)
    at_m = [0.0]

    def odometry() -> Any:
        message = Odometry()
        message.pose.pose.position.x = at_m[0]
        message.pose.pose.orientation.w = 1.0
        return message

    with Rig(broker.port, tmp_path, limits=limits, sources=Sources(pose=Source(topic, "nav_msgs/msg/Odometry"))) as rig:
        base = Base(robot, rig.topic)
        with said(robot, Odometry, topic, odometry, 0.02):
            rig.becomes("IDLE")
            operator.drive(base, 0.2)
            rig.becomes("IDLE")
            at_m[0] = 1.19
            refused_at_last(operator, "GEOFENCE")
            stopped = operator.stop()
            reset = until(lambda: (ack := operator.reset())["code"] == "RESET_OK" and ack, "a reset: it stands")
        refused_at_last(operator, "LOCALISATION")
        blind = operator.move(0.1)

    assert stopped["verdict"] == "STOPPED"
    assert reset["state"] == "IDLE"
    assert (blind["verdict"], blind["code"]) == ("REJECTED", "LOCALISATION")


def test_a_wall_ahead_stops(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Free: it drives; a wall within the zone: refused; a blind scanner: refused."""
    topic, distance = name(), [float("inf")]
    limits = replace(LIMITS, scan=StopZone(age_max_ns=1000 * MS))

    def scan() -> Any:
        message = LaserScan(angle_min=-0.3, angle_increment=0.01, range_max=20.0)
        message.ranges = [distance[0]] * 60
        stamp = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        return message

    with Rig(
        broker.port, tmp_path, limits=limits, sources=Sources(scan=Source(topic, "sensor_msgs/msg/LaserScan"))
    ) as rig:
        Base(robot, rig.topic)
        with said(robot, LaserScan, topic, scan, 0.03):
            rig.becomes("IDLE")
            for value, code in ((float("inf"), ""), (0.4, "OBSTACLE"), (float("nan"), "SCAN_STALE"), (10.0, "")):
                distance[0] = value
                refused_at_last(operator, code)
