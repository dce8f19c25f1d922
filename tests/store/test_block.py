"""Blocks: what goes into a row comes out of it, or the damage is noticed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.records import ChannelClass
from edgetwin.store.block import Block, keep, pack, unpack

_EMPTY = Block(7, "odom", "b", ChannelClass.CRITICAL, False, 0, 0, 0, b"")  # noqa: FBT003
_records = st.lists(
    st.recursive(st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner, max_size=4), max_leaves=6).map(
        lambda value: wire.encode({"data": value})
    ),
    min_size=1,
    max_size=30,
)


def _block(records: list[bytes]) -> Block:
    return pack(_EMPTY, records, range(100, 100 + len(records)))


@given(_records)
def test_records_come_back_as_they_went_in(records: list[bytes]) -> None:
    """Any JSON that we write: none has a line feed inside, whatever its strings contain."""
    assert unpack(_block(records)) == records


@given(_records)
def test_a_block_says_what_it_holds(records: list[bytes]) -> None:
    """First and last number, how many; the rest is as it was given."""
    block = _block(records)

    assert (block.first_seq, block.last_seq, block.count) == (100, 99 + len(records), len(records))
    assert replace(block, first_seq=0, last_seq=0, count=0, body=b"") == _EMPTY


def test_a_block_of_like_records_is_compressed() -> None:
    """Three times at least, or the flash is worn for nothing."""
    records = [
        b'{"v":1,"robot_id":"r","boot":"b","channel":"odom","seq":%d,"data":{"x":0.5}}' % seq for seq in range(100)
    ]
    block = _block(records)

    assert len(block.body) * 3 < sum(map(len, records))


@pytest.mark.parametrize(
    "damage",
    [
        {"body": b""},
        {"body": b"\x28\xb5\x2f\xfd"},
        {"body": b"garbage"},
        {"count": 99},
    ],
)
def test_damage_is_a_value_error(damage: dict[str, object]) -> None:
    """A frame that does not open, a number of records that is not that of the row."""
    block = _block([b'{"a":%d}' % seq for seq in range(100)])

    with pytest.raises(ValueError):  # noqa: PT011  # any of them
        unpack(replace(block, **damage))  # type: ignore[arg-type]


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_never_raises_anything_else(place: int, flip: int) -> None:
    """A worn cell of the flash."""
    block = _block([b'{"seq":%d,"data":{"x":%d}}' % (seq, seq * seq) for seq in range(50)])
    body = bytearray(block.body)
    body[place % len(body)] ^= flip

    with suppress(ValueError):
        assert len(unpack(replace(block, body=bytes(body)))) == 50


def test_every_flipped_byte_is_noticed() -> None:
    """What the robot did not say must not arrive under its name."""
    block = _block([b'{"seq":%d,"data":{"x":%d}}' % (seq, seq * seq) for seq in range(50)])
    unnoticed = 0
    for place in range(len(block.body)):
        body = bytearray(block.body)
        body[place] ^= 0x01
        try:
            unpack(replace(block, body=bytes(body)))
        except ValueError:
            continue
        unnoticed += 1

    assert unnoticed == 0


def _numbered(count: int, first: int = 0) -> Block:
    records = [b'{"v":1,"seq":%d,"data":{"seq":7}}' % seq for seq in range(first, first + count)]
    return pack(_EMPTY, records, range(first, first + count))


@given(st.sets(st.integers(0, 20)), st.integers(1, 20))
def test_what_is_wanted_is_kept(wanted: set[int], count: int) -> None:
    """By the record's own number, whatever stands in its data; the block says what is left."""
    kept = keep(_numbered(count), wanted.__contains__)

    expected = sorted(wanted & set(range(count)))
    assert [wire.seq_of(record) for record in unpack(kept)] == expected if kept else not expected
    if kept is not None:
        assert (kept.first_seq, kept.last_seq, kept.count) == (expected[0], expected[-1], len(expected))


def test_a_block_of_which_all_is_kept_is_the_same_block() -> None:
    """Nothing is written anew for nothing."""
    block = _numbered(5)

    assert keep(block, lambda _: True) is block


def test_a_damaged_block_is_not_thinned() -> None:
    """It is a ValueError, as when it is opened."""
    with pytest.raises(ValueError, match="zstd"):
        keep(replace(_numbered(5), body=b"garbage"), lambda _: True)
