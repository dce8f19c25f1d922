"""Blocks for the tests of the file: records as the wire has them, which zstd can halve and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

from edgetwin import wire
from edgetwin.records import ChannelClass, Gap
from edgetwin.store.block import Block, pack, unpack
from edgetwin.store.database import Database

ROOMY_BYTES = 100_000_000
CLASSES = {
    "odom": ChannelClass.CRITICAL,
    "imu": ChannelClass.CRITICAL,
    "scan": ChannelClass.SLOW,
    "gap": ChannelClass.EVENT,
}
_random = Random(1)


def record(lane: str, seq: int, size: int = 0, boot: str = "b") -> bytes:
    """Return a standalone record with `size` random bytes inside, in hex."""
    head = wire.encode({"v": 1, "robot_id": "r", "boot": boot, "channel": lane})[:-1]
    return b'%b,"seq":%d,"data":"%b"}' % (head, seq, _random.randbytes(size).hex().encode())


def block(row: int, lane: str = "odom", first_seq: int = 0, count: int = 3, *, size: int = 0, boot: str = "b") -> Block:
    """Return a block of neighbouring records."""
    return block_of(row, lane, range(first_seq, first_seq + count), size=size, boot=boot)


def block_of(row: int, lane: str, seqs: Iterable[int], *, size: int = 0, boot: str = "b") -> Block:
    """Return a block of these records."""
    numbers = list(seqs)
    empty = Block(row, lane, boot, CLASSES[lane], CLASSES[lane] is ChannelClass.EVENT, 0, 0, 0, b"")
    return pack(empty, [record(lane, seq, size, boot) for seq in numbers], numbers)


def kept(database: Database) -> dict[str, list[int]]:
    """Return lane -> numbers in the file, in order of row."""
    found: dict[str, list[int]] = {}
    for read in database.read(0, 2**62, 1_000_000):
        found.setdefault(read.lane, []).extend(map(wire.seq_of, unpack(read)))
    return found


def noted(database: Database) -> dict[tuple[str, str], list[Gap]]:
    """Return (lane, cause) -> gaps in the file."""
    found: dict[tuple[str, str], list[Gap]] = {}
    for gap in database.gaps_to_tell():
        found.setdefault((gap.lane, str(gap.cause)), []).append(gap)
    return found


def footprint(path: Path) -> int:
    """Return the bytes that the outbox takes from the disk: database, WAL, the file of numbers, and any other."""
    return sum(found.stat().st_size for found in path.parent.glob(f"{path.name}*") if ".broken-" not in found.name)
