"""A bench for the outbox: a real SQLite, a real loop, and a live lane and a link that do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.records import ChannelClass, Encoding, EventKind, Lane, Parcel, Record
from edgetwin.store.backlog import Packer
from edgetwin.store.database import Database
from edgetwin.store.outbox import Outbox, OutboxNews
from edgetwin.store.writer import Writer

PATIENCE_S = 5.0
SHORT_S = 0.4  # for what never comes
INTERVAL_S = 0.02
_TOPICS = wire.Topics("r")
ODOM = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
SCAN = _TOPICS.channel_lane("scan", ChannelClass.SLOW, Encoding.JSON, 1)
GAP = _TOPICS.event_lane(EventKind.GAP)


class StoppedClock(SystemClock):
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.shown_ns = SystemClock.now_ns()

    def now_ns(self) -> int:
        """Return what is shown."""
        return self.shown_ns


class Bench:
    """One outbox, what it said, and a live lane and a link that do what the test says."""

    def __init__(self, path: Path, clock: SystemClock | None = None, *, backlog_rate_max: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        self.clock = clock or SystemClock()
        self.random = Random(1)  # zstd must not shrink it away
        self.changed = 0
        self.committed = 0
        self.trouble: list[str | None] = []
        self.numberings = {lane.name: wire.Numbering("r", "b", lane) for lane in (ODOM, SCAN, GAP)}
        self.writer = Writer(path, loop)
        self.outbox = Outbox(
            self.writer,
            Packer("r", lambda lane, is_event: f"events/{lane}" if is_event else f"backlog/{lane}"),
            lambda record: self.numberings[record.lane.name].standalone(record),
            self.clock,
            OutboxNews(self._changed, self._committed, self.trouble.append),
            commit_interval_s=INTERVAL_S,
            backlog_rate_max=backlog_rate_max,
        )

    def _changed(self) -> None:
        self.changed += 1

    def _committed(self) -> None:
        self.committed += 1

    def put(self, lane: Lane = ODOM, count: int = 1, *, size: int = 10) -> list[Record]:
        """Number new records and hand them over."""
        records = []
        for _ in range(count):
            data = wire.encode(self.random.randbytes(size).hex())
            record = self.numberings[lane.name].number(data, stamp_us=1, recv_us=2, now_ns=self.clock.now_ns())
            records.append(record)
            self.outbox.put(record)
        return records

    def ack(self, records: list[Record]) -> None:
        """The broker has them, by the live lane."""
        self.outbox.acked(Parcel("t", b"", len(records), records=records))

    async def stored(self, lane: Lane = ODOM, count: int = 1, *, size: int = 10) -> list[Record]:
        """Put, and wait until they are on disk and backlog."""
        records = self.put(lane, count, size=size)
        await until(lambda: all(record.row for record in records))
        self.outbox.returned(records)
        return records

    async def backlog_of(self, count: int, *, ack: bool = True, patience_s: float = PATIENCE_S) -> list[Parcel]:
        """Take (and acknowledge) backlog until `count` records came."""
        parcels: list[Parcel] = []

        def taken() -> bool:
            while (parcel := self.outbox.take()) is not None:
                parcels.append(parcel)
                if ack:
                    self.outbox.acked(parcel)
            return sum(parcel.count for parcel in parcels) >= count

        await until(taken, patience_s)
        return parcels


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
    backlog_rate_max: float = 0.0,
) -> None:
    """Open an outbox, play the story, close it."""

    async def main() -> None:
        bench = Bench(path, clock, backlog_rate_max=backlog_rate_max)
        await bench.outbox.open()
        try:
            await story(bench)
        finally:
            await bench.outbox.close()

    asyncio.run(main())


def on_disk(path: Path) -> dict[str, int]:
    """Return lane -> records of a closed file."""
    database = Database(path)
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
            database._connection.execute(statement).close()

    await bench.writer.call(run)
