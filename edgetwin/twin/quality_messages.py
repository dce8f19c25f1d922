"""Twin wing: figures as ROS diagnostics.

In: RobotQuality     Out: DiagnosticArray
A value that is not live is never OK: late warns, stale and offline are STALE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from edgetwin.ros.types import message_class
from edgetwin.twin.age import Age
from edgetwin.twin.quality import ChannelQuality, RobotQuality

_LEVELS = {Age.LIVE: b"\x00", Age.LATE: b"\x01", Age.STALE: b"\x03", Age.OFFLINE: b"\x03"}
_HARDWARE = "edgetwin mirror"
_OF_ROBOT = [field.name for field in fields(RobotQuality) if field.name not in {"channels", "robot_id"}]
_OF_CHANNEL = [field.name for field in fields(ChannelQuality)]


class QualityMessages:
    """Makes the messages of one mirror.

    Attributes:
        type: Their class.
    """

    def __init__(self) -> None:
        """Find the classes.

        Raises:
            RosTypeError: diagnostic_msgs is not installed.
        """
        self.type = self._array = message_class("diagnostic_msgs/msg/DiagnosticArray")
        self._status = message_class("diagnostic_msgs/msg/DiagnosticStatus")
        self._value = message_class("diagnostic_msgs/msg/KeyValue")

    def robot(self, quality: RobotQuality, stamp_ns: int) -> Any:
        """Return everything of one robot: itself, then each channel."""
        statuses = [self._of_robot(quality), *(self._of_channel(quality, channel) for channel in quality.channels)]
        return self._stamped(statuses, stamp_ns)

    def summary(self, robots: Iterable[RobotQuality], stamp_ns: int) -> Any:
        """Return one status per robot, for /diagnostics."""
        return self._stamped([self._of_robot(quality) for quality in robots], stamp_ns)

    def _of_robot(self, quality: RobotQuality) -> Any:
        figures = {name: getattr(quality, name) for name in _OF_ROBOT}
        live = sum(channel.age is Age.LIVE for channel in quality.channels)
        message = f"{quality.age}; {live} of {len(quality.channels)} channels live"
        level = _LEVELS[quality.age] if live == len(quality.channels) else max(_LEVELS[quality.age], b"\x01")
        return self._one(f"mirror: {quality.robot_id}", level, message, figures)

    def _of_channel(self, quality: RobotQuality, channel: ChannelQuality) -> Any:
        name = f"mirror: {quality.robot_id}/{channel.channel}"
        figures = {name: getattr(channel, name) for name in _OF_CHANNEL}
        return self._one(name, _LEVELS[channel.age], str(channel.age), figures)

    def _one(self, name: str, level: bytes, message: str, figures: Mapping[str, object]) -> Any:
        values = [self._value(key=key, value="" if value is None else str(value)) for key, value in figures.items()]
        return self._status(name=name, level=level, message=message, hardware_id=_HARDWARE, values=values)

    def _stamped(self, statuses: list[Any], stamp_ns: int) -> Any:
        message = self._array(status=statuses)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        return message
