"""The outbox under any order of events: every number is acknowledged, on disk, or covered by a gap; nothing is made up.

Real SQLite, a real loop. A kill leaves the objects as they are and opens new ones on the same files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from edgetwin import wire
from edgetwin.records import Fate, Lane, Parcel, Record
from tests.store.outbox_bench import INTERVAL_S, NOT_AUTHORISED, ODOM, QUOTA, SCAN, TOO_LARGE, Bench, run_sql, until

_NO_ROOM = "CREATE TRIGGER IF NOT EXISTS no_room BEFORE INSERT ON block BEGIN SELECT RAISE(ABORT, 'no room'); END"
_ROOM = "DROP TRIGGER IF EXISTS no_room"
_Key = tuple[str, str, int]


class OutboxMachine(RuleBasedStateMachine):
    """Put, publish, ack, refuse, link up and down, tick, kill, end, disk trouble."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.loop = asyncio.new_event_loop()
        self.boots = 0
        self.up = False
        self.full = False
        self.put_all: set[_Key] = set()
        self.delivered: set[_Key] = set()
        self.explained: set[_Key] = set()
        self.live: list[Record] = []
        self.in_flight: list[Parcel] = []

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    def _key(self, record: Record) -> _Key:
        return self.boot, record.lane.name, record.seq

    @initialize()
    def start(self) -> None:
        """A new process on the same files."""
        self.boots += 1
        self.boot = f"boot{self.boots}"
        self.live, self.in_flight, self.up = [], [], False

        async def begin() -> None:
            self.bench = Bench(self.path, boot=self.boot)
            await self.bench.open()

        self._run(begin())

    @rule(lane=st.sampled_from([ODOM, SCAN]), count=st.integers(1, 4))
    def put(self, lane: Lane, count: int) -> None:
        """Samples leave the pacer."""

        async def work() -> None:
            records = self.bench.put(lane, count)
            self.live += records
            self.put_all |= {self._key(record) for record in records}

        self._run(work())

    @rule()
    def tick(self) -> None:
        """Half a commit interval and a little."""
        self._run(asyncio.sleep(INTERVAL_S * 0.7))

    @precondition(lambda self: self.up and self.live)
    @rule(verdict=st.sampled_from(["ack", "ack", "refuse", "wait"]), count=st.integers(1, 6))
    def publish(self, verdict: str, count: int) -> None:
        """The live lane sends its oldest; the broker answers, or not yet."""

        async def work() -> None:
            records, self.live = self.live[:count], self.live[count:]
            for record in records:
                record.fate = Fate.IN_FLIGHT
            parcel = Parcel("live", b"", len(records), records=records)
            self.in_flight.append(parcel)
            if verdict != "wait":
                self._answer(parcel, 0 if verdict == "ack" else QUOTA)

        self._run(work())

    @precondition(lambda self: self.up)
    @rule(reason=st.sampled_from([0, 0, 0, QUOTA, NOT_AUTHORISED, TOO_LARGE, None]))
    def drain(self, reason: int | None) -> None:
        """A backlog parcel leaves; the broker answers, or not yet."""

        async def work() -> None:
            await asyncio.sleep(0.003)
            if (parcel := self.bench.take()) is not None:
                self._came(parcel)
                self.in_flight.append(parcel)
                if reason is not None:
                    self._answer(parcel, reason)

        self._run(work())

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def late_puback(self, data: st.DataObject) -> None:
        """For any of those under way."""

        async def work() -> None:
            self._answer(data.draw(st.sampled_from(self.in_flight)), 0)

        self._run(work())

    @rule()
    def link(self) -> None:
        """It comes, or goes with all that was under way."""

        async def work() -> None:
            self.up = not self.up
            if self.up:
                self.bench.outbox.start_draining()
                return
            self.bench.outbox.stop_draining()
            for parcel in self.in_flight:
                self.bench.outbox.returned(parcel.records)
            self.in_flight = []
            written = [record for record in self.live if record.row]
            self.live = [record for record in self.live if not record.row]
            self.bench.outbox.returned(written)
            self._return_events()

        self._run(work())

    @rule()
    def disk(self) -> None:
        """It takes no more, or takes again."""
        self.full = not self.full
        self._run(run_sql(self.bench, _NO_ROOM if self.full else _ROOM))

    @rule()
    def kill(self) -> None:
        """SIGKILL, and a new start."""
        self._run(self.bench.abandon())
        self._note_gaps()
        self.start()

    @precondition(lambda self: not self.full)
    @rule()
    def end(self) -> None:
        """SIGTERM, and a new start."""
        self._run(self.bench.outbox.close())
        self._note_gaps()
        self.start()

    def _came(self, parcel: Parcel) -> None:
        for record in wire.decode(parcel.payload, parcel.user_properties):
            if record["channel"] != "gap":
                assert (record["boot"], record["channel"], record["seq"]) in self.put_all, "nobody has put this"

    def _answer(self, parcel: Parcel, reason: int) -> None:
        self.in_flight.remove(parcel)
        if reason:
            self.bench.outbox.refused(parcel, reason)
            return
        self.bench.outbox.acked(parcel)
        if parcel.live:
            self.delivered |= {self._key(record) for record in parcel.records}
        else:
            records = wire.decode(parcel.payload, parcel.user_properties)
            self.delivered |= {(record["boot"], record["channel"], record["seq"]) for record in records}

    def _return_events(self) -> None:
        events = [event for event in self.bench.heard.events if event.fate is Fate.WAITING]
        self.bench.outbox.returned(events)

    def _note_gaps(self) -> None:
        for gap in self.bench.heard.gaps:
            last = 1000 if gap.to_seq is None else gap.to_seq
            self.explained |= {(gap.boot, gap.lane, seq) for seq in range(gap.from_seq, last + 1)}

    def teardown(self) -> None:
        """The world is well again: everything arrives, or was explained."""
        if not self.boots:
            return

        async def settle() -> None:
            await run_sql(self.bench, _ROOM)
            if self.up:
                self.bench.outbox.stop_draining()
            for parcel in self.in_flight:
                self.bench.outbox.returned(parcel.records)
            self.bench.outbox.returned(self.live)
            self.in_flight = []
            self.bench.outbox.start_draining()
            await until(self._all_accounted)
            await self.bench.outbox.close()

        try:
            self._run(settle())
        finally:
            self.loop.close()
            self.folder.cleanup()

    def _all_accounted(self) -> bool:
        while (parcel := self.bench.take()) is not None:
            self._came(parcel)
            self.in_flight.append(parcel)
            self._answer(parcel, 0)
        self._return_events()
        self._note_gaps()
        self.bench.outbox.drain.read_on()  # see test_drain: a word that comes during a look is not heard
        return self.put_all <= self.delivered | self.explained


OutboxMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestOutboxMachine = OutboxMachine.TestCase
