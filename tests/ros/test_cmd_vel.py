"""The only publisher of motion, on a real graph: right type, right QoS, and never anything beyond the rating."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from geometry_msgs.msg import Twist as RosTwist
from geometry_msgs.msg import TwistStamped
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from edgetwin.clock import SystemClock
from edgetwin.motion import ZERO, Twist
from edgetwin.ros.cmd_vel import PLAIN, STAMPED, MotionPublisher, Rating
from edgetwin.ros.context import open_node
from edgetwin.ros.motion_graph import MotionGraph

RATING = Rating(1.0, 2.0)


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    """A node in a domain of this process."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
    made = open_node(f"cmd_vel_{os.getpid()}")
    yield made
    made.destroy_node()


class Wheels:
    """A subscriber."""

    def __init__(self, node: Any, topic: str, message: Any) -> None:
        self._message = message
        self._subscription = node.create_subscription(message, topic, lambda _message: None, 100)

    def next(self) -> Any:
        """Return the next message."""
        deadline = time.monotonic() + 10
        while (taken := self._subscription.handle.take_message(self._message, False)) is None:  # noqa: FBT003
            assert time.monotonic() < deadline, "nothing comes"
            time.sleep(0.005)
        return taken[0]


def matched(publisher: MotionPublisher) -> None:
    """Wait for the subscriber."""
    deadline = time.monotonic() + 10
    while not publisher.subscribers():
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.01)
    time.sleep(0.1)


def made(node: Any, type_name: str = PLAIN) -> tuple[MotionPublisher, Wheels]:
    """Return a publisher and who hears it."""
    topic = f"/motion_{uuid4().hex[:8]}"
    wheels = Wheels(node, topic, TwistStamped if type_name == STAMPED else RosTwist)
    publisher = MotionPublisher(node, topic, type_name, RATING, SystemClock())
    matched(publisher)
    return publisher, wheels


@pytest.mark.parametrize("type_name", [PLAIN, STAMPED])
def test_a_twist_leaves_as_it_was_given(node: Any, type_name: str) -> None:
    """Forward and turn, both types; the stamp is the robot's clock, now."""
    publisher, wheels = made(node, type_name)
    assert publisher.send(Twist(0.5, -0.25), may_move=True)
    message = wheels.next()
    publisher.zero()
    zero = wheels.next()

    twist, nothing = (message.twist, zero.twist) if type_name == STAMPED else (message, zero)
    assert (twist.linear.x, twist.angular.z) == (0.5, -0.25)
    assert (nothing.linear.x, nothing.angular.z) == (0.0, 0.0)
    if type_name == STAMPED:
        stamps = [one.header.stamp.sec + one.header.stamp.nanosec / 1e9 for one in (message, zero)]
        assert stamps[0] <= stamps[1]
        assert abs(stamps[1] - time.time()) < 30


@pytest.mark.parametrize(
    ("twist", "may_move"),
    [
        (Twist(0.5, 0.0), False),
        (Twist(1.01, 0.0), True),
        (Twist(-1.01, 0.0), True),
        (Twist(0.0, 2.01), True),
        (Twist(math.nan, 0.0), True),
        (Twist(0.0, math.nan), True),
        (Twist(math.inf, 0.0), True),
        (Twist(0.1, -math.inf), True),
    ],
)
def test_what_must_not_leave_leaves_as_zero(node: Any, twist: Twist, may_move: bool) -> None:
    """Beyond the rating, not a number, or while the gate does not drive; and the caller is told."""
    publisher, wheels = made(node)
    told = publisher.send(twist, may_move=may_move)
    message = wheels.next()

    assert not told
    assert (message.linear.x, message.angular.z) == (0.0, 0.0)


def test_zero_may_always_leave(node: Any) -> None:
    """Also as -0.0, also while nothing moves; it leaves as plain zero."""
    publisher, wheels = made(node)
    for twist in (ZERO, Twist(-0.0, -0.0)):
        assert publisher.send(twist, may_move=False)
        assert math.copysign(1.0, wheels.next().linear.x) == 1.0


def test_the_newest_twist_is_all_that_there_is(node: Any) -> None:
    """Reliable, keep last 1, nothing for late joiners, and gone after 200 ms."""
    topic = f"/motion_{uuid4().hex[:8]}"
    publisher = MotionPublisher(node, topic, PLAIN, RATING, SystemClock())
    (endpoint,) = node.get_publishers_info_by_topic(topic)
    profile = endpoint.qos_profile

    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.durability == DurabilityPolicy.VOLATILE
    assert profile.lifespan.nanoseconds == 200_000_000
    assert publisher._publisher.qos_profile.depth == 1
    assert publisher._publisher.qos_profile.history == HistoryPolicy.KEEP_LAST
    assert bytes(endpoint.endpoint_gid) == publisher.gid


def test_company_on_the_topic_is_told_by_its_handle(node: Any) -> None:
    """Ours and those of our past are no strangers, a third one of the same node is; the type of listeners too."""
    topic = f"/motion_{uuid4().hex[:8]}"
    ours = [MotionPublisher(node, topic, PLAIN, RATING, SystemClock()) for _ in range(2)]
    graph = MotionGraph(node, topic, PLAIN, ours[0], [one.gid for one in ours], [])
    alone = graph.look(())
    third = MotionPublisher(node, topic, PLAIN, RATING, SystemClock())
    strange, allowed = graph.look(()), graph.look({node.get_name()})
    past = MotionGraph(node, topic, PLAIN, ours[0], [one.gid for one in ours], [third.gid]).look(())
    other = node.create_subscription(TwistStamped, f"{topic}_other", lambda _message: None, 1)
    lone = MotionPublisher(node, f"{topic}_other", STAMPED, RATING, SystemClock())
    deaf = MotionGraph(node, f"{topic}_other", PLAIN, ours[0], [lone.gid], [])

    assert (alone.foreign, alone.subscribers, alone.type_mismatch) == ((), 0, False)
    assert strange.foreign == (node.get_name(),)
    assert allowed.foreign == past.foreign == ()
    assert deaf.look(()).type_mismatch
    node.destroy_subscription(other)
