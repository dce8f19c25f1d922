"""Twin wing: the mirror: broker in, ROS out, and once a second how far it can be believed.

    listening -> fleet (pure) -> outlets -> /virtual/<robot>/<channel>
                     |-> quality -> /virtual/<robot>/quality, /diagnostics, and whoever looks (view, JSON, CSV, plot)

One thread. A record is published in the same turn of the loop in which it came; figures are made robot by robot, so
that no record waits for those of all. What nobody looks at is not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.twin.fleet import Doors, Fleet, filters
from edgetwin.twin.listening import Address, Listening
from edgetwin.twin.outlets import Outlet, Outlets
from edgetwin.twin.packets import Publish
from edgetwin.twin.position import Point
from edgetwin.twin.quality import RobotQuality, quality
from edgetwin.twin.quality_messages import QualityMessages
from edgetwin.twin.seen import Moment
from edgetwin.twin.state import RobotTwin

NODE_NAME = "edgetwin_mirror"
_FIGURES_EVERY_S = 1.0
_PING_LOOK_S = 0.1
_UNANNOUNCED_NS = 5 * NS_PER_S
_SUMMARY = "/diagnostics"


@dataclass(frozen=True, slots=True)
class Report:
    """One look at everything.

    Attributes:
        stamp_us: When, UTC [us].
        linked: We are connected to the broker.
        robots: Each robot.
        messages: MQTT messages so far; of them `unreadable` were not of the format.
        published: ROS messages so far, figures not counted.
    """

    stamp_us: int
    linked: bool
    robots: tuple[RobotQuality, ...]
    messages: int
    unreadable: int
    published: int

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        head = {"v": 1, "stamp_us": self.stamp_us, "linked": self.linked, "messages": self.messages}
        head |= {"unreadable": self.unreadable, "published": self.published}
        return head | {"robots": [robot.as_json() for robot in self.robots]}


class Mirror:
    """One mirror. Made and run once, inside a running loop."""

    def __init__(
        self, address: Address, prefix: str, robots: Sequence[str], clock: Clock, told: Callable[[str], None]
    ) -> None:
        """Join the ROS graph; nothing is subscribed yet.

        Args:
            address: The broker.
            prefix: First level of the topics.
            robots: Ids; none: every robot.
            clock: Ours.
            told: Takes what a person should know, one line each.

        Raises:
            RosUnavailableError, RosTypeError: There is no ROS here, or a part of it is missing.
        """
        self._clock = clock
        self._told = told
        self._messages = QualityMessages()
        self._outlets = Outlets(NODE_NAME, told)
        self.fleet = Fleet(prefix, Doors(self._point, self._show, self._gone))
        self._listening = Listening(address, filters(prefix, robots), self._take, told)
        self._robots: dict[str, dict[str, Outlet]] = {}
        self._unannounced: dict[tuple[str, str], int] = {}

    @property
    def linked(self) -> bool:
        """Whether we are connected to the broker."""
        return self._listening.linked

    async def run(self, look: Callable[[Report], None], *, always: bool = True) -> None:
        """Mirror until cancelled.

        Args:
            look: Called once a second, and a last time at the end.
            always: `look` wants the figures of every robot every second; else they are made for those who subscribe to
                them in ROS, and at the end.

        Raises:
            Exception: A defect.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listening.run())
                group.create_task(self._ask_the_time())
                group.create_task(self._tell_figures(look, always=always))
        finally:
            look(self.report())
            self._outlets.close()

    def report(self) -> Report:
        """Return how everything is now."""
        moment = self._moment()
        robots = [quality(twin, moment, linked=self.linked) for twin in self.fleet.robots.values()]
        return self._reported(robots)

    def _take(self, message: Publish) -> None:
        self.fleet.take(message.topic, message.payload, message.user, self._moment(), retained=message.retain)

    def _moment(self) -> Moment:
        return Moment(self._clock.now_ns(), self._clock.stamp_ns() // NS_PER_US)

    def _outlet(self, twin: RobotTwin, channel: str) -> Outlet:
        known = self._robots.setdefault(twin.robot_id, {})
        outlet = known.get(channel)
        channel_twin = twin.channels.get(channel)
        announced = channel_twin.announced if channel_twin is not None else None
        if outlet is None or outlet.announced is not announced:
            outlet = known[channel] = self._outlets.outlet(twin.robot_id, channel, announced)
            outlet.announced = announced
        return outlet

    def _point(self, twin: RobotTwin, channel: str, data: Any) -> Point | None:
        return self._outlet(twin, channel).point_of(data)

    def _show(self, twin: RobotTwin, channel: str, data: Any) -> None:
        self._outlets.publish(self._outlet(twin, channel), data, f"{twin.robot_id}/{channel}")

    def _gone(self, robot_id: str) -> None:
        self._robots.pop(robot_id, None)
        self._unannounced = {key: at for key, at in self._unannounced.items() if key[0] != robot_id}
        self._outlets.forget(robot_id)
        self._told(f"robot {robot_id} has gone; its topics are closed")

    async def _ask_the_time(self) -> None:
        while True:
            if self.linked:
                for twin in list(self.fleet.robots.values()):
                    if self.fleet.pings.due(twin, self._clock.now_ns()):
                        self._listening.send(*self.fleet.pings.question(twin.robot_id, self._clock.now_ns()))
            await asyncio.sleep(_PING_LOOK_S)

    async def _tell_figures(self, look: Callable[[Report], None], *, always: bool) -> None:
        while True:
            robots = []
            summarised = self._outlets.looked_at(_SUMMARY, self._messages.type)
            for twin in list(self.fleet.robots.values()):
                self._tell_unannounced(twin)
                topic = self._outlets.quality_topic(twin.robot_id)
                looked_at = self._outlets.looked_at(topic, self._messages.type)
                if not (always or summarised or looked_at):
                    continue
                figures = quality(twin, self._moment(), linked=self.linked)
                robots.append(figures)
                if looked_at:
                    self._outlets.publish_on(topic, self._messages.robot(figures, self._clock.stamp_ns()))
                await asyncio.sleep(0)
            if summarised:
                self._outlets.publish_on(_SUMMARY, self._messages.summary(robots, self._clock.stamp_ns()))
            look(self._reported(robots))
            self.fleet.forget_long_gone(self._clock.now_ns())
            await asyncio.sleep(_FIGURES_EVERY_S)

    def _reported(self, robots: Sequence[RobotQuality]) -> Report:
        fleet, stamp_us = self.fleet, self._clock.stamp_ns() // NS_PER_US
        ordered = tuple(sorted(robots, key=lambda robot: robot.robot_id))
        return Report(stamp_us, self.linked, ordered, fleet.messages, fleet.unreadable, self._outlets.published)

    def _tell_unannounced(self, twin: RobotTwin) -> None:
        """Say it once when a channel flows and its robot has not said of what type it is."""
        now_ns = self._clock.now_ns()
        for name, channel in twin.channels.items():
            key = (twin.robot_id, name)
            if channel.announced is not None or channel.state is None:
                continue
            since_ns = self._unannounced.setdefault(key, now_ns)
            if 0 <= since_ns <= now_ns - _UNANNOUNCED_NS:
                self._unannounced[key] = -1
                cure = "update its edgetwin, or let it publish .../channels in the broker's ACL"
                self._told(f"{twin.robot_id}/{name}: its type is not announced; not mirrored; {cure}")
