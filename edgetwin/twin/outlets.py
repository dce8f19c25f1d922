"""Twin wing: the ROS side of the mirror: one node, one publisher per mirrored channel.

In: robot, channel, its announcement; then records
Out: messages on /virtual/<robot>/<channel>; words for what cannot be mirrored, once each
Nothing is latched: who joins late sees what is live, not what was the last word of a robot that has gone. So what
nobody subscribes to is not made: of such a channel only the first record is, to know whether it fits its type. It
imports `edgetwin.ros.context` and `types`: a mirror without ROS is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgetwin.announcement import Announced
from edgetwin.errors import EdgeTwinError, MalformedMessageError
from edgetwin.records import Encoding
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class
from edgetwin.twin import fill
from edgetwin.twin.names import Names
from edgetwin.twin.places import PointOf, nowhere, point_reader

ROOT = "/virtual"
_DEPTH = 100  # a backlog's newest beside a burst of the live lane
_QUALITY_DEPTH = 10

Told = Callable[[str], None]


@dataclass(slots=True)
class Outlet:
    """One mirrored channel. `publisher` None: its type is not here, or nobody has announced it.

    Attributes:
        tried: A record has been made into a message of its type, or could not be.
    """

    announced: Announced | None
    publisher: Any = None
    make: Callable[[Any], Any] | None = None
    point_of: PointOf = nowhere
    malformed: int = 0
    tried: bool = False


class Outlets:
    """All publishers of one mirror.

    Attributes:
        published: Messages that were handed to ROS.
    """

    def __init__(self, node_name: str, told: Told) -> None:
        """Open the node.

        Raises:
            RosUnavailableError: There is no ROS here.
        """
        self.published = 0
        self._told = told
        self._node = open_node(node_name)
        self._robots = Names("r")
        self._channels: dict[str, Names] = {}
        self._outlets: dict[tuple[str, str], Outlet] = {}
        self._others: dict[str, Any] = {}

    def robot_token(self, robot_id: str) -> str:
        """Return the name of a robot in ROS; tell where it is not its id."""
        clashes = len(self._robots.clashes)
        known = robot_id in self._channels
        found = self._robots.of(robot_id)
        self._channels.setdefault(robot_id, Names("c"))
        if len(self._robots.clashes) > clashes:
            self._told(
                f"robot {robot_id} appears as {found}: another one is called {self._robots.clashes[-1][1]} already"
            )
        elif found != robot_id and not known:
            self._told(f"robot {robot_id} appears as {found}: its id is no ROS name")
        return found

    def outlet(self, robot_id: str, channel: str, announced: Announced | None) -> Outlet:
        """Return where a channel goes, made anew when its announcement has changed."""
        outlet = self._outlets.get((robot_id, channel))
        if outlet is not None and (outlet.announced is announced or outlet.announced == announced):
            return outlet
        if outlet is not None and outlet.publisher is not None:
            self._node.destroy_publisher(outlet.publisher)
        made = self._outlets[robot_id, channel] = Outlet(announced)
        if announced is not None:
            self._open(made, announced, robot_id, channel)
        return made

    def publish(self, outlet: Outlet, data: Any, where: str) -> None:
        """Publish a record to those who look; what does not fit its type is counted, and told the first time."""
        if outlet.make is None or (outlet.tried and not outlet.publisher.get_subscription_count()):
            return
        outlet.tried = True
        try:
            message = outlet.make(data)
        except MalformedMessageError as error:
            outlet.malformed += 1
            if outlet.malformed == 1:
                self._told(f"{where}: {error}; not mirrored")
            return
        outlet.publisher.publish(message)
        self.published += 1

    def publish_on(self, topic: str, message: Any) -> None:
        """Publish a message of our own on a topic of our own."""
        self._own(topic, type(message)).publish(message)

    def looked_at(self, topic: str, cls: Any) -> bool:
        """Return whether anybody subscribes to a topic of our own; from now on it is there to be found."""
        return bool(self._own(topic, cls).get_subscription_count())

    def forget(self, robot_id: str) -> None:
        """Take a robot out of ROS."""
        for key in [key for key in self._outlets if key[0] == robot_id]:
            outlet = self._outlets.pop(key)
            if outlet.publisher is not None:
                self._node.destroy_publisher(outlet.publisher)
        quality = self._others.pop(self.quality_topic(robot_id), None)
        if quality is not None:
            self._node.destroy_publisher(quality)
        self._channels.pop(robot_id, None)
        self._robots.forget(robot_id)

    def quality_topic(self, robot_id: str) -> str:
        """Return where the figures of a robot go; a channel of that name gives way."""
        token = self.robot_token(robot_id)
        self._channels[robot_id].of("quality")
        return f"{ROOT}/{token}/quality"

    def close(self) -> None:
        """Leave the graph."""
        close_node(self._node)

    def _own(self, topic: str, cls: Any) -> Any:
        publisher = self._others.get(topic)
        if publisher is None:
            publisher = self._others[topic] = self._node.create_publisher(cls, topic, _QUALITY_DEPTH)
        return publisher

    def _open(self, outlet: Outlet, announced: Announced, robot_id: str, channel: str) -> None:
        try:
            cls = message_class(announced.type)
            make = fill.json_maker(cls) if announced.encoding is Encoding.JSON else fill.cdr_maker(cls)
            point_of = point_reader(cls, announced.encoding)
        except EdgeTwinError as error:
            self._told(f"{robot_id}/{channel}: {error}; not mirrored")
            return
        token = self.robot_token(robot_id)
        names = self._channels[robot_id]
        names.of("quality")
        outlet.make, outlet.point_of = make, point_of
        name = channel if channel != "quality" else "quality_channel"
        outlet.publisher = self._node.create_publisher(cls, f"{ROOT}/{token}/{names.of(name)}", _DEPTH)
        if announced.fields is not None:
            sent = ", ".join(announced.fields)
            self._told(f"{robot_id}/{channel}: only {sent} are sent; the rest of {announced.type} has its defaults")
