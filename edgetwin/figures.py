"""Roof: the daemon in numbers, for status.json and for the retained status topic.

In: the rooms     Out: plain values. Reads only; keeps nothing but the last counts, for rates.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin import __version__, kernel_clock
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.driving import Driving
from edgetwin.forwarding import Forwarding
from edgetwin.lane.ledger import DecisionEntry
from edgetwin.pipeline import Pipeline
from edgetwin.ros.topic import Topic
from edgetwin.store.outbox import Outbox
from edgetwin.uplink.link import Link
from edgetwin.uplink.live import LiveLane
from edgetwin.uplink.pump import Pump

_MEASURE_EVERY_NS = 5 * NS_PER_S
_US_PER_S = 1_000_000


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
    forwarding: Forwarding
    store_max_bytes: int


class Figures:
    """Snapshots of one daemon."""

    def __init__(self, robot_id: str, boot: str, rooms: Rooms, clock: Clock) -> None:
        self._identity = {"robot_id": robot_id, "boot": boot, "version": __version__, "pid": os.getpid()}
        self._rooms = rooms
        self._clock = clock
        self._counted: dict[str, tuple[int, int, int]] = {}
        self._counted_ns = clock.now_ns()
        self._measured_ns: int | None = None

    def whole(self, state: str) -> dict[str, Any]:
        """Return everything, for status.json; rates are since the last call."""
        now_ns = self._clock.now_ns()
        elapsed_s = max(1e-9, (now_ns - self._counted_ns) / NS_PER_S)
        self._counted_ns = now_ns
        channels = {name: self._channel(name, elapsed_s) for name in self._rooms.pipelines}
        head = {"v": 1, **self._identity, "stamp_us": self._clock.stamp_ns() // NS_PER_US, "state": state}
        brief = self.brief()
        brief["outbox"] |= self._disk(now_ns)
        brief["gate"] |= {"refused": [_refusal(entry) for entry in self._rooms.driving.refusals]}
        return head | brief | {"channels": channels}

    def brief(self) -> dict[str, Any]:
        """Return link, outbox, gate, clock and the end of the audit, for the status topic."""
        rooms = self._rooms
        head = rooms.outbox.audit_head  # known off the robot, nobody can cut off the end of the audit unseen
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
            "clock": kernel_clock.look().figures(),
            "flows": {
                name: {"received": pipeline.pacer.received, "published": pipeline.pacer.passed}
                for name, pipeline in rooms.pipelines.items()
            },
            "audit": {
                "number": None if head is None else head.number,
                "hash": None if head is None else head.hash,
                "lost": rooms.outbox.audit_lost,
            },
        }

    def _disk(self, now_ns: int) -> dict[str, Any]:
        """Return what is on disk; measured every few seconds, on the store's thread."""
        outbox = self._rooms.outbox
        if self._measured_ns is None or now_ns - self._measured_ns >= _MEASURE_EVERY_NS:
            self._measured_ns = now_ns
            outbox.measure()
        measured, age_s = outbox.measured, None
        if measured.oldest_us is not None and outbox.records:
            age_s = round(max(0.0, self._clock.stamp_ns() / NS_PER_US - measured.oldest_us) / _US_PER_S, 1)
        return {
            "used_bytes": measured.used_bytes,
            "max_bytes": self._rooms.store_max_bytes,
            "oldest_age_s": age_s,
            "problem": self._rooms.forwarding.disk_problem,
        }

    def _channel(self, name: str, elapsed_s: float) -> dict[str, Any]:
        pipeline, topic = self._rooms.pipelines[name], self._rooms.topics.get(name)
        pacer = pipeline.pacer
        received_before, passed_before, held_before = self._counted.get(name, (0, 0, 0))
        self._counted[name] = (pacer.received, pacer.passed, pacer.held_back)
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
            "held_hz": round((pacer.held_back - held_before) / elapsed_s, 2),
            "out_hz": round((pacer.passed - passed_before) / elapsed_s, 2),
            "problem": self._rooms.problems.get(name),
        }


def _refusal(entry: DecisionEntry) -> dict[str, Any]:
    return {
        "stamp_us": entry.stamp_us,
        "command": entry.command,
        "id": entry.id,
        "client": entry.client,
        "code": str(entry.code),
        "detail": entry.detail,
        "repeat": entry.repeat,
    }
