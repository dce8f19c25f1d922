"""The receiver's proof: what is missing, repeated, reordered or explained, against a plain set."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgetwin.continuity import Continuity, IntervalSet

_interval = st.tuples(st.integers(0, 60), st.integers(-2, 15)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def _record(seq: int, *, boot: str = "b", channel: str = "odom", data: Any = None) -> dict[str, Any]:
    return {"robot_id": "r", "boot": boot, "channel": channel, "seq": seq, "data": data}


def _gap(seq: int, first: int, last: int | None, *, boot: str = "b", cause: str = "shed") -> dict[str, Any]:
    data = {"channel": "odom", "boot": boot, "from_seq": first, "to_seq": last, "cause": cause}
    return _record(seq, channel="gap", data=data)


@given(st.lists(_interval, max_size=40))
def test_an_interval_set_is_a_set(intervals: list[tuple[int, int]]) -> None:
    """Any intervals in any order, empty ones too: what is new, how many, what is missing."""
    compact, plain = IntervalSet(), set[int]()

    for first, last in intervals:
        numbers = set(range(first, last + 1))
        assert compact.add(first, last) == len(numbers - plain)
        plain |= numbers
        assert len(compact) == len(plain)
        assert compact.last == max(plain, default=-1)

    missing = {number for first, last in compact.missing() for number in range(first, last + 1)}
    assert missing == set(range(compact.last + 1)) - plain
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(compact.missing()))


@given(st.lists(st.integers(0, 30), max_size=80))
def test_records_in_any_order_with_repeats_are_counted(seqs: list[int]) -> None:
    """New ones once, the rest as duplicates; what never came is lost."""
    proof, seen = Continuity(), set[int]()

    for seq in seqs:
        assert proof.note(_record(seq)) is (seq not in seen)
        seen.add(seq)

    assert proof.records == len(seen)
    assert proof.duplicates == len(seqs) - len(seen)
    assert proof.lost == len(set(range(max(seen, default=-1) + 1)) - seen)


@given(st.lists(st.integers(0, 30), max_size=80))
def test_a_step_back_within_a_lane_is_reordered(seqs: list[int]) -> None:
    """Measured against the newest; a repeat is only a duplicate, wherever it comes."""
    proof = Continuity()
    for seq in seqs:
        proof.note(_record(seq))

    firsts = list(dict.fromkeys(seqs))
    assert proof.reordered == sum(seq < max(firsts[:index]) for index, seq in enumerate(firsts) if index)


def test_live_and_backlog_are_ordered_each_by_itself() -> None:
    """The backlog is old by nature."""
    proof = Continuity()
    proof.note(_record(10))
    for seq in range(10):
        proof.note(_record(seq), lane="backlog")

    assert (proof.reordered, proof.lost) == (0, 0)


def test_numbers_begin_anew_with_each_boot_robot_and_channel() -> None:
    """A stream is the triple."""
    proof = Continuity()

    for record in (_record(0), _record(0, boot="c"), _record(0, channel="imu"), _record(0) | {"robot_id": "s"}):
        assert proof.note(record)

    assert (proof.records, proof.duplicates, len(proof.streams)) == (4, 0, 4)


def test_a_gap_event_explains_its_interval_and_is_a_record_itself() -> None:
    """Before and after the records around it."""
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        proof = Continuity()
        notes = [_record(0), _gap(0, 1, 4), _record(5)]
        for index in order:
            proof.note(notes[index])

        assert proof.lost == 0
        assert proof.records == 3
        assert proof.streams["r", "b", "odom"].explained == {"shed": 4}


def test_what_a_gap_does_not_cover_is_lost() -> None:
    """A gap from 2 to 3 leaves 1 and 4."""
    proof = Continuity()
    for record in (_record(0), _gap(0, 2, 3), _record(5)):
        proof.note(record)

    assert proof.streams["r", "b", "odom"].lost == [(1, 1), (4, 4)]


def test_a_gap_repeated_explains_nothing_twice() -> None:
    """Events arrive at least once as well."""
    proof = Continuity()
    for _ in range(2):
        proof.note(_gap(0, 0, 9, boot="old", cause="crash"))

    assert proof.streams["r", "old", "odom"].explained == {"crash": 10}
    assert proof.duplicates == 1


def test_an_open_gap_expects_nothing_above_what_was_seen() -> None:
    """After a crash nobody knows how far the last boot had counted."""
    proof = Continuity()
    for record in (_record(0, boot="old"), _record(3, boot="old"), _gap(0, 1, None, boot="old")):
        proof.note(record)
    assert proof.lost == 0

    proof.note(_gap(1, 9, None, boot="old"))
    assert proof.lost == 0


def test_a_record_that_comes_although_it_was_explained_is_new() -> None:
    """It was shed from one lane and arrived by the other."""
    proof = Continuity()
    proof.note(_gap(0, 0, 0))

    assert proof.note(_record(0))
    assert proof.lost == 0


def test_the_gap_stream_itself_may_have_holes() -> None:
    """A lost gap event is a loss like any other."""
    proof = Continuity()
    proof.note(_gap(1, 0, 0))

    assert proof.streams["r", "b", "gap"].lost == [(0, 0)]
