"""A store that was broken, an outbox that starts on it, and what is wrong with what becomes of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetwin.continuity import Continuity
from edgetwin.records import Fate, Gap, GapCause, Parcel
from tests.proofs.keeper import ODOM, Keeper, covered, records_of

UP_S = 5.0
MAX_BYTES = 1_000_000
FRESH = 5
EXPLAINED = (GapCause.QUARANTINE, GapCause.DAMAGED)


@dataclass(frozen=True, slots=True)
class Original:
    """A store with a backlog, as a kill left it."""

    folder: Path
    content: dict[tuple[str, int], Any]

    @property
    def files(self) -> list[Path]:
        """Database and write-ahead log, those that hold something."""
        return [file for file in (self.folder / "outbox.db", self.folder / "outbox.db-wal") if file.stat().st_size]


@dataclass(slots=True)
class Outcome:
    """What became of one broken store."""

    up_s: float = 0.0
    quarantined: list[Path] = field(default_factory=list)
    arrived: dict[tuple[str, int], Any] = field(default_factory=dict)
    fresh: set[tuple[str, int]] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def note(content: dict[tuple[str, int], Any], parcel: Parcel) -> None:
    """Add the records of a parcel to what arrived."""
    for record in records_of(parcel):
        record.pop("late", None)
        content[record["channel"], record["seq"]] = (parcel.topic, record)


def tried(folder: Path, original: Original) -> Outcome:
    """Start an outbox on a broken store, give it fresh records, drain it, and note what is wrong."""
    outcome = Outcome()

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: outcome.wrong.append(f"stopped the daemon: {context.get('exception')!r}")
        )

        def take(parcel: Parcel) -> None:
            found: dict[tuple[str, int], Any] = {}
            note(found, parcel)
            for identity, (topic, record) in found.items():
                if record["boot"] == "new":
                    outcome.fresh.add(identity)
                else:
                    outcome.arrived[identity] = (topic, record)

        started_s = time.monotonic()
        keeper = Keeper(folder / "outbox.db", "new", MAX_BYTES)
        await keeper.open()
        fresh = keeper.put(ODOM, FRESH)
        try:
            await keeper.kept(UP_S)
        except TimeoutError:
            outcome.wrong.append(f"takes nothing within {UP_S} s: {keeper.trouble}")
        outcome.up_s = time.monotonic() - started_s
        if any(record.fate is Fate.RETURNED and not record.row for record in fresh):
            outcome.wrong.append("fresh records were given up")
        try:
            await keeper.drain(take, UP_S)
        except TimeoutError:
            outcome.wrong.append(f"does not drain: {keeper.outbox.backlog} left, {keeper.trouble}")
        await keeper.tell_gaps(Continuity())
        await keeper.outbox.close()
        outcome.quarantined = [moved for moved, _ in keeper.set_aside]
        outcome.gaps = keeper.lost
        _judge(outcome, original, covered(keeper.lost, "old", EXPLAINED))

    try:
        asyncio.run(asyncio.wait_for(story(), 20))
    except Exception as error:  # noqa: BLE001  # whatever it is, the daemon would have ended by it
        outcome.wrong.append(f"stopped the daemon: {error!r}")
    return outcome


def _judge(outcome: Outcome, original: Original, explained: dict[str, set[int]]) -> None:
    for identity, (topic, record) in outcome.arrived.items():
        if original.content.get(identity) != (topic, record):
            outcome.wrong.append(f"altered: {identity} on {topic}")
    if {("odom", seq) for seq in range(FRESH)} - outcome.fresh:
        outcome.wrong.append(f"fresh records are missing: {sorted(outcome.fresh)}")
    silent = [
        identity for identity in original.content
        if identity not in outcome.arrived and identity[1] not in explained.get(identity[0], set())
    ]  # fmt: skip
    if silent:
        outcome.wrong.append(f"silently gone: {len(silent)}, {silent[0]}..{silent[-1]}")
