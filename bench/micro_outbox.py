"""Bench: the outbox, record by record: acknowledged in time; or written, read again and acknowledged.

In: a folder on the disk to be judged     Out: CPU per record of all threads, and bytes written / payload bytes.
The peer is an INSERT and a COMMIT per message with sqlite3's default journal.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.procfs import written_bytes
from bench.report import Section, medians, ratios
from bench.site import Site
from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.records import ChannelClass, Gap, Lane, Parcel, Record
from edgetwin.store.backlog import Packer
from edgetwin.store.outbox import Outbox
from edgetwin.store.terms import Limits, OutboxNews

INSERTS, ACKED, KEPT = "INSERT + COMMIT", "acked in time", "kept, then drained"
_METHOD = """\
INSERT + COMMIT: sqlite3 with its default journal, one transaction per message. Acked in time: each record is put and
acknowledged before the commit interval ends, so that nothing should be written. Kept, then drained: blocks of 100
records are written with a sync each, read again as parcels, acknowledged and deleted. CPU is that of the whole process,
bytes written are those the kernel charges to it.
"""
_RECORDS_IN_TIME = 20_000
_RECORDS_INSERTED = 300
_BLOCKS_KEPT = 40
_RECORDS_PER_BLOCK = 100  # 1 kHz in blocks of 100 ms
_COMMIT_INTERVAL_S = 0.02
_MAX_BYTES = 100_000_000
_LANE: Final = Lane("imu", "live", "backlog", ChannelClass.CRITICAL)


class _Cost:
    """What this process has used since it was made."""

    def __init__(self) -> None:
        self._cpu_ns = time.process_time_ns()
        self._written = written_bytes(os.getpid())

    def per_record(self, records: list[bytes]) -> tuple[float, float]:
        """Return CPU [us] per record, and bytes written / bytes of the records."""
        cpu_us = (time.process_time_ns() - self._cpu_ns) / 1000
        written = written_bytes(os.getpid()) - self._written
        return cpu_us / len(records), written / sum(map(len, records))


def measure(site: Site) -> Section:
    """Measure the three ways in turn."""
    rounds: dict[str, list[tuple[float, float]]] = {INSERTS: [], ACKED: [], KEPT: []}
    for _ in range(site.effort.repeats):
        rounds[INSERTS].append(_run(site.folder, _insert))
        rounds[ACKED].append(_run(site.folder, _acked_in_time))
        rounds[KEPT].append(_run(site.folder, _kept_and_drained))
    rows = [
        medians("CPU per record", "us", rounds, lambda cost: cost[0]),
        ratios("  INSERT + COMMIT / this", rounds, INSERTS, lambda cost: cost[0]),
        medians("bytes written / payload bytes", "x", rounds, lambda cost: cost[1], "<= 2.0; 0 acked in time"),
    ]
    return Section("outbox", "Outbox alone", rows, rounds, _METHOD)


def _run(folder: Path, way: Callable[[Path], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    async def inside() -> tuple[float, float]:
        with TemporaryDirectory(dir=folder) as scratch:
            return await way(Path(scratch))

    return asyncio.run(inside())


def _records(count: int) -> list[Record]:
    """Return records of an Imu's size, whose numbers have full precision."""
    numbering, noise, clock = wire.Numbering("bench", "boot", _LANE), random.Random(1), SystemClock()
    return [
        numbering.number(
            wire.encode({"header": {"frame_id": "imu_link"}, "values": [noise.gauss(0, 1) for _ in range(10)]}),
            stamp_us=turn,
            recv_us=turn,
            now_ns=clock.now_ns(),
        )
        for turn in range(count)
    ]


async def _outbox(folder: Path) -> Outbox:
    outbox = Outbox(
        folder / "outbox.db",
        "boot",
        Limits(_MAX_BYTES, _COMMIT_INTERVAL_S),
        Packer("bench", lambda lane, _is_event: lane),
        lambda record: record.body,
        SystemClock(),
        OutboxNews(_nothing, _nothing, _nothing, _nothing, _nothing, _no_gap),
    )
    await outbox.open([_LANE.name])
    return outbox


def _nothing(*_: object) -> None:
    """There is no roof here to tell."""


def _no_gap(gap: Gap) -> Record:
    msg = f"nothing may be given up here: {gap}"
    raise AssertionError(msg)


async def _insert(folder: Path) -> tuple[float, float]:
    records = [record.body for record in _records(_RECORDS_INSERTED)]
    database = sqlite3.connect(folder / "messages.db")
    database.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, payload TEXT)")
    cost = _Cost()
    for record in records:
        database.execute("INSERT INTO message (payload) VALUES (?)", (record,))
        database.commit()
    result = cost.per_record(records)
    database.close()
    return result


async def _acked_in_time(folder: Path) -> tuple[float, float]:
    outbox = await _outbox(folder)
    records = _records(_RECORDS_IN_TIME)
    parcels = [Parcel("live", record.body, 1, records=(record,)) for record in records]
    cost = _Cost()
    for turn, parcel in enumerate(parcels):
        outbox.put(parcel.records[0])
        outbox.acked(parcel)
        if turn % _RECORDS_PER_BLOCK == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(2 * _COMMIT_INTERVAL_S)  # the timer looks at them, and finds nothing to write
    result = cost.per_record([record.body for record in records])
    await outbox.close()
    return result


async def _kept_and_drained(folder: Path) -> tuple[float, float]:
    outbox = await _outbox(folder)
    records = _records(_BLOCKS_KEPT * _RECORDS_PER_BLOCK)
    cost = _Cost()
    for start in range(0, len(records), _RECORDS_PER_BLOCK):
        for record in records[start : start + _RECORDS_PER_BLOCK]:
            outbox.put(record)
        while outbox.records < start + _RECORDS_PER_BLOCK:  # noqa: ASYNC110  # as soon as the disk, whoever tells
            await asyncio.sleep(0.002)
    outbox.returned(records)
    outbox.start_draining()
    while outbox.records:
        while (parcel := outbox.drain.take()) is not None:
            outbox.acked(parcel)
        await asyncio.sleep(0.005)
    result = cost.per_record([record.body for record in records])
    await outbox.close()
    return result
