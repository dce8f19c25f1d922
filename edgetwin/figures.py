"""Roof: the daemon in numbers, for status.json and for the retained status topic.

In: the rooms     Out: plain values. Reads only; keeps nothing but the last counts, for rates.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin import __version__
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.driving import Driving
from edgetwin.pipeline import Pipeline
from edgetwin.ros.topic import Topic
from edgetwin.store.outbox import Outbox
from edgetwin.uplink.link import Link
from edgetwin.uplink.live import LiveLane
from edgetwin.uplink.pump import Pump


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the figures are read from."""

    pipelines: Mapping[str, Pipeline]
    topics: Mapping[str, Topic]
    problems: Mapping[str, str]
    outbox: Outbox
    link: Link
    live: LiveLane
    pump: Pump
    driving: Driving


class Figures:
    """Snapshots of one daemon."""

    def __init__(self, robot_id: str, boot: str, rooms: Rooms, clock: Clock) -> None:
        self._identity = {"robot_id": robot_id, "boot": boot, "version": __version__, "pid": os.getpid()}
        self._rooms = rooms
        self._clock = clock
        self._counted: dict[str, tuple[int, int]] = {}
        self._counted_ns = clock.now_ns()

    def whole(self, state: str) -> dict[str, Any]:
        """Return everything, for status.json; rates are since the last call."""
        now_ns = self._clock.now_ns()
        elapsed_s = max(1e-9, (now_ns - self._counted_ns) / NS_PER_S)
        self._counted_ns = now_ns
        channels = {name: self._channel(name, elapsed_s) for name in self._rooms.pipelines}
        head = {"v": 1, **self._identity, "stamp_us": self._clock.stamp_ns() // NS_PER_US, "state": state}
        return head | self.brief() | {"channels": channels}

    def brief(self) -> dict[str, Any]:
        """Return link, outbox and gate, for the status topic."""
        rooms = self._rooms
        return {
            "link": {
                "state": "up" if rooms.link.connected else "down",
                "since_s": round((self._clock.now_ns() - rooms.link.changed_ns) / NS_PER_S, 3),
                "reconnects": max(0, rooms.link.sessions - 1),
                "last_error": rooms.link.last_error,
            },
            "outbox": {
                "records": rooms.outbox.records,
                "backlog": rooms.outbox.backlog,
                "waiting": rooms.live.waiting,
                "in_flight": rooms.pump.in_flight,
                "refused": rooms.outbox.refusals,
                "given_up": {str(cause): count for cause, count in rooms.outbox.gaps.given_up.items()},
            },
            "gate": rooms.driving.figures(),
        }

    def _channel(self, name: str, elapsed_s: float) -> dict[str, Any]:
        pipeline, topic = self._rooms.pipelines[name], self._rooms.topics.get(name)
        pacer = pipeline.pacer
        received_before, passed_before = self._counted.get(name, (0, 0))
        self._counted[name] = (pacer.received, pacer.passed)
        return {
            "topic": pipeline.channel.topic,
            "type": pipeline.channel.type,
            "publishers": topic.publishers if topic else 0,
            "received": pacer.received,
            "published": pacer.passed,
            "held_back": pacer.held_back,
            "malformed": pipeline.malformed,
            "lost_in_ros": topic.lost if topic else 0,
            "unstamped": pacer.time.unstamped,
            "stamps_backward": pacer.time.backward,
            "stamps_frozen": pacer.time.frozen,
            "stamp_gaps": pacer.time.gaps,
            "backlog": self._rooms.outbox.stored(name),
            "in_hz": round((pacer.received - received_before) / elapsed_s, 2),
            "out_hz": round((pacer.passed - passed_before) / elapsed_s, 2),
            "problem": self._rooms.problems.get(name),
        }
