"""ROS room: what the command lane must know of the robot: pose, speed, charge, e-stop, scan, local override.

In: subscriptions on the lane's own node, taken raw on the lane's thread     Out: `Heard`, newest values only
Nothing here passes through the main loop. Freshness is by reception on the monotonic clock: DDS stamps a message
when it comes, and that stamp counts only between the last look and this one, so that no wall clock can make an old
message new. What is not a message of its type is counted and changes nothing: it grows old and counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgetwin.clock import Clock
from edgetwin.errors import MalformedMessageError
from edgetwin.motion import Pose, Twist
from edgetwin.ros.bell import Bell, Unheard
from edgetwin.ros.robot_messages import (
    Points,
    charge_reader,
    drive_reader,
    pose_reader,
    pressed_reader,
    scan_reader,
    speed_reader,
)
from edgetwin.ros.topic import Topic
from edgetwin.ros.types import message_class

_NEWEST = 1
_EVERY = 20  # a press or a touch of the stick between two looks must not be lost
_FOLLOW_NS = 500_000_000
_TAKE_MAX = 100


@dataclass(frozen=True, slots=True)
class Source:
    """One topic to hear."""

    topic: str
    type_name: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Which topics tell the robot's state; None where there is none.

    Attributes:
        pose: Anything with a pose; speed comes from the same messages where they have a twist.
        battery: Anything with `percentage`.
        estop: std_msgs/msg/Bool.
        override: Twist, TwistStamped or Joy: whoever drives beside the robot.
        scan: sensor_msgs/msg/LaserScan.
        scan_reach_m: Points farther away are not looked at.
    """

    pose: Source | None = None
    battery: Source | None = None
    estop: Source | None = None
    override: Source | None = None
    scan: Source | None = None
    scan_reach_m: float = 10.0


@dataclass(slots=True)
class Heard:
    """The newest of everything, and when it came (monotonic; None: never)."""

    pose: Pose | None = None
    pose_ns: int | None = None
    speed: Twist | None = None
    speed_ns: int | None = None
    battery: float | None = None
    battery_ns: int | None = None
    estop: bool | None = None
    estop_ns: int | None = None
    scan: Points | None = None
    scan_ns: int | None = None
    override_ns: int | None = None
    malformed: int = 0


class RobotInputs:
    """The lane's ears."""

    def __init__(self, node: Any, bell: Bell, sources: Sources, clock: Clock) -> None:
        """Subscribe, as soon as there are publishers.

        Args:
            node: The lane's.
            bell: Rings for e-stop and override; the others are looked at.
            sources: What to hear.
            clock: The robot's.

        Raises:
            RosTypeError: A message package is not installed.
            FieldPathError: A type has not what is needed.
        """
        self.heard = Heard()
        self._node = node
        self._clock = clock
        self._topics: list[Topic] = []
        self._looked_ns = clock.now_ns()
        self._follow_at_ns = 0
        quiet = Unheard()
        self._follow(sources.pose, quiet, _NEWEST, self._pose_sink)
        self._follow(sources.battery, quiet, _NEWEST, self._battery_sink)
        self._follow(sources.scan, quiet, _NEWEST, lambda message: self._scan_sink(message, sources.scan_reach_m))
        self._follow(sources.estop, bell, _EVERY, self._estop_sink)
        self._follow(sources.override, bell, _EVERY, self._override_sink)

    def look(self) -> None:
        """Take what has come since the last look; follow publishers twice a second."""
        now_ns = self._clock.now_ns()
        for topic in self._topics:
            if now_ns >= self._follow_at_ns:
                topic.follow_publishers(now_ns)
            topic.take(now_ns, _TAKE_MAX)
        if now_ns >= self._follow_at_ns:
            self._follow_at_ns = now_ns + _FOLLOW_NS
        self._looked_ns = now_ns

    def close(self) -> None:
        """Unsubscribe."""
        for topic in self._topics:
            topic.close()
        self._topics = []

    def _follow(self, source: Source | None, bell: Any, depth: int, make: Callable[[Any], Callable[..., None]]) -> None:
        if source is None:
            return
        message = message_class(source.type_name)
        note = make(message)

        def sink(raw: bytes, received_ns: int, now_ns: int) -> None:
            try:
                note(raw, self._came_ns(received_ns, now_ns))
            except MalformedMessageError:
                self.heard.malformed += 1

        self._topics.append(Topic(self._node, bell, source.topic, source.type_name, message, depth, sink))

    def _came_ns(self, received_ns: int, now_ns: int) -> int:
        """Return when a message came: its reception stamp as an age, held between the last look and now."""
        if received_ns == 0:
            return now_ns
        age_ns = self._clock.stamp_ns() - received_ns
        return now_ns - min(max(0, age_ns), now_ns - self._looked_ns)

    def _pose_sink(self, message: Any) -> Callable[[bytes, int], None]:
        read_pose, read_speed, heard = pose_reader(message), speed_reader(message), self.heard

        def note(raw: bytes, came_ns: int) -> None:
            heard.pose, heard.pose_ns = read_pose(raw), came_ns
            if read_speed is not None:
                heard.speed, heard.speed_ns = read_speed(raw), came_ns

        return note

    def _battery_sink(self, message: Any) -> Callable[[bytes, int], None]:
        read, heard = charge_reader(message), self.heard

        def note(raw: bytes, came_ns: int) -> None:
            heard.battery, heard.battery_ns = read(raw), came_ns

        return note

    def _scan_sink(self, message: Any, reach_m: float) -> Callable[[bytes, int], None]:
        read, heard = scan_reader(message, reach_m), self.heard

        def note(raw: bytes, came_ns: int) -> None:
            heard.scan, heard.scan_ns = read(raw, self._clock.stamp_ns()), came_ns

        return note

    def _estop_sink(self, message: Any) -> Callable[[bytes, int], None]:
        read, heard = pressed_reader(message), self.heard
        pressed_look_ns = -1

        def note(raw: bytes, came_ns: int) -> None:
            nonlocal pressed_look_ns
            pressed = read(raw)
            if pressed:
                pressed_look_ns = self._looked_ns
            # A press among the messages of one look is not undone by a later one of the same look.
            heard.estop, heard.estop_ns = pressed or pressed_look_ns == self._looked_ns, came_ns

        return note

    def _override_sink(self, message: Any) -> Callable[[bytes, int], None]:
        drives, heard = drive_reader(message), self.heard

        def note(raw: bytes, came_ns: int) -> None:
            if drives(raw):
                heard.override_ns = came_ns

        return note
