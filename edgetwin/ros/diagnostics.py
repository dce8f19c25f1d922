"""ROS room: what edgetwin says of itself on /diagnostics.

In: statuses as plain values     Out: diagnostic_msgs/DiagnosticArray, stamped with the robot's clock
A status whose words are those of the last time costs nothing but its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.ros.types import message_class

TOPIC = "/diagnostics"
_DEPTH = 10  # REP 107's readers ask for as much
_ARRAY, _STATUS, _PAIR = (f"diagnostic_msgs/msg/{name}" for name in ("DiagnosticArray", "DiagnosticStatus", "KeyValue"))


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Status:
    """One part of edgetwin: how it is, in a word, a sentence and figures."""

    name: str
    level: Level
    message: str
    values: tuple[tuple[str, str], ...] = ()


class DiagnosticsPublisher:
    """The publisher of one node."""

    def __init__(self, node: Any, hardware_id: str, clock: Clock) -> None:
        """Announce it.

        Args:
            node: That publishes; nothing spins it.
            hardware_id: Of the robot.
            clock: For the stamps.

        Raises:
            RosTypeError: diagnostic_msgs is not installed.
        """
        self._publisher = node.create_publisher(message_class(_ARRAY), TOPIC, _DEPTH)
        self._status_class = message_class(_STATUS)
        self._pair_class = message_class(_PAIR)
        self._array = message_class(_ARRAY)()
        self._hardware_id = hardware_id
        self._clock = clock
        self._made: dict[str, tuple[Status, Any]] = {}

    @property
    def listeners(self) -> int:
        """How many subscriptions there are."""
        count: int = self._publisher.get_subscription_count()
        return count

    def publish(self, statuses: Sequence[Status]) -> None:
        """Publish all of them, now."""
        stamp = self._array.header.stamp
        stamp.sec, stamp.nanosec = divmod(self._clock.stamp_ns(), NS_PER_S)
        self._array.status = [self._message(status) for status in statuses]
        self._publisher.publish(self._array)

    def _message(self, status: Status) -> Any:
        known = self._made.get(status.name)
        if known is not None and known[0] == status:
            return known[1]
        message = self._status_class(
            level=bytes((status.level,)),
            name=status.name,
            message=status.message,
            hardware_id=self._hardware_id,
            values=[self._pair_class(key=key, value=value) for key, value in status.values],
        )
        self._made[status.name] = status, message
        return message
