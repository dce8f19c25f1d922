"""Replay: publish recorded bytes, each when it is due.

In: Recorded messages, a ROS node     Out: reliable topics, a Tally of what was sent.
The bytes go out untouched: nothing is decoded, header stamps stay as recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin.clock import NS_PER_S, Clock, seconds_to_ns
from edgetwin.errors import RosTypeError
from edgetwin.ros.context import import_rclpy
from edgetwin.ros.types import message_class
from edgetwin.sim.layouts import difference, installed_layout
from edgetwin.sim.pace import Pace
from edgetwin.sim.recorded import Recorded, Topic

# History of a publisher, and at rate 0 what may be under way unacknowledged: larger bursts overflow the
# receiver's socket and are slower in the end.
_DEPTH = 100
_NAP_MAX_S = 0.1  # a signal is noticed at the latest after this long
_POLL_S = 0.02
_FAREWELL_NS = 5 * NS_PER_S  # how long the last messages may take to be acknowledged


@dataclass(slots=True)
class Tally:
    """What was published on one topic, by the name it was published under."""

    topic: str
    type_name: str
    messages: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class _Outlet:
    """A publisher and what it has sent since everything was acknowledged."""

    publisher: Any
    tally: Tally
    depth: int
    unconfirmed: int = 0


def obstacle(topic: Topic) -> str:
    """Return why `topic` cannot be played here, and the cure; empty when it can."""
    if topic.obstacle:
        return topic.obstacle
    try:
        installed = installed_layout(topic.type_name)
    except RosTypeError as error:
        return str(error)
    if topic.layout is not None and (what := difference(topic.layout, installed)):
        return f"{topic.type_name}: {what}; play it where that version of the package is installed"
    return ""


class Player:
    """Publishes a recording on a node; stops within 0.1 s when `stopping` becomes true.

    Args:
        node: Where the publishers are made.
        topics: What will be played.
        names: Recorded topic name -> name to publish it under.
        clock: Its monotonic time paces the messages.
        stopping: Asked before every message and during every wait.
        progress: Called with every message, after it was published.
    """

    def __init__(
        self,
        node: Any,
        topics: Iterable[Topic],
        names: Mapping[str, str],
        *,
        clock: Clock,
        stopping: Callable[[], bool],
        progress: Callable[[Recorded], None],
    ) -> None:
        self._node = node
        self._clock = clock
        self._stopping = stopping
        self._progress = progress
        self._outlets = {topic.name: self._open(topic, names.get(topic.name, topic.name)) for topic in topics}

    @property
    def tallies(self) -> list[Tally]:
        """What was sent so far."""
        return [outlet.tally for outlet in self._outlets.values()]

    def await_subscribers(self, timeout_s: float) -> list[str]:
        """Wait until every topic has a subscriber; return the topics that have none in the end."""
        deadline_ns = self._clock.now_ns() + seconds_to_ns(timeout_s)
        while True:
            lonely = [it.tally.topic for it in self._outlets.values() if not it.publisher.get_subscription_count()]
            if not lonely or self._stopping() or self._clock.now_ns() >= deadline_ns:
                return lonely
            time.sleep(_POLL_S)

    def play(self, messages: Iterable[Recorded], rate: float) -> None:
        """Publish `messages` in order.

        Args:
            messages: By log time.
            rate: 1 = as recorded, 2 = twice as fast; 0 = as fast as the subscribers acknowledge.
        """
        pace = Pace(rate)
        for message in messages:
            self._wait_until_due(pace, message.stamp_ns)
            if self._stopping():
                return
            outlet = self._outlets[message.topic]
            outlet.publisher.publish(message.cdr)
            outlet.tally.messages += 1
            outlet.tally.size_bytes += len(message.cdr)
            outlet.unconfirmed += 1
            if rate == 0 and outlet.unconfirmed >= outlet.depth:
                self._await_acknowledgement(outlet, deadline_ns=None)
            self._progress(message)

    def farewell(self) -> list[str]:
        """Wait until what was sent is acknowledged, 5 s at most; return the topics where it was not."""
        deadline_ns = self._clock.now_ns() + _FAREWELL_NS
        for outlet in self._outlets.values():
            self._await_acknowledgement(outlet, deadline_ns=deadline_ns)
        return [it.tally.topic for it in self._outlets.values() if it.unconfirmed]

    def _open(self, topic: Topic, name: str) -> _Outlet:
        qos = import_rclpy().qos
        depth = topic.latched_depth or _DEPTH
        profile = qos.QoSProfile(
            history=qos.HistoryPolicy.KEEP_LAST,
            depth=depth,
            reliability=qos.ReliabilityPolicy.RELIABLE,
            durability=qos.DurabilityPolicy.TRANSIENT_LOCAL if topic.latched_depth else qos.DurabilityPolicy.VOLATILE,
        )
        publisher = self._node.create_publisher(message_class(topic.type_name), name, profile)
        return _Outlet(publisher, Tally(name, topic.type_name), depth)

    def _wait_until_due(self, pace: Pace, stamp_ns: int) -> None:
        while not self._stopping():
            wait_ns = pace.wait_ns(stamp_ns, now_ns=self._clock.now_ns())
            if wait_ns == 0:
                return
            time.sleep(min(wait_ns / NS_PER_S, _NAP_MAX_S))

    def _await_acknowledgement(self, outlet: _Outlet, *, deadline_ns: int | None) -> None:
        """Wait in short naps: rclpy's own wait cannot be interrupted by a signal."""
        from rclpy.duration import Duration  # noqa: PLC0415  # it is there: a publisher is

        nap = Duration(seconds=_NAP_MAX_S)
        while not outlet.publisher.wait_for_all_acked(nap):
            late = deadline_ns is not None and self._clock.now_ns() >= deadline_ns
            if late or self._stopping():
                return
        outlet.unconfirmed = 0
