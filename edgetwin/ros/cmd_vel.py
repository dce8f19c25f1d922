"""ROS room: the only publisher of motion in edgetwin.

In: a twist that the gate decided     Out: Twist or TwistStamped on the motion topic, stamped with the robot's clock
It decides nothing. It holds one last thing against a defect above it: what is not finite, beyond the platform's
rating, or sent while the gate does not drive leaves as zero, and the caller is told.
Imported by the command lane alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.motion import Twist
from edgetwin.ros.types import message_class

STAMPED = "geometry_msgs/msg/TwistStamped"
PLAIN = "geometry_msgs/msg/Twist"
_LIFESPAN_NS = 200_000_000  # an older twist is none: it must not arrive after the stop that followed it


@dataclass(frozen=True, slots=True)
class Rating:
    """What the platform can survive; nothing beyond it ever leaves."""

    linear_mps: float
    angular_radps: float


class MotionPublisher:
    """One handle on the motion topic, used by one thread.

    Attributes:
        sent: Twists that left, zeros included.
        gid: How the graph names this handle; empty when that cannot be told.
    """

    def __init__(self, node: Any, topic: str, type_name: str, rating: Rating, clock: Clock) -> None:
        """Announce a publisher: reliable, the newest twist only, nothing for late joiners.

        Raises:
            RosTypeError: geometry_msgs is not installed.
        """
        from rclpy.duration import Duration  # noqa: PLC0415  # ROS is imported late, see context
        from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy  # noqa: PLC0415

        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.VOLATILE,
            lifespan=Duration(nanoseconds=_LIFESPAN_NS),
        )
        message = message_class(type_name)
        before = _gids(node, topic)
        self._publisher = node.create_publisher(message, topic, profile)
        new = _gids(node, topic) - before
        self.gid = new.pop() if len(new) == 1 else b""
        self.sent = 0
        self._rating = rating
        self._clock = clock
        self._stamped = type_name == STAMPED
        self._zero = message()
        self._moving = message()
        self._twist = self._moving.twist if self._stamped else self._moving

    def zero(self) -> None:
        """Publish zero, now."""
        if self._stamped:
            self._stamp(self._zero)
        self._publisher.publish(self._zero)
        self.sent += 1

    def send(self, twist: Twist, *, may_move: bool) -> bool:
        """Publish a twist; return whether it left as it was given.

        Args:
            twist: Forward [m/s], counter-clockwise [rad/s].
            may_move: Whether the gate is in a state that moves.
        """
        linear, angular = twist.linear_mps, twist.angular_radps
        if linear == 0.0 == angular:
            self.zero()
            return True
        rating = self._rating
        finite = math.isfinite(linear) and math.isfinite(angular)
        if not (may_move and finite and abs(linear) <= rating.linear_mps and abs(angular) <= rating.angular_radps):
            self.zero()
            return False
        self._twist.linear.x = linear
        self._twist.angular.z = angular
        if self._stamped:
            self._stamp(self._moving)
        self._publisher.publish(self._moving)
        self.sent += 1
        return True

    def subscribers(self) -> int:
        """Return how many subscribers of the same type are matched."""
        count: int = self._publisher.get_subscription_count()
        return count

    def _stamp(self, message: Any) -> None:
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(self._clock.stamp_ns(), NS_PER_S)


def _gids(node: Any, topic: str) -> set[bytes]:
    """Return how the graph names the publishers of `topic` on this node; our own are known there at once."""
    name, namespace = node.get_name(), node.get_namespace()
    return {
        bytes(endpoint.endpoint_gid)
        for endpoint in node.get_publishers_info_by_topic(topic)
        if endpoint.node_name == name and endpoint.node_namespace == namespace
    }
