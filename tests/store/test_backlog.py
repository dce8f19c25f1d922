"""Parcels for the backlog lane: everything in the rows but the skipped, oldest first, bounded."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.records import Parcel
from edgetwin.store.backlog import PARCEL_BYTES_MAX, PARCEL_RECORDS_MAX, Packer
from edgetwin.store.block import Block, pack
from tests.store.blocks import CLASSES

_PACKER = Packer("r", lambda lane, is_event: f"events/{lane}" if is_event else f"backlog/{lane}")


def _block(row: int, lane: str, first_seq: int, count: int, *, size: int = 0) -> Block:
    seqs = range(first_seq, first_seq + count)
    records = [wire.encode({"v": 1, "channel": lane, "seq": seq, "data": "x" * size}) for seq in seqs]
    return pack(Block(row, lane, "b", CLASSES[lane], lane == "gap", 0, 0, 0, b""), records, seqs)


def _seqs(parcel: Parcel) -> list[int]:
    return [record["seq"] for record in wire.decode(parcel.payload, parcel.user_properties)]


_plan = st.lists(st.tuples(st.sampled_from(["odom", "scan", "gap"]), st.integers(1, 40)), max_size=20)


@given(_plan, st.data(), st.integers(500, 5000))
def test_everything_but_the_skipped_leaves_once_and_in_order(
    plan: list[tuple[str, int]], data: st.DataObject, bytes_max: int
) -> None:
    """Any rows, any skip sets; each parcel names the rows it settles."""
    blocks, expected, next_seq = [], dict[str, list[int]](), dict[str, int]()
    skip: dict[int, frozenset[int]] = {}
    rows_of: dict[tuple[str, int], int] = {}
    for row, (lane, count) in enumerate(plan, start=1):
        first = next_seq.get(lane, 0)
        next_seq[lane] = first + count
        blocks.append(_block(row, lane, first, count))
        skip[row] = frozenset(data.draw(st.sets(st.integers(first, first + count - 1), max_size=count)))
        kept = [seq for seq in range(first, first + count) if seq not in skip[row]]
        expected.setdefault(lane, []).extend(kept)
        rows_of |= {(lane, seq): row for seq in kept}

    chunk = _PACKER.pack(blocks, skip, bytes_max)

    found: dict[str, list[int]] = {lane: [] for lane in expected}
    for parcel in chunk.parcels:
        lane = parcel.topic.rsplit("/", 1)[-1]
        seqs = _seqs(parcel)
        assert parcel.count == len(seqs) > 0
        assert set(parcel.rows) == {rows_of[lane, seq] for seq in seqs}
        assert not parcel.live
        found[lane] += seqs
    assert found == expected
    assert chunk.last_row == len(blocks)
    assert set(chunk.empty) == set(range(1, len(blocks) + 1)) - set(rows_of.values())
    assert chunk.damaged == ()


def test_neighbouring_rows_of_a_lane_share_a_parcel() -> None:
    """Other lanes in between do not matter."""
    chunk = _PACKER.pack([_block(1, "odom", 0, 5), _block(2, "scan", 0, 5), _block(3, "odom", 5, 5)], {}, 10**6)

    assert [(parcel.topic, parcel.rows) for parcel in chunk.parcels] == [
        ("backlog/odom", (1, 3)),
        ("backlog/scan", (2,)),
    ]
    assert _seqs(chunk.parcels[0]) == list(range(10))


def test_events_leave_one_by_one_on_their_own_topic_and_say_that_they_are_late() -> None:
    """Each of them settles its share of the row."""
    chunk = _PACKER.pack([_block(4, "gap", 0, 3)], {}, 10**6)

    assert [(parcel.topic, parcel.rows, parcel.count) for parcel in chunk.parcels] == [("events/gap", (4,), 1)] * 3
    assert [orjson.loads(parcel.payload)["late"] for parcel in chunk.parcels] == [True] * 3


def test_a_parcel_is_bounded_in_bytes_and_in_records() -> None:
    """Counted before compression; one row is the least."""
    by_size = _PACKER.pack([_block(row, "odom", row * 10, 10, size=1000) for row in range(1, 11)], {}, 30_000)
    by_count = _PACKER.pack([_block(row, "odom", row * 100, 100) for row in range(1, 21)], {}, PARCEL_BYTES_MAX)

    assert [len(parcel.rows) for parcel in by_size.parcels] == [2, 2, 2, 2, 2]
    assert [parcel.count for parcel in by_count.parcels] == [PARCEL_RECORDS_MAX, PARCEL_RECORDS_MAX]


def test_a_parcel_says_how_it_is_encoded() -> None:
    """In the user property of the contract."""
    many, one = _PACKER.pack([_block(1, "odom", 0, 100), _block(2, "scan", 0, 1)], {}, 10**6).parcels

    assert many.user_properties == (("content-encoding", "zstd"),)
    assert one.user_properties[0][0] == "content-encoding"
    assert {many.content_type, one.content_type} == {"application/json"}


def test_damaged_rows_are_named_and_do_not_stop_the_others() -> None:
    """A row that does not open, one with another count, one whose records are no JSON."""
    blocks = [_block(row, "odom", row * 10, 10) for row in range(1, 6)]
    blocks[1] = replace(blocks[1], body=b"garbage")
    blocks[2] = replace(blocks[2], count=11)
    blocks[3] = replace(blocks[3], body=wire.seal(b"\n" * 9))

    chunk = _PACKER.pack(blocks, {4: frozenset({40})}, 10**6)

    assert chunk.damaged == (2, 3, 4)
    assert [seq for parcel in chunk.parcels for seq in _seqs(parcel)] == [*range(10, 20), *range(50, 60)]


def test_nothing_makes_nothing() -> None:
    """An empty look at the disk."""
    chunk = _PACKER.pack([], {}, 10**6)

    assert (chunk.parcels, chunk.last_row, chunk.damaged, chunk.empty) == ((), 0, (), ())
