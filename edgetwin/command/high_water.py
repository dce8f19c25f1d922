"""Command room: the highest sequence number of each client, under `stamped` (row 13).

In: client, seq, stamp of authentic moves     Out: whether it was there before; a snapshot for the disk.
Bounded: beyond `clients_max` the client with the oldest stamp is forgotten, and the floor rises to that stamp. What is
not stamped later than the floor is a replay, whoever sends it, so whatever was forgotten stays refused.
Source: MAVLink 2 signing (a strictly rising stamp per sender, kept over restarts).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetwin.command.body import CLIENT_MAX, SEQ_MAX

_US_MAX = 2**63
_NO_FLOOR_US = -_US_MAX


class HighWater:
    """The high-water marks of one robot."""

    def __init__(self, clients_max: int, memory: Mapping[str, Any] | None = None) -> None:
        """Begin with what was remembered.

        Args:
            clients_max: Most clients to remember.
            memory: A `snapshot`, of this process or an earlier one; what cannot be read of it counts as none.
        """
        self._clients_max = clients_max
        self._marks: dict[str, tuple[int, int]] = {}  # client -> (seq, newest stamp_us)
        self._floor_us = _NO_FLOOR_US
        marks, floor_us = _read(memory)
        self._floor_us = floor_us
        for client, (seq, stamp_us) in marks.items():
            self.rise(client, seq, stamp_us)

    def is_replay(self, client: str, seq: int, stamp_us: int) -> bool:
        """Whether a message with this number and this stamp may have been here before."""
        mark = self._marks.get(client)
        return stamp_us <= self._floor_us or (mark is not None and seq <= mark[0])

    def rise(self, client: str, seq: int, stamp_us: int) -> None:
        """Remember a message; nothing ever falls."""
        old_seq, old_stamp_us = self._marks.get(client, (seq, stamp_us))
        self._marks[client] = (max(old_seq, seq), max(old_stamp_us, stamp_us))
        if len(self._marks) > self._clients_max:
            oldest = min(self._marks, key=lambda name: self._marks[name][1])
            self._floor_us = max(self._floor_us, self._marks.pop(oldest)[1])

    def snapshot(self) -> dict[str, Any]:
        """Return everything that must survive a restart, as JSON values."""
        return {"floor_us": self._floor_us, "clients": {name: list(mark) for name, mark in self._marks.items()}}


def _read(memory: Any) -> tuple[dict[str, tuple[int, int]], int]:
    """Return marks and floor of a snapshot; a damaged file must not keep the robot from starting."""
    if not isinstance(memory, Mapping):
        return {}, _NO_FLOOR_US
    floor_us: Any = memory.get("floor_us")
    clients = memory.get("clients")
    marks = {
        name: (mark[0], mark[1])
        for name, mark in (clients.items() if isinstance(clients, Mapping) else ())
        if isinstance(name, str) and len(name) <= CLIENT_MAX and _is_mark(mark)
    }
    return marks, floor_us if _is_whole(floor_us, _NO_FLOOR_US, _US_MAX) else _NO_FLOOR_US


def _is_mark(mark: Any) -> bool:
    if not isinstance(mark, (list, tuple)) or len(mark) != len(("seq", "stamp_us")):
        return False
    return _is_whole(mark[0], 0, SEQ_MAX) and _is_whole(mark[1], _NO_FLOOR_US, _US_MAX)


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return type(value) is int and lowest <= value <= highest
