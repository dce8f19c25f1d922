"""ROS room: the robot's topics, taken raw on the loop's thread.

In: topics to follow     Out: raw CDR messages, one call each; what is wrong with a topic, in words.

Publishers may come late, restart, and differ in QoS: the graph is looked at a few times a second,
and each topic's subscription follows it. Messages are never decoded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from edgetwin.clock import Clock
from edgetwin.errors import RosUnavailableError
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.topic import Sink, Topic
from edgetwin.ros.wakeup import open_wakeup

_WAITING_POLL_S = 0.2
_MATCHED_POLL_S = 1.0
_SHORT_TICK_S = 0.02  # the consumer can put off what it has to do to the next tick, but not to one much later
_TAKE_MAX = 5000  # messages per topic and turn: as deep as a queue can be

OnProblem = Callable[[str, str | None], None]
OnLost = Callable[[str, int], None]


class Consumer(Protocol):
    """Who is behind the sinks: told of turns, so that what a turn brings leaves together."""

    def turn_begins(self) -> None:
        """Messages are about to be handed over."""
        ...

    def turn_ends(self) -> None:
        """That was all for now."""
        ...

    def ticking(self, on: bool) -> None:  # noqa: FBT001
        """Turns come at ticks from now on, or at any time again."""
        ...


class Graph:
    """One lean node and the topics it follows."""

    def __init__(
        self, node_name: str, clock: Clock, consumer: Consumer, on_problem: OnProblem, on_lost: OnLost, tick_s: float
    ) -> None:
        """Join the ROS graph.

        Args:
            node_name: Name of the node.
            clock: For the time of each drain.
            consumer: Told of each turn.
            on_problem: Called with (channel, words) when something keeps a channel from its messages, and
                with (channel, None) when it is over. Once per change.
            on_lost: Called with (channel, messages so far) when DDS lost messages on the way to us.
            tick_s: How long frequent messages are collected.

        Raises:
            RosUnavailableError: ROS is missing or does not start.
        """
        self._clock = clock
        self._consumer = consumer
        self._on_problem = on_problem
        self._on_lost = on_lost
        self._problems: dict[str, str] = {}
        self._lost_reported: dict[str, int] = {}
        self.topics: dict[str, Topic] = {}
        self.node = open_node(node_name)
        try:
            loop = asyncio.get_running_loop()
            on_ticking = consumer.ticking if tick_s <= _SHORT_TICK_S else _not_told
            self._wakeup = open_wakeup(loop, self.drain, on_ticking, tick_s)
            self._urgent = open_wakeup(loop, self.drain, consumer.ticking, None)
        except Exception as error:
            close_node(self.node)
            msg = f"no way to wake the loop for ROS messages: {error}"
            raise RosUnavailableError(msg) from error

    @property
    def wakeup_name(self) -> str:
        """How messages wake the loop here."""
        return self._wakeup.name

    def follow(
        self, channel: str, topic: str, type_name: str, message_class: Any, depth: int | None, sink: Sink,
        *, urgent: bool = False,
    ) -> None:  # fmt: skip
        """Deliver every message of `topic` to `sink`, as soon as there is a publisher; urgent ones wait for no tick."""
        wakeup = self._urgent if urgent else self._wakeup
        self.topics[channel] = Topic(self.node, wakeup, topic, type_name, message_class, depth, sink)

    async def watch(self, came_round: Callable[[], None] = lambda: None) -> None:
        """Follow the publishers until cancelled; say each time that ROS has answered for all topics."""
        while True:
            waiting = False
            for channel, topic in self.topics.items():
                self._report(channel, topic.follow_publishers(self._clock.now_ns()))
                self._report_lost(channel, topic.lost)
                waiting |= topic.unsettled
            came_round()
            await asyncio.sleep(_WAITING_POLL_S if waiting else _MATCHED_POLL_S)

    def drain(self) -> int:
        """Take what has come, on all topics; return how many messages that was."""
        now_ns = self._clock.now_ns()
        self._consumer.turn_begins()
        count = 0
        for topic in self.topics.values():
            count += topic.take(now_ns, _TAKE_MAX)
        self._consumer.turn_ends()
        return count

    def close(self) -> None:
        """Leave the graph: callbacks off, subscriptions, node, context, in this order."""
        for topic in self.topics.values():
            topic.close()
        self._wakeup.close()
        self._urgent.close()
        with suppress(RuntimeError):  # the context may already be gone
            close_node(self.node)

    def _report_lost(self, channel: str, lost: int) -> None:
        """Tell of messages that never reached us when it begins, and each time their number has grown tenfold."""
        if lost > 10 * self._lost_reported.get(channel, 0):
            self._lost_reported[channel] = lost
            self._on_lost(channel, lost)

    def _report(self, channel: str, problem: str | None) -> None:
        if self._problems.get(channel) == problem:
            return
        if problem is None:
            del self._problems[channel]
        else:
            self._problems[channel] = problem
        self._on_problem(channel, problem)


def _not_told(_on: bool) -> None:  # noqa: FBT001
    """Ticks are too far apart to spare other wake-ups."""
