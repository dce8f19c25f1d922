"""A bench for the outbox: a real SQLite, a real loop, and a live lane and a link that do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.records import ChannelClass, Encoding, EventKind, Gap, GapCause, Lane, Parcel, Record
from edgetwin.store.backlog import Packer
from edgetwin.store.database import Database
from edgetwin.store.outbox import Outbox
from edgetwin.store.terms import Limits, OutboxNews
from tests.store.blocks import ROOMY_BYTES

PATIENCE_S = 5.0
SHORT_S = 0.4  # for what never comes
INTERVAL_S = 0.02
_TOPICS = wire.Topics("r")
ODOM = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
SCAN = _TOPICS.channel_lane("scan", ChannelClass.SLOW, Encoding.JSON, 1)
GAP = _TOPICS.event_lane(EventKind.GAP)
LANES = {lane.name: lane for lane in (ODOM, SCAN, GAP)}
TOO_LARGE, NOT_AUTHORISED, QUOTA = 0x95, 0x87, 0x97


class StoppedClock(SystemClock):
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.shown_ns = SystemClock.now_ns()

    def now_ns(self) -> int:
        """Return what is shown."""
        return self.shown_ns


@dataclass(slots=True)
class Heard:
    """What the outbox said."""

    changed: int = 0
    committed: int = 0
    trouble: list[str | None] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)
    given_up: list[tuple[GapCause, int]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    audit: list[tuple[str, str]] = field(default_factory=list)

    def explained(self, lane: str = "odom", boot: str = "b") -> set[int]:
        """Return the numbers of a lane that the gaps cover; an open end covers up to 10,000."""
        return {
            seq
            for gap in self.gaps
            if (gap.lane, gap.boot) == (lane, boot)
            for seq in range(gap.from_seq, (10_000 if gap.to_seq is None else gap.to_seq) + 1)
        }

    def given_up_in_all(self, cause: GapCause) -> int:
        """Return how many records were said to be given up."""
        return sum(count for why, count in self.given_up if why is cause)


class Bench:
    """One outbox, what it said, and a live lane and a link that do what the test says."""

    def __init__(
        self,
        path: Path,
        clock: SystemClock | None = None,
        *,
        boot: str = "b",
        max_bytes: int = ROOMY_BYTES,
        backlog_rate_max: float = 0.0,
    ) -> None:
        self.clock = clock or SystemClock()
        self.random = Random(1)  # zstd must not shrink it away
        self.heard = heard = Heard()
        self.numberings = {lane.name: wire.Numbering("r", boot, lane) for lane in LANES.values()}
        self.outbox = Outbox(
            path,
            boot,
            Limits(max_bytes, INTERVAL_S, backlog_rate_max),
            Packer("r", lambda lane, is_event: f"events/{lane}" if is_event else f"backlog/{lane}"),
            lambda record: self.numberings[record.lane.name].standalone(record),
            self.clock,
            OutboxNews(
                self._changed,
                self._committed,
                heard.trouble.append,
                lambda moved, _: heard.set_aside.append(moved),
                lambda cause, count: heard.given_up.append((cause, count)),
                self._tell,
                heard.replaced.append,
                lambda state, what: heard.audit.append((state, what)),
            ),
        )
        self.take = self.outbox.drain.take
        self.writer = self.outbox._writer

    def _changed(self) -> None:
        self.heard.changed += 1

    def _committed(self) -> None:
        self.heard.committed += 1

    def _tell(self, gap: Gap) -> Record:
        self.heard.gaps.append(gap)
        event = self._put(GAP, wire.gap(gap))
        self.heard.events.append(event)
        return event

    def _put(self, lane: Lane, data: bytes) -> Record:
        record = self.numberings[lane.name].number(data, stamp_us=1, recv_us=2, now_ns=self.clock.now_ns())
        self.outbox.put(record)
        return record

    async def open(self) -> None:
        """Open it for all lanes."""
        await self.outbox.open(LANES)

    def put(self, lane: Lane = ODOM, count: int = 1, *, size: int = 10) -> list[Record]:
        """Number new records and hand them over."""
        return [self._put(lane, wire.encode(self.random.randbytes(size).hex())) for _ in range(count)]

    def ack(self, records: list[Record]) -> None:
        """The broker has them, by the live lane."""
        self.outbox.acked(Parcel("t", b"", len(records), records=records))

    async def stored(self, lane: Lane = ODOM, count: int = 1, *, size: int = 10) -> list[Record]:
        """Put, and wait until they are on disk and backlog."""
        records = self.put(lane, count, size=size)
        await until(lambda: all(record.row for record in records))
        self.outbox.returned(records)
        return records

    async def backlog_of(
        self, count: int, *, ack: bool = True, topic: str = "", patience_s: float = PATIENCE_S
    ) -> list[Parcel]:
        """Take (and acknowledge) backlog until `count` records (of a topic) came; return those parcels."""
        parcels: list[Parcel] = []

        def taken() -> bool:
            while (parcel := self.take()) is not None:
                if topic in parcel.topic:
                    parcels.append(parcel)
                if ack:
                    self.outbox.acked(parcel)
            return sum(parcel.count for parcel in parcels) >= count

        await until(taken, patience_s)
        return parcels

    async def told(self, *causes: GapCause) -> None:
        """Wait until gaps of these causes were told."""
        await until(lambda: {gap.cause for gap in self.heard.gaps} >= set(causes))

    async def gaps_told(self) -> None:
        """Wait until every gap that is on disk by now was told."""
        await self.writer.call(lambda _database: None)
        await asyncio.sleep(0)
        self.outbox.gaps.tell()
        await self.writer.call(lambda _database: None)
        await asyncio.sleep(0)

    async def abandon(self) -> None:
        """The process is killed: nothing is flushed, nothing is closed in order; only the thread is ended."""
        self.outbox._commits.closing = True
        self.outbox._timers.close()
        self.outbox.drain.stop()
        self.outbox.drain._timers.close()
        await self.writer.close()
        self.outbox._books.close(saved=False)


async def until(true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait until it is true; fail after a while."""
    deadline_ns = SystemClock.now_ns() + round(patience_s * 1e9)
    while not true():
        assert SystemClock.now_ns() < deadline_ns, "it did not come true"
        await asyncio.sleep(0.002)


def play(
    path: Path,
    story: Callable[[Bench], Awaitable[None]],
    clock: SystemClock | None = None,
    *,
    boot: str = "b",
    max_bytes: int = ROOMY_BYTES,
    backlog_rate_max: float = 0.0,
    killed: bool = False,
) -> None:
    """Open an outbox, play the story, close it (or kill it)."""

    async def main() -> None:
        bench = Bench(path, clock, boot=boot, max_bytes=max_bytes, backlog_rate_max=backlog_rate_max)
        await bench.open()
        try:
            await story(bench)
        finally:
            await (bench.abandon() if killed else bench.outbox.close())

    asyncio.run(main())


def on_disk(path: Path) -> dict[str, int]:
    """Return lane -> records of a closed file."""
    database = Database(path, ROOMY_BYTES)
    records = database.totals().records
    database.close()
    return records


def seqs(parcels: list[Parcel]) -> list[int]:
    """Return the numbers in backlog parcels, in order."""
    return [record["seq"] for parcel in parcels for record in wire.decode(parcel.payload, parcel.user_properties)]


async def run_sql(bench: Bench, *statements: str) -> None:
    """Run SQL on the outbox's own connection, on its own thread."""

    def run(database: Database) -> None:
        for statement in statements:
            database._sql.execute(statement)

    await bench.writer.call(run)
