"""Outboxes for the tests of export: written by the store itself, with records as the daemon numbers them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgetwin import wire
from edgetwin.records import ChannelClass, Encoding, EventKind, Lane, Record
from edgetwin.store import calls
from edgetwin.store.database import Database
from edgetwin.store.ledger import Draft

ROOMY_BYTES = 100_000_000
START_US = 1_795_327_201_360_952
TOPICS = wire.Topics("r")
ODOM = TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
JOINTS = TOPICS.channel_lane("joints", ChannelClass.CRITICAL, Encoding.JSON, 1)
SCAN = TOPICS.channel_lane("scan", ChannelClass.SLOW, Encoding.JSON, 1)
CDR = TOPICS.channel_lane("raw", ChannelClass.SLOW, Encoding.CDR, 1)
GAP = TOPICS.event_lane(EventKind.GAP)


class Robot:
    """One boot of a robot that writes into its outbox; nobody acknowledges anything.

    Attributes:
        database: The store's own, open: it holds the file alone.
    """

    def __init__(self, path: Path, boot: str = "b0a1", max_bytes: int = ROOMY_BYTES) -> None:
        self.boot = boot
        self.database = Database(path, max_bytes)
        self._row = self.database.totals().next_row
        self._numberings: dict[str, wire.Numbering] = {}

    def numbered(self, lane: Lane, contents: Iterable[Any], *, step_us: int = 20_000) -> list[Record]:
        """Return records; contents are JSON values, or CDR as bytes."""
        numbering = self._numberings.setdefault(lane.name, wire.Numbering("r", self.boot, lane))
        records = []
        for content in contents:
            data = content if isinstance(content, bytes) else wire.encode(content)
            stamp_us = START_US + numbering.next_seq * step_us
            records.append(numbering.number(data, stamp_us=stamp_us, recv_us=stamp_us + 137, now_ns=0))
        return records

    def store(self, lane: Lane, contents: Iterable[Any], *, rows: int = 1, step_us: int = 20_000) -> list[int]:
        """Write records, spread over some rows; return the rows."""
        records = tuple(self.numbered(lane, contents, step_us=step_us))
        each = math.ceil(len(records) / rows)
        drafts = [
            Draft(self._row + at, records[at * each : (at + 1) * each]) for at in range(math.ceil(len(records) / each))
        ]
        self._row += len(drafts)
        self._append(drafts)
        return [draft.row for draft in drafts]

    def close(self) -> None:
        """End in order."""
        self.database.close()

    def _append(self, drafts: Sequence[Draft]) -> None:
        calls.append(
            self.database,
            drafts=drafts,
            standalone=lambda record: self._numberings[record.lane.name].standalone(record),
            boot=self.boot,
            merge_below=0,
        )


def pose(number: int) -> dict[str, Any]:
    """Return an odometry whose floats need all their digits."""
    return {
        "header": {"frame_id": "odom"},
        "pose": {"pose": {"position": {"x": number / 3, "y": -number / 7e9, "z": 5e-324}}},
        "twist": {"twist": {"linear": {"x": math.sin(number)}, "angular": {"z": None}}},
    }


def joints(number: int) -> dict[str, Any]:
    """Return a JointState of two wheels."""
    left, right = math.sin(number / 40), math.sin(number / 40) * 1.01
    return {"name": ["left_wheel", "right_wheel"], "velocity": [left, right], "effort": [left * 2, right * 2]}
