"""What the outbox file answers for: it grows with every write, ends when the file is empty, never forgets a number."""

from __future__ import annotations

from pathlib import Path

from edgetwin.records import Gap, GapCause, Record
from edgetwin.store.holdings import Holdings
from edgetwin.store.ledger import Draft
from edgetwin.store.number_format import Span
from edgetwin.store.numbers import Numbers
from tests.store.outbox_bench import ODOM, SCAN


def _holdings(path: Path) -> Holdings:
    return Holdings("b", Numbers(path, "b"))


def _records(*seqs: int) -> tuple[Record, ...]:
    return tuple(Record(ODOM, seq, 0, 0, b"", 0, 0) for seq in seqs)


def _spans(gaps: list[Gap]) -> set[tuple[str, str, int, int | None]]:
    return {(gap.lane, gap.boot, gap.from_seq, gap.to_seq) for gap in gaps}


def test_what_is_handed_over_is_held_from_the_lowest_to_the_highest(path: Path) -> None:
    """In any order, of any lane; each change is a new version."""
    holdings = _holdings(path)
    version = holdings.version
    holdings.take([Draft(1, _records(5, 6)), Draft(2, _records(9))])
    holdings.take([Draft(3, _records(2)), Draft(4, (Record(SCAN, 7, 0, 0, b"", 0, 0),))])

    assert _spans(holdings.gaps(GapCause.QUARANTINE)) == {("odom", "b", 2, 9), ("scan", "b", 7, 7)}
    assert holdings.version > version


def test_what_somebody_else_still_holds_is_left_out_at_the_ends(path: Path) -> None:
    """The live lane has the newest; one in the middle cannot be told apart."""
    holdings = _holdings(path)
    holdings.take([Draft(1, _records(*range(10)))])

    assert _spans(holdings.gaps(GapCause.QUARANTINE, _records(0, 5, 8, 9))) == {("odom", "b", 1, 7)}
    assert holdings.gaps(GapCause.QUARANTINE, _records(*range(10))) == []


def test_gaps_that_are_written_are_held_like_records(path: Path) -> None:
    """Of this boot; of one before, that nothing was known of, with an end that nobody knows."""
    holdings = _holdings(path)
    holdings.take_gaps(
        [
            Gap("odom", "b", 3, 4, 2, GapCause.SHED),
            Gap("scan", "a", 0, None, None, GapCause.CRASH),
            Gap("odom", "a", 7, 9, 3, GapCause.SHED),
            Gap("odom", "a", 2, 4, 3, GapCause.OVERSIZE),
        ]
    )

    assert _spans(holdings.gaps(GapCause.DAMAGED)) == {
        ("odom", "b", 3, 4), ("scan", "a", 0, None), ("odom", "a", 2, 9),
    }  # fmt: skip


def test_an_empty_file_answers_for_nothing(path: Path) -> None:
    """Not of this boot, not of those before; then it begins anew."""
    holdings = _holdings(path)
    empty = [holdings.empty]
    holdings.inherit({"a": {"odom": Span(0, 4)}})
    holdings.take([Draft(1, _records(5))])
    empty.append(holdings.empty)
    holdings.clear()
    empty.append(holdings.empty)

    assert empty == [True, False, True]
    assert holdings.gaps(GapCause.QUARANTINE) == []
    holdings.take([Draft(2, _records(8))])
    assert _spans(holdings.gaps(GapCause.QUARANTINE)) == {("odom", "b", 8, 8)}
