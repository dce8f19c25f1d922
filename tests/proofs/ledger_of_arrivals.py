"""What arrived, by identity, beside what must have: the receiver's half, plus a look at a dead daemon's store."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from edgetwin.store.block import unpack
from edgetwin.store.database import Database
from tests.integration.lab import Witness

Identity: TypeAlias = tuple[str, str, int]  # boot, channel, seq


class Arrivals:
    """All distinct records that a witness saw.

    Attributes:
        content: Identity -> data.
        altered: Identities that came with two contents.
        gaps: Data of all gap events.
    """

    def __init__(self, witness: Witness) -> None:
        self.content: dict[Identity, Any] = {}
        self.altered: list[Identity] = []
        self.gaps: list[dict[str, Any]] = []
        for arrival in list(witness.arrivals):
            if arrival.topic.split("/")[2] in {"telemetry", "backlog", "events"}:
                for record in arrival.records:
                    self._note(record)

    def _note(self, record: dict[str, Any]) -> None:
        identity = (record["boot"], record["channel"], record["seq"])
        value = (record["stamp_us"], record["recv_us"], record["data"])
        if self.content.setdefault(identity, value) != value:
            self.altered.append(identity)
        elif record["channel"] == "gap":
            self.gaps.append(record["data"])

    def missing(self, wanted: Iterable[Identity]) -> list[Identity]:
        """Return those that did not arrive."""
        return [identity for identity in wanted if identity not in self.content]

    def crash_tails(self) -> dict[tuple[str, str], int]:
        """Return (boot, channel) -> numbers that a crash gap covers and that really did not arrive."""
        tails: dict[tuple[str, str], set[int]] = defaultdict(set)
        for gap in self.gaps:
            if gap["cause"] == "crash":
                boot, channel = gap["boot"], gap["channel"]
                numbers = range(gap["from_seq"], gap["to_seq"] + 1)
                tails[boot, channel].update(n for n in numbers if (boot, channel, n) not in self.content)
        return {stream: len(numbers) for stream, numbers in tails.items()}


def on_disk(store: Path, max_bytes: int) -> set[Identity]:
    """Return what a dead daemon's store holds; looked at in a copy, so that nothing is repaired in passing."""
    found: set[Identity] = set()
    with tempfile.TemporaryDirectory() as folder:
        for part in store.parent.glob(f"{store.name}*"):
            if part.name in {store.name, f"{store.name}-wal", f"{store.name}-journal"}:
                shutil.copy(part, folder)
        copy = Path(folder, store.name)
        if not copy.exists():
            return found
        database = Database(copy, max_bytes)
        try:
            for block in database.read(0, 2**62, 2**40):
                found.update((block.boot, block.lane, orjson.loads(record)["seq"]) for record in unpack(block))
        finally:
            database.close()
    return found
