"""Sim wing: robot and twin side by side: where the one truly is, where the other shows it, how old that is.

In: MQTT messages, the true pose     Out: Pair, at any moment
The twin is the mirror's own pure library, fed by what arrives at the broker; the truth never comes near it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetwin.clock import NS_PER_US, Clock
from edgetwin.sim.physics import Pose
from edgetwin.sim.stage import ROBOT_ID
from edgetwin.twin.age import Age
from edgetwin.twin.fleet import Doors, Fleet
from edgetwin.twin.position import Point
from edgetwin.twin.seen import Moment
from edgetwin.twin.state import RobotTwin
from edgetwin.wire import DEFAULT_PREFIX

CHANNEL = "odom"


@dataclass(frozen=True, slots=True)
class Pair:
    """Both at one moment.

    Attributes:
        robot: True (x, y) [m].
        twin: As the twin shows it [m].
        age: How far the twin can be taken for the present.
        lag_s: Since what it shows was measured.
        error_m: Distance between both.
    """

    robot: tuple[float, float]
    twin: tuple[float, float]
    age: Age
    lag_s: float
    error_m: float


@dataclass(slots=True)
class Apart:
    """How far they were apart, look by look.

    Attributes:
        linked_m: While the link was up [m].
        cut_m: From the pull of the cable to the first live record after it [m].
        lag_max_s: The oldest that the twin was meanwhile [s].
        ages: The words that were said.
    """

    linked_m: list[float] = field(default_factory=list)
    cut_m: list[float] = field(default_factory=list)
    lag_max_s: float = 0.0
    ages: set[Age] = field(default_factory=set)

    def note(self, pair: Pair, *, cut: bool) -> None:
        """Take one look."""
        (self.cut_m if cut else self.linked_m).append(pair.error_m)
        self.ages.add(pair.age)
        if cut:
            self.lag_max_s = max(self.lag_max_s, pair.lag_s)


class SideBySide:
    """The twin of the demo's robot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fleet = Fleet(DEFAULT_PREFIX, Doors(_point_of, _nothing, _nothing))

    def take(
        self, topic: str, payload: bytes, properties: Sequence[tuple[str, str]], *, retained: bool = False
    ) -> None:
        """Take one MQTT message; commands are not the twin's matter."""
        if not topic.startswith(f"{DEFAULT_PREFIX}/{ROBOT_ID}/commands/"):
            self._fleet.take(topic, payload, properties, self._now(), retained=retained)

    def pair(self, truth: Pose | None) -> Pair | None:
        """Return both; None as long as one is not known."""
        robot = self._fleet.robots.get(ROBOT_ID)
        channel = robot.channels.get(CHANNEL) if robot is not None else None
        if robot is None or channel is None or channel.state is None or truth is None:
            return None
        point = _point_of(robot, CHANNEL, channel.state.seen.data)
        age, lag_s = robot.channel_age(CHANNEL, self._now(), linked=True)
        if point is None or lag_s is None:
            return None
        error_m = math.hypot(truth.x_m - point[0], truth.y_m - point[1])
        return Pair((truth.x_m, truth.y_m), point[:2], age, lag_s, error_m)

    def _now(self) -> Moment:
        return Moment(self._clock.now_ns(), self._clock.stamp_ns() // NS_PER_US)


def _point_of(_robot: RobotTwin, channel: str, data: Any) -> Point | None:
    if channel != CHANNEL:
        return None
    try:
        at: Mapping[str, Any] = data["pose"]["pose"]["position"]
        return float(at["x"]), float(at["y"]), float(at["z"])
    except (KeyError, TypeError, ValueError):
        return None


def _nothing(*_: Any) -> None:
    """The demo shows numbers, not topics."""
