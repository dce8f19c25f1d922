"""The ledger under any order of events: no record is forgotten unless it was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgetwin.records import ChannelClass, Encoding, EventKind, Fate, Lane, Record
from edgetwin.store.block import BLOCK_BYTES_MAX
from edgetwin.store.ledger import Draft, Ledger, counts
from edgetwin.wire import Topics

_TOPICS = Topics("r")
_ODOM = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
_SCAN = _TOPICS.channel_lane("scan", ChannelClass.SLOW, Encoding.JSON, 1)
_GAP = _TOPICS.event_lane(EventKind.GAP)
_LATE_NS = 10**9


def _records(lane: Lane, count: int, *, size: int = 10, born_ns: int = 0, first_seq: int = 0) -> list[Record]:
    return [Record(lane, first_seq + index, 0, 0, b"", size, born_ns + index) for index in range(count)]


def _put(ledger: Ledger, records: Iterable[Record]) -> None:
    for record in records:
        ledger.put(record)


def _written(ledger: Ledger, records: list[Record]) -> list[Draft]:
    """Put, cut, commit."""
    _put(ledger, records)
    drafts = ledger.cut(_LATE_NS)
    assert ledger.committed() == []
    return drafts


def test_what_is_acknowledged_in_time_is_never_written() -> None:
    """The link is up: the disk sees nothing."""
    ledger, records = Ledger(), _records(_ODOM, 10)
    _put(ledger, records)
    assert ledger.acked(records) == []

    assert ledger.cut(_LATE_NS) == []
    assert ledger.young == 0


def test_only_what_is_old_enough_is_cut_and_urgent_records_always_are() -> None:
    """Oldest first, one row per lane."""
    ledger = Ledger()
    ledger.continue_rows(5)
    old, young, gaps = _records(_ODOM, 3), _records(_ODOM, 2, born_ns=100, first_seq=3), _records(_GAP, 1, born_ns=200)
    _put(ledger, [*old, *young, *gaps])

    drafts = ledger.cut(50)

    assert [(draft.row, list(draft.records)) for draft in drafts] == [(5, gaps), (6, old)]
    assert (ledger.young, ledger.urgent) == (2, 0)
    assert counts(drafts) == {"gap": 1, "odom": 3}


def test_a_row_is_forgotten_with_its_last_acknowledgement() -> None:
    """Not before."""
    ledger, records = Ledger(), _records(_ODOM, 3)
    _written(ledger, records)

    assert ledger.open_records == 3
    assert ledger.acked(records[:2]) == []
    assert ledger.acked(records[2:]) == [1]
    assert (ledger.open_records, ledger.skip, ledger.backlog_end) == (0, {}, None)


def test_what_was_acknowledged_while_it_was_written_is_forgotten_at_the_commit() -> None:
    """The PUBACK overtook the disk."""
    ledger, records = Ledger(), _records(_ODOM, 3)
    _put(ledger, records)
    ledger.cut(_LATE_NS)
    assert ledger.acked(records) == []

    assert ledger.committed() == [1]


def test_a_row_of_which_some_returned_is_backlog_without_the_acknowledged_ones() -> None:
    """The backlog does not repeat them."""
    ledger, records = Ledger(), _records(_ODOM, 3)
    _written(ledger, records)
    ledger.acked(records[:1])
    assert ledger.returned(records[1:2]) == []
    assert (ledger.backlog_end, ledger.open_records) == (1, 3)  # the third may still be acknowledged

    assert ledger.returned(records[2:]) == []
    assert (ledger.backlog_end, ledger.open_records) == (None, 0)
    assert ledger.skip == {1: frozenset({0})}
    ledger.forget([1])
    assert ledger.skip == {}


def test_what_returned_while_young_is_written_and_is_backlog_at_once() -> None:
    """The link went down before the commit."""
    ledger, records = Ledger(), _records(_ODOM, 2)
    _put(ledger, records)
    ledger.returned(records[:1])
    ledger.acked(records[1:])

    assert [list(draft.records) for draft in ledger.cut(_LATE_NS)] == [records[:1]]
    assert ledger.committed() == []
    assert (ledger.open_records, ledger.backlog_end) == (0, None)


def test_an_acknowledgement_after_the_return_changes_nothing() -> None:
    """It is backlog; a repeat is allowed, a loss is not."""
    ledger, records = Ledger(), _records(_ODOM, 1)
    _written(ledger, records)
    ledger.returned(records)

    assert ledger.acked(records) == []
    assert records[0].fate is Fate.RETURNED
    assert ledger.skip == {}


def test_a_failed_write_is_pending_under_the_same_rows() -> None:
    """What came in the meantime stays behind it: a write that half succeeded is repeated, not doubled."""
    ledger, first = Ledger(), [*_records(_ODOM, 2), *_records(_SCAN, 2), *_records(_GAP, 1)]
    _put(ledger, first)
    drafts = ledger.cut(_LATE_NS)
    later = _records(_ODOM, 2, born_ns=50, first_seq=2)
    _put(ledger, later)

    assert ledger.pending() == drafts
    assert (ledger.young, ledger.urgent) == (2, 0)
    assert {draft.records[0].lane.name: [record.seq for record in draft.records] for draft in drafts} == {
        "gap": [0],
        "odom": [0, 1],
        "scan": [0, 1],
    }
    assert [draft.row for draft in drafts] == [1, 2, 3]


def test_a_block_has_a_bound() -> None:
    """A larger record is a row of its own."""
    ledger = Ledger()
    sizes = [BLOCK_BYTES_MAX // 2, BLOCK_BYTES_MAX // 2, 1, BLOCK_BYTES_MAX * 2, 1]
    for seq, size in enumerate(sizes):
        _put(ledger, _records(_ODOM, 1, size=size, first_seq=seq))

    assert [[record.seq for record in draft.records] for draft in ledger.cut(_LATE_NS)] == [[0, 1], [2], [3], [4]]


def test_while_the_disk_takes_nothing_the_least_important_is_given_up_first() -> None:
    """Critical from the oldest, then slow, events last; never more than a little beyond what must be."""
    ledger = Ledger()
    odom, scan, gaps = _records(_ODOM, 100), _records(_SCAN, 100, born_ns=50), _records(_GAP, 100)
    for three in zip(odom, scan, gaps, strict=True):
        _put(ledger, three)

    assert ledger.shed(300, 10**9) == []
    assert ledger.shed(240, 10**9) == odom[:75]
    assert ledger.shed(160, 10**9) == [*odom[75:], *scan[:50]]
    assert ledger.shed(80, 10**9) == [*scan[50:], *gaps[:25]]
    assert ledger.young == 75
    assert {record.fate for record in [*odom, *scan, *gaps[:25]]} == {Fate.RETURNED}


def test_bytes_are_a_limit_too() -> None:
    """Few records, large ones."""
    ledger = Ledger()
    large = _records(_ODOM, 10, size=1_000_000)
    _put(ledger, large)

    assert ledger.shed(50_000, 5_000_000) == large[:6]
    assert ledger.young_bytes == 4_000_000


def test_what_was_acknowledged_meanwhile_is_not_given_up() -> None:
    """It makes room, and nobody has lost anything."""
    ledger = Ledger()
    records = _records(_ODOM, 100)
    _put(ledger, records)
    ledger.acked(records[:30])

    assert ledger.shed(64, 10**9) == records[30:40]


class LedgerMachine(RuleBasedStateMachine):
    """Put, cut, committed, failed, acked, returned, in any order that the outbox can produce."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.ledger = Ledger()
        self.records: list[Record] = []
        self.seqs: dict[str, int] = {}
        self.acked: set[tuple[str, int]] = set()
        self.returned: set[tuple[str, int]] = set()
        self.drafts: list[Draft] = []
        self.disk: dict[int, Draft] = {}
        self.forgotten: set[int] = set()

    @rule(lane=st.sampled_from([_ODOM, _SCAN, _GAP]), size=st.sampled_from([10, 40_000, 70_000]))
    def put(self, lane: Lane, size: int) -> None:
        """A new record."""
        self.now_ns += 1
        seq = self.seqs.get(lane.name, 0)
        self.seqs[lane.name] = seq + 1
        record = Record(lane, seq, 0, 0, b"", size, self.now_ns)
        self.records.append(record)
        self.ledger.put(record)

    @precondition(lambda self: not self.drafts)
    @rule(back_ns=st.integers(0, 5))
    def cut(self, back_ns: int) -> None:
        """Begin to write."""
        self.drafts = self.ledger.cut(self.now_ns - back_ns + 1)
        for draft in self.drafts:
            assert draft.row not in self.disk
            assert all(record.fate is not Fate.ACKED for record in draft.records)

    @precondition(lambda self: self.drafts)
    @rule()
    def committed(self) -> None:
        """It is on disk."""
        self.disk |= {draft.row: draft for draft in self.drafts}
        self.drafts = []
        self._forget(self.ledger.committed())

    @precondition(lambda self: self.drafts)
    @rule()
    def failed(self) -> None:
        """It is not: it stays pending, as it was."""
        assert self.ledger.pending() == list(self.drafts)

    @precondition(lambda self: self.records)
    @rule(data=st.data(), ack=st.booleans())
    def settled(self, data: st.DataObject, ack: bool) -> None:
        """A PUBACK, or the end of the link, for any of them, even twice."""
        chosen = data.draw(st.lists(st.sampled_from(self.records), max_size=6))
        keys = {(record.lane.name, record.seq) for record in chosen} - self.acked - self.returned
        (self.acked if ack else self.returned).update(keys)
        self._forget(self.ledger.acked(chosen) if ack else self.ledger.returned(chosen))

    def _forget(self, rows: list[int]) -> None:
        for row in rows:
            assert row not in self.forgotten
            assert all((record.lane.name, record.seq) in self.acked for record in self.disk[row].records)
        self.forgotten.update(rows)
        self.ledger.forget(rows)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each record is acknowledged, in memory, being written or on disk."""
        kept = {id(record) for row, draft in self.disk.items() if row not in self.forgotten for record in draft.records}
        kept |= {id(record) for draft in self.drafts for record in draft.records}
        kept |= {id(record) for record in self.ledger._young} | {id(record) for record in self.ledger._urgent}

        assert all(id(record) in kept or (record.lane.name, record.seq) in self.acked for record in self.records)

    @invariant()
    def rows_are_open_backlog_or_forgotten(self) -> None:
        """Never two of them; open exactly while a record of the row is unsettled."""
        settled = self.acked | self.returned
        still_open = {
            row
            for row, draft in self.disk.items()
            if any((record.lane.name, record.seq) not in settled for record in draft.records)
        }

        assert not still_open & self.forgotten
        assert self.ledger.backlog_end == min(still_open | {draft.row for draft in self.drafts}, default=None)
        assert self.ledger.open_records == sum(len(self.disk[row].records) for row in still_open)
        for row in self.disk.keys() - still_open - self.forgotten:
            assert any((record.lane.name, record.seq) in self.returned for record in self.disk[row].records)

    @invariant()
    def the_backlog_skips_what_was_acknowledged(self) -> None:
        """And nothing else: the skip sets are those of the rows that are backlog."""
        expected = {}
        settled = self.acked | self.returned
        for row, draft in self.disk.items():
            keys = [(record.lane.name, record.seq) for record in draft.records]
            acked = frozenset(seq for lane, seq in keys if (lane, seq) in self.acked)
            if row not in self.forgotten and acked and all(key in settled for key in keys):
                expected[row] = acked

        assert self.ledger.skip == expected

    @invariant()
    def order_is_kept_within_a_lane(self) -> None:
        """Row by row, record by record."""
        newest: dict[str, int] = {}
        for row in sorted(self.disk):
            for record in self.disk[row].records:
                assert record.seq > newest.get(record.lane.name, -1)
                newest[record.lane.name] = record.seq


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
