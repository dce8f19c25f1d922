"""Twin wing: all robots of one mirror; every MQTT message finds its robot here.

In: topic, payload, properties, the time     Out: states into `show`, one call per record that is to be seen
Pure but for what `show` does. Robots appear by their first message, and leave when their retained status is cleared, or
an hour after they went offline. Bounded: 1,000 robots; more are counted, not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from edgetwin import announcement, wire
from edgetwin.clock import NS_PER_S
from edgetwin.twin.channel import Fate
from edgetwin.twin.pings import Pings
from edgetwin.twin.position import Point
from edgetwin.twin.seen import Moment, Seen, Way, seen
from edgetwin.twin.state import RobotTwin

_ROBOTS_MAX = 1000
_ROUTES_MAX = 20_000
_NAME_MAX = 128
_FORGET_NS = 3600 * NS_PER_S
_INTRODUCE = {"status", "channels", "telemetry", "backlog"}  # an ack or event alone may be anybody's probe
_WAYS = {"telemetry": Way.LIVE, "backlog": Way.BACKLOG}


@dataclass(frozen=True, slots=True)
class Doors:
    """What the fleet asks of the shell: where a record is, to show it, and to take a robot away."""

    point_of: Callable[[RobotTwin, str, Any], Point | None]
    show: Callable[[RobotTwin, str, Any], None]
    gone: Callable[[str], None]


class Fleet:
    """The robots of one broker.

    Attributes:
        robots: By id.
        messages: MQTT messages taken; `unreadable` were not of the format, `crowded_out` of one robot too many.
        records: Records in them.
    """

    def __init__(self, prefix: str, doors: Doors) -> None:
        """Begin with nobody."""
        self.robots: dict[str, RobotTwin] = {}
        self.messages = 0
        self.records = 0
        self.unreadable = 0
        self.crowded_out = 0
        self.pings = Pings(prefix)
        self._root = f"{prefix}/"
        self._doors = doors
        self._routes: dict[str, tuple[str, str, str] | None] = {}

    def take(
        self, topic: str, payload: bytes, properties: Sequence[tuple[str, str]], moment: Moment, *, retained: bool
    ) -> None:
        """Take one MQTT message; what is not of the format is counted."""
        self.messages += 1
        route = self._route(topic)
        if route is None:
            self.unreadable += 1
            return
        robot_id, kind, rest = route
        if kind == "status" and not payload:
            self.forget(robot_id)
            return
        twin = self.robots.get(robot_id)
        twin = twin or self._introduced(robot_id, kind)
        if twin is not None:
            self._taken(twin, kind, rest, payload, properties, moment, retained=retained)

    def _taken(
        self, twin: RobotTwin, kind: str, rest: str, payload: bytes, properties: Sequence[tuple[str, str]],
        moment: Moment, *, retained: bool,
    ) -> None:  # fmt: skip
        try:
            if kind in _WAYS:
                self._telemetry(twin, rest, payload, properties, _WAYS[kind], moment)
            elif kind == "events":
                self._events(twin, rest, payload, properties, moment)
            elif kind == "status":
                twin.status(_object(payload), moment, retained=retained)
            elif kind == "channels" and payload:
                self._announced(twin, payload)
            elif kind == "acks":
                self.pings.answer(twin, payload, moment.now_ns)
        except ValueError:
            self.unreadable += 1

    def forget(self, robot_id: str) -> None:
        """Take a robot away; when it speaks again it is a new one."""
        if self.robots.pop(robot_id, None) is not None:
            self.pings.forget(robot_id)
            self._doors.gone(robot_id)

    def forget_long_gone(self, now_ns: int) -> None:
        """Take away who went offline an hour ago."""
        for twin in list(self.robots.values()):
            if twin.left_ns is not None and now_ns - twin.left_ns > _FORGET_NS:
                self.forget(twin.robot_id)

    def _telemetry(
        self, twin: RobotTwin, channel: str, payload: bytes, properties: Sequence[tuple[str, str]], way: Way,
        moment: Moment,
    ) -> None:  # fmt: skip
        records = wire.decode(payload, properties)
        size = len(payload) // max(1, len(records))
        last: Seen | None = None
        for record in records:
            one = seen(record, twin.robot_id, channel, way, size)
            fate = twin.take(channel, one, moment, self._doors.point_of(twin, channel, one.data))
            self.records += 1
            if fate is not Fate.NEWEST:
                continue
            if way is Way.LIVE:
                self._doors.show(twin, channel, one.data)
            else:
                last = one
        if last is not None:  # of what is only catching up, the newest
            self._doors.show(twin, channel, last.data)

    def _events(
        self, twin: RobotTwin, kind: str, payload: bytes, properties: Sequence[tuple[str, str]], moment: Moment
    ) -> None:
        for record in wire.decode(payload, properties):
            late = bool(record.get("late"))
            twin.event(kind, seen(record, twin.robot_id, kind, Way.BACKLOG if late else Way.LIVE), moment, late=late)

    @staticmethod
    def _announced(twin: RobotTwin, payload: bytes) -> None:
        said = announcement.decode(payload)
        if said.robot_id != twin.robot_id:
            msg = f"an announcement of {said.robot_id!r} on a topic of {twin.robot_id}"
            raise ValueError(msg)
        twin.announce(said)

    def _introduced(self, robot_id: str, kind: str) -> RobotTwin | None:
        """Return a new robot; None where such a message makes none, or there are too many."""
        if kind not in _INTRODUCE:
            return None
        if len(self.robots) >= _ROBOTS_MAX:
            self.crowded_out += 1
            return None
        twin = self.robots[robot_id] = RobotTwin(robot_id)
        return twin

    def _route(self, topic: str) -> tuple[str, str, str] | None:
        """Return (robot, kind, rest) of a topic; remembered, for the same ones come again and again."""
        try:
            return self._routes[topic]
        except KeyError:
            steps = topic.removeprefix(self._root).split("/")
            fits = topic.startswith(self._root) and len(steps) in {2, 3} and all(steps)
            fits = fits and max(map(len, steps)) <= _NAME_MAX
            route = (steps[0], steps[1], steps[2] if len(steps) > 2 else "") if fits else None  # noqa: PLR2004
            if len(self._routes) >= _ROUTES_MAX:
                self._routes.clear()
            self._routes[topic] = route
            return route


def _object(payload: bytes) -> Mapping[str, Any]:
    value = orjson.loads(payload)
    if not isinstance(value, dict):
        msg = "not an object"
        raise ValueError(msg)  # noqa: TRY004  # one kind for everything that is not of the format
    return value


def filters(prefix: str, robots: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the topic filters: what must be known first, then what flows.

    Args:
        prefix: First level of the topics.
        robots: Ids; none: every robot.
    """
    roots = [f"{prefix}/{robot}" for robot in (robots or ["+"])]
    first = [f"{root}/{kind}" for root in roots for kind in ("channels", "status", "acks")]
    return first, [f"{root}/{kind}/+" for root in roots for kind in ("events", "telemetry", "backlog")]
