"""One outbox in this process: a real SQLite, and a clock and a link that do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from edgetwin import wire
from edgetwin.clock import NS_PER_S, NS_PER_US
from edgetwin.continuity import Continuity
from edgetwin.records import ChannelClass, Encoding, EventKind, Fate, Gap, GapCause, Lane, Parcel, Record
from edgetwin.store.backlog import Packer
from edgetwin.store.outbox import Outbox
from edgetwin.store.terms import Limits, OutboxNews

ROBOT_ID = "robot_001"
INTERVAL_S = 0.004
PATIENCE_S = 5.0
_TOPICS = wire.Topics(ROBOT_ID)
ODOM = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
BATTERY = _TOPICS.channel_lane("battery", ChannelClass.SLOW, Encoding.JSON, 1)
BUMPER = _TOPICS.channel_lane("bumper", ChannelClass.EVENT, Encoding.JSON, 1)
GAP = _TOPICS.event_lane(EventKind.GAP)
LANES = (ODOM, BATTERY, BUMPER, GAP)
_RANDOM = Random(7)
_VALUES = tuple(wire.encode({"x": _RANDOM.random(), "y": _RANDOM.random(), "z": 0.0}) for _ in range(997))


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, now_s: float = 1_000.0, stamp_s: float = 1_795_000_000.0) -> None:
        self.shown_ns = round(now_s * NS_PER_S)
        self.wall_ns = round(stamp_s * NS_PER_S)

    def now_ns(self) -> int:
        """Return what is shown."""
        return self.shown_ns

    def stamp_ns(self) -> int:
        """Return the wall time that is shown."""
        return self.wall_ns

    def advance(self, seconds: float) -> None:
        """Go on, both."""
        self.shown_ns += round(seconds * NS_PER_S)
        self.wall_ns += round(seconds * NS_PER_S)


class Keeper:
    """One boot's outbox.

    Attributes:
        outbox: The real one.
        clock: What it goes by.
        trouble: What it said of the disk.
        set_aside: Broken files, and what was wrong with them.
        lost: Gaps that were told, in order.
    """

    def __init__(self, path: Path, boot: str, max_bytes: int = 100_000_000, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.trouble: list[str | None] = []
        self.set_aside: list[tuple[Path, str]] = []
        self.lost: list[Gap] = []
        self.numberings = {lane.name: wire.Numbering(ROBOT_ID, boot, lane) for lane in LANES}
        self._waiting: list[Record] = []
        self._committed = asyncio.Event()
        self._told: list[Record] = []
        self.outbox = Outbox(
            path,
            boot,
            Limits(max_bytes, INTERVAL_S),
            Packer(ROBOT_ID, lambda lane, is_event: _TOPICS.events(lane) if is_event else _TOPICS.backlog(lane)),
            lambda record: self.numberings[record.lane.name].standalone(record),
            self.clock,
            OutboxNews(
                changed=lambda: None,
                committed=self._on_committed,
                trouble=self.trouble.append,
                set_aside=lambda moved, what: self.set_aside.append((moved, what)),
                given_up=lambda _cause, _count: None,
                tell=self._tell,
            ),
        )

    async def open(self) -> None:
        """Open it."""
        await self.outbox.open([lane.name for lane in LANES])

    def put(self, lane: Lane, count: int = 1) -> list[Record]:
        """Number records and hand them over; the link is down."""
        now_ns, stamp_us = self.clock.now_ns(), self.clock.stamp_ns() // NS_PER_US
        numbering, put = self.numberings[lane.name], self.outbox.put
        number = numbering.number
        records = []
        for _ in range(count):
            record = number(
                _VALUES[numbering.next_seq % len(_VALUES)], stamp_us=stamp_us, recv_us=stamp_us, now_ns=now_ns
            )
            put(record)
            records.append(record)
        self._waiting += records
        return records

    def deliver(self, lane: Lane, count: int) -> None:
        """Number records that the broker acknowledges at once."""
        records = self.put(lane, count)
        self._waiting = [record for record in self._waiting if record not in records]
        self.outbox.acked(Parcel(lane.live_topic, b"", count, records=records))

    async def kept(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until all that was put is on disk, or given up for want of room."""
        self.clock.advance(1)
        async with asyncio.timeout(patience_s):
            while self._waiting:
                self._committed.clear()
                self._release()
                if self._waiting:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._committed.wait(), 0.05)
                    self.clock.advance(1)

    async def drain(self, take: Callable[[Parcel], None], patience_s: float = PATIENCE_S) -> None:
        """The link is up: hand every parcel to `take` and acknowledge it, until nothing is left."""
        self.outbox.start_draining()
        async with asyncio.timeout(patience_s):
            while True:
                parcel = self.outbox.drain.take()
                if parcel is not None:
                    take(parcel)
                    self.outbox.acked(parcel)
                elif self.outbox.backlog == 0:
                    return
                else:
                    await asyncio.sleep(0.0005)

    async def tell_gaps(self, into: Continuity) -> None:
        """Ask for the gaps until no new ones come, and deliver their events."""
        while True:
            self.outbox.gaps.tell()
            await self.outbox._writer.call(lambda _database: None)
            await asyncio.sleep(0)
            if not self._told:
                return
            for record in self._told:
                into.note(wire.decode(record.body)[0], lane="events")
            told, self._told = self._told, []
            self.outbox.acked(Parcel(GAP.live_topic, b"", len(told), records=told))

    async def abandon(self) -> None:
        """The process is killed: nothing is flushed, nothing is closed in order; only the thread is ended."""
        self.outbox._commits.closing = True
        self.outbox._timers.close()
        self.outbox.drain.stop()
        await self.outbox._writer.close()
        self.outbox._books.close(saved=False)

    def _tell(self, gap: Gap) -> Record:
        self.lost.append(gap)
        stamp_us = self.clock.stamp_ns() // NS_PER_US
        record = self.numberings["gap"].number(
            wire.gap(gap), stamp_us=stamp_us, recv_us=stamp_us, now_ns=self.clock.now_ns()
        )
        self._told.append(record)
        self.outbox.put(record)
        return record

    def _on_committed(self) -> None:
        self._release()
        self._committed.set()

    def _release(self) -> None:
        """What is on disk the live lane lets go of, since the link is down."""
        written = [record for record in self._waiting if record.row]
        self._waiting = [record for record in self._waiting if not record.row and record.fate is not Fate.RETURNED]
        self.outbox.returned(written)


def records_of(parcel: Parcel) -> list[dict[str, Any]]:
    """Return the records of a backlog parcel."""
    return wire.decode(parcel.payload, parcel.user_properties)


def covered(gaps: Iterable[Gap], boot: str, causes: Iterable[GapCause]) -> dict[str, set[int]]:
    """Return lane -> numbers of a boot that gaps of these causes explain; an open end explains ten thousand."""
    numbers: dict[str, set[int]] = {}
    for gap in gaps:
        if gap.boot == boot and gap.cause in set(causes):
            end = gap.from_seq + 10_000 if gap.to_seq is None else gap.to_seq
            numbers.setdefault(gap.lane, set()).update(range(gap.from_seq, end + 1))
    return numbers
