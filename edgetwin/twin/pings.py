"""Twin wing: who is asked for the time, and when; the answers, matched to their questions.

In: robots that are there, acks     Out: pings to send; offsets into each robot's time
Pure. Four quick ones at the beginning of each boot, then one every five seconds; what was not answered is forgotten.
Source: the contract's `commands/ping`: it needs no lease, moves nothing, and anybody may send it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import orjson

from edgetwin import wire
from edgetwin.motion import Verb
from edgetwin.twin.state import RobotTwin

_FIRST = 4
_FIRST_EVERY_NS = 100_000_000
_EVERY_NS = 5_000_000_000
_PENDING_MAX = 64
_NS_PER_MS = 1e6


@dataclass(slots=True)
class _Turn:
    boot: str
    asked: int = 0
    due_ns: int = 0


class Pings:
    """The pings of one mirror."""

    def __init__(self, prefix: str) -> None:
        """Begin with none sent; `prefix` is the first level of the topics."""
        self._prefix = prefix
        self._session = secrets.token_hex(4)
        self._count = 0
        self._turns: dict[str, _Turn] = {}
        self._sent_ns: dict[str, dict[str, int]] = {}

    def due(self, twin: RobotTwin, now_ns: int) -> bool:
        """Return whether a robot is to be asked now; that counts as asked."""
        if not twin.boot:
            return False
        turn = self._turns.get(twin.robot_id)
        if turn is None or turn.boot != twin.boot:
            turn = self._turns[twin.robot_id] = _Turn(twin.boot)
            self._sent_ns[twin.robot_id] = {}  # an answer to the run before tells of another clock
        if now_ns < turn.due_ns:
            return False
        turn.asked += 1
        turn.due_ns = now_ns + (_FIRST_EVERY_NS if turn.asked < _FIRST else _EVERY_NS)
        return True

    def question(self, robot_id: str, now_ns: int) -> tuple[str, bytes]:
        """Return topic and payload of one ping that leaves now."""
        self._count += 1
        name = f"mirror-{self._session}-{self._count}"
        pending = self._sent_ns.setdefault(robot_id, {})
        pending[name] = now_ns
        if len(pending) > _PENDING_MAX:
            del pending[next(iter(pending))]
        topic = wire.Topics(robot_id, self._prefix).command(Verb.PING)
        return topic, wire.encode({"id": name, "t_ms": now_ns / _NS_PER_MS})

    def answer(self, twin: RobotTwin, payload: bytes, now_ns: int) -> None:
        """Take an ack; what is none of ours is somebody else's."""
        try:
            ack = orjson.loads(payload)
            sent_ns = self._sent_ns.get(twin.robot_id, {}).pop(ack["id"], None)
            robot_us = ack.get("robot_us")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if sent_ns is not None and isinstance(robot_us, int) and not isinstance(robot_us, bool):
            twin.time.ping(sent_ns, now_ns, robot_us)

    def forget(self, robot_id: str) -> None:
        """It has gone."""
        self._turns.pop(robot_id, None)
        self._sent_ns.pop(robot_id, None)
