"""Keep room: what waits on disk, made into parcels, oldest first.

In: blocks read, numbers to skip     Out: parcels for the backlog lane.
Pure; runs on the store's thread, so that reading and compressing a million records never holds up the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from edgetwin import wire
from edgetwin.records import Parcel
from edgetwin.store.block import Block, unpack

PARCEL_RECORDS_MAX = 1000
PARCEL_BYTES_MAX = 262_144  # before compression


@dataclass(slots=True)
class _Gathered:
    records: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one look at the disk gave.

    Attributes:
        parcels: In the order they should leave.
        last_row: Where the next look begins.
        damaged: Rows whose body cannot be read.
        empty: Rows with nothing left to send.
    """

    parcels: tuple[Parcel, ...]
    last_row: int
    damaged: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()


class Packer:
    """Makes parcels of blocks.

    Args:
        robot_id: For the batch envelope.
        topic_of: (lane name, is an event) -> topic.
    """

    def __init__(self, robot_id: str, topic_of: Callable[[str, bool], str]) -> None:
        self._robot_id = robot_id
        self._topic_of = topic_of

    def pack(self, blocks: Sequence[Block], skip: Mapping[int, frozenset[int]], bytes_max: int) -> Chunk:
        """Return the parcels of `blocks`, which are in order of row; at most `bytes_max` each where possible."""
        parcels: list[Parcel] = []
        damaged: list[int] = []
        empty: list[int] = []
        gathered: dict[str, _Gathered] = {}
        for block in blocks:
            try:
                records = _kept(block, skip.get(block.row, frozenset()))
            except ValueError:
                damaged.append(block.row)
                continue
            if not records:
                empty.append(block.row)
            elif block.event:
                parcels += [self._late_event(block, record) for record in records]
            else:
                self._gather(gathered.setdefault(block.lane, _Gathered()), block, records, bytes_max, parcels)
        for lane, batch in gathered.items():
            self._close(lane, batch, parcels)
        return Chunk(tuple(parcels), blocks[-1].row if blocks else 0, tuple(damaged), tuple(empty))

    def _gather(
        self, batch: _Gathered, block: Block, records: list[bytes], bytes_max: int, parcels: list[Parcel]
    ) -> None:
        """Add a block whole; only one that is larger than a parcel may be is spread over several."""
        size = sum(map(len, records))
        parts = [records] if size <= bytes_max else [[record] for record in records]
        for part in parts:
            size = sum(map(len, part))
            full = len(batch.records) + len(part) > PARCEL_RECORDS_MAX or batch.size + size > bytes_max
            if batch.records and full:
                self._close(block.lane, batch, parcels)
            batch.records += part
            batch.size += size
            if not batch.rows or batch.rows[-1] != block.row:
                batch.rows.append(block.row)

    def _close(self, lane: str, batch: _Gathered, parcels: list[Parcel]) -> None:
        payload, codec = wire.compress(wire.batch(self._robot_id, batch.records))
        parcels.append(
            Parcel(
                self._topic_of(lane, False),  # noqa: FBT003  # not an event
                payload,
                len(batch.records),
                user_properties=((wire.CONTENT_ENCODING, codec),),
                rows=tuple(batch.rows),
            )
        )
        batch.records, batch.rows, batch.size = [], [], 0

    def _late_event(self, block: Block, record: bytes) -> Parcel:
        return Parcel(self._topic_of(block.lane, True), wire.mark_late(record), 1, rows=(block.row,))  # noqa: FBT003


def _kept(block: Block, skip: frozenset[int]) -> list[bytes]:
    records = unpack(block)
    if skip:
        return [record for record in records if orjson.loads(record)["seq"] not in skip]
    return records
