"""Keep room: a block, the unit of the outbox: neighbouring records of one lane in one row.

In: standalone records     Out: one compressed body, and back.
Pure. One row per block instead of one per record is a hundred times cheaper to write and to delete;
a block compresses 3 to 20 times where a single record does not, so the flash wears that much less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from edgetwin import wire
from edgetwin.records import ChannelClass, EventKind
from edgetwin.store.checksum import checksum

BLOCK_BYTES_MAX = 65_536
_SEPARATOR = b"\n"  # JSON as we write it has none inside


class Condition(Enum):
    """What is known of a block's small columns (all but the body)."""

    SOUND = auto()
    MENDED = auto()  # damaged on disk; taken from the records
    DOUBTED = auto()  # damaged on disk, and the records with them: they may be those of no block that ever was


@dataclass(frozen=True, slots=True)
class Block:
    """One row of the outbox.

    Attributes:
        row: Own monotonic id: order of writing, never reused, not even by an empty table.
        lane: Name of the lane (channel, or kind of event).
        boot: Boot in which the records were numbered.
        channel_class: Who is shed first.
        event: Whether the lane is one of events: its records leave one by one, marked late.
        first_seq: Number of the first record.
        last_seq: Number of the last record.
        count: How many records.
        body: The records, a zstd frame with a checksum.
        condition: Of the other columns.
    """

    row: int
    lane: str
    boot: str
    channel_class: ChannelClass
    event: bool
    first_seq: int
    last_seq: int
    count: int
    body: bytes
    condition: Condition = Condition.SOUND

    @property
    def crc(self) -> int:
        """Checksum of everything but the body, which has one of its own."""
        numbers = (self.row, self.event, self.first_seq, self.last_seq, self.count)
        small = (self.lane, self.boot, str(self.channel_class), *numbers)
        return checksum(*small)


def pack(block: Block, records: Sequence[bytes], seqs: Sequence[int]) -> Block:
    """Return `block` with these records (at least one), whose numbers are `seqs`."""
    body = wire.seal(_SEPARATOR.join(records))
    return replace(block, first_seq=seqs[0], last_seq=seqs[-1], count=len(records), body=body)


def unpack(block: Block) -> list[bytes]:
    """Return the records of a block.

    Raises:
        ValueError: The body is damaged.
    """
    records = wire.decompress(block.body).split(_SEPARATOR)
    if len(records) != block.count:
        msg = f"outbox row {block.row} holds {len(records)} records where {block.count} were written"
        raise ValueError(msg)
    return records


def restored(block: Block) -> Block:
    """Return a block whose small columns are damaged, as its records tell it; as it stands if they are damaged too."""
    try:
        bodies = wire.decompress(block.body).split(_SEPARATOR)
        records = [wire.decode(body)[0] for body in bodies]
        lane, boot = str(records[0]["channel"]), str(records[0]["boot"])
        first, last = int(records[0]["seq"]), int(records[-1]["seq"])
    except (ValueError, KeyError, TypeError):
        return replace(block, condition=Condition.DOUBTED)
    event = lane in set(EventKind)
    known = ChannelClass.EVENT if event else ChannelClass.CRITICAL
    return Block(block.row, lane, boot, known, event, first, last, len(bodies), block.body, Condition.MENDED)


def one_of(block: Block, seq: int) -> Block:
    """Return a block of one record of `block`.

    Raises:
        ValueError: The body is damaged, or there is no such record in it.
    """
    for record in unpack(block):
        if wire.seq_of(record) == seq:
            return pack(block, [record], [seq])
    msg = f"outbox row {block.row} holds no record {seq}"
    raise ValueError(msg)


def keep(block: Block, wanted: Callable[[int], bool]) -> Block | None:
    """Return the block with only the records whose numbers are wanted; None when none is left.

    Raises:
        ValueError: The body is damaged.
    """
    kept = [(record, seq) for record in unpack(block) if wanted(seq := wire.seq_of(record))]
    if not kept:
        return None
    if len(kept) == block.count:
        return block
    return pack(block, [record for record, _ in kept], [seq for _, seq in kept])
