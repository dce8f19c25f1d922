"""The outbox file on a real SQLite: order, totals, gaps, dead letters; every refusal a StoreError."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edgetwin.errors import StoreError
from edgetwin.records import Gap, GapCause
from edgetwin.store.block import Block
from edgetwin.store.database import Database
from edgetwin.store.schema import APPLICATION_ID, SCHEMA_VERSION
from tests.store.blocks import ROOMY_BYTES, block, noted


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Where the file will be; its directory is not there yet."""
    return tmp_path / "state" / "outbox.db"


@pytest.fixture(name="database")
def _database(path: Path) -> Iterator[Database]:
    """An open, empty one."""
    database = _open(path)
    yield database
    database.close()


def _open(path: Path) -> Database:
    return Database(path, ROOMY_BYTES)


def _rows(database: Database) -> list[int]:
    return [found.row for found in database.read(0, 2**62, 1000)]


def test_a_new_file_is_ours_and_empty(path: Path) -> None:
    """Its directory is made, for nobody else to read."""
    database = _open(path)
    assert (database.totals().records, database.totals().next_row) == ({}, 1)
    database.close()

    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_blocks_come_back_as_they_went_in(database: Database) -> None:
    """Every column, oldest first, events as booleans."""
    blocks = [block(1), block(2, "gap", count=1), block(5, "scan", count=100)]
    database.append(blocks)

    assert database.read(0, 100, 10) == blocks


def test_read_is_bounded_on_both_sides_and_in_number(database: Database) -> None:
    """After, before, at most."""
    database.append([block(row) for row in range(1, 11)])

    assert [block.row for block in database.read(3, 8, 10)] == [4, 5, 6, 7]
    assert [block.row for block in database.read(3, 8, 2)] == [4, 5]
    assert database.read(10, 100, 5) == []


def test_what_was_committed_is_there_after_a_kill(path: Path) -> None:
    """The connection is never closed: another process finds it in the WAL."""
    database = _open(path)
    database.append([block(1), block(2)])
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())

    found = _open(copy)

    assert (_rows(found), found.totals().records, found.totals().next_row) == ([1, 2], {"odom": 6}, 3)
    found.close()
    database.close()


def test_row_numbers_are_not_used_again_even_by_an_empty_table(path: Path) -> None:
    """A PUBACK of an earlier life must not delete a row of this one."""
    database = _open(path)
    database.append([block(1), block(2)])
    database.forget([1, 2])
    database.close()
    again = _open(path)

    assert (again.totals().records, again.totals().next_row) == ({}, 3)
    again.close()


def test_forget_says_what_went_and_is_not_surprised_by_what_is_gone(database: Database) -> None:
    """Records by lane; an unknown row is nothing."""
    database.append([block(1), block(2, "scan", count=5), block(3)])

    assert database.forget([1, 2, 99, 1]).records == {"odom": 3, "scan": 5}
    assert database.forget([]).records == {}
    assert database.totals().records == {"odom": 3}


def test_an_append_is_all_or_nothing(database: Database) -> None:
    """The second row cannot be written: the first is not kept either, and the totals stay."""
    database.append([block(1)])
    impossible = replace(block(3), boot=None)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        database.append([block(2), impossible])
    assert (_rows(database), database.totals().records, database.totals().next_row) == ([1], {"odom": 3}, 2)
    database.append([block(2)])


def test_a_row_written_twice_is_there_once(database: Database) -> None:
    """An append that failed half way is repeated under the same rows."""
    database.append([block(1), block(2)])
    database.append([block(2, count=5), block(3)])

    assert (_rows(database), database.totals().records) == ([1, 2, 3], {"odom": 11})


def test_a_full_disk_is_a_store_error_and_works_again_with_room(database: Database) -> None:
    """SQLite's own limit of pages stands for the disk's."""
    database.append([block(1)])
    database._sql.execute("PRAGMA max_page_count = 1")
    large = replace(block(2, count=1), body=bytes(range(256)) * 4000)

    with pytest.raises(StoreError, match="full"):
        database.append([large])
    database._sql.execute("PRAGMA max_page_count = 1000000")
    database.append([large])

    assert _rows(database) == [1, 2]


def test_a_directory_in_its_place_is_a_store_error(path: Path) -> None:
    """And so is a file where its directory should be."""
    path.mkdir(parents=True)

    with pytest.raises(StoreError, match="permissions"):
        _open(path)
    (path.parent / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="permissions"):
        _open(path.parent / "file" / "outbox.db")


def test_a_second_process_is_refused(path: Path) -> None:
    """One connection, ever."""
    database = _open(path)
    other = sqlite3.connect(path, timeout=0)

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT count(*) FROM block")
    other.close()
    database.close()


def test_a_second_process_is_refused_after_a_restart_too(path: Path) -> None:
    """Two daemons on one outbox would use the same row numbers."""
    _open(path).close()
    database = _open(path)
    database.totals()
    other = sqlite3.connect(path, timeout=0)

    try:
        assert not path.with_name("outbox.db-shm").exists()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT count(*) FROM block")
    finally:
        other.close()
        database.close()


def test_a_file_with_a_table_missing_is_a_store_error(path: Path) -> None:
    """Damaged, or made by a half-finished tool: it is not even opened."""
    _open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE total")
    connection.close()

    with pytest.raises(StoreError, match="without total"):
        _open(path)


def test_a_buried_row_is_a_gap_and_a_dead_letter(database: Database) -> None:
    """Out of the backlog, out of the totals; its bytes stay for whoever wants to know."""
    database.append([block(1, first_seq=10), block(2, first_seq=13), block(3, "scan", count=7)])

    assert database.bury([2, 3, 99], 0x99, GapCause.DEAD_LETTER).records == {"odom": 3, "scan": 7}

    assert (_rows(database), database.totals().records) == ([1], {"odom": 3})
    assert database._sql.execute("SELECT row, first_seq, last_seq, count, reason FROM dead ORDER BY row") == [
        (1, 13, 15, 3, 0x99),
        (2, 0, 6, 7, 0x99),
    ]
    gaps = noted(database)
    assert gaps["odom", "dead_letter"] == [Gap("odom", "b", 13, 15, 3, GapCause.DEAD_LETTER, 1)]
    assert gaps["scan", "dead_letter"] == [Gap("scan", "b", 0, 6, 7, GapCause.DEAD_LETTER, 2)]


def test_the_dead_have_a_hundredth_of_the_room(path: Path) -> None:
    """The oldest of them go; they never cost the living anything."""
    database = Database(path, 4_000_000)
    for row in range(1, 21):
        database.append([block(row, count=1, size=5000)])
        database.bury([row], 0x99, GapCause.DEAD_LETTER)

    dead = database._sql.execute("SELECT row, length(body) FROM dead ORDER BY row")
    assert sum(size for _, size in dead) <= 40_000
    assert [row for row, _ in dead] == list(range(21 - len(dead), 21))  # numbered in order of death
    assert len(dead) > 4
    database.close()


class DatabaseMachine(RuleBasedStateMachine):
    """Any order of appends, deletes, burials and reopenings, against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.database = _open(self.path)
        self.kept: dict[int, Block] = {}
        self.next_row = 1

    @rule(lanes=st.lists(st.sampled_from(["odom", "scan", "gap"]), min_size=1, max_size=5), count=st.integers(1, 50))
    def append(self, lanes: list[str], count: int) -> None:
        """New rows."""
        blocks = [block(self.next_row + index, lane, count=count) for index, lane in enumerate(lanes)]
        self.next_row += len(blocks)
        self.kept |= {written.row: written for written in blocks}
        self.database.append(blocks)

    @rule(rows=st.lists(st.integers(1, 30), max_size=10), bury=st.booleans())
    def take_off(self, rows: list[int], bury: bool) -> None:
        """Some of them, some unknown, some twice."""
        gone = [self.kept.pop(row) for row in set(rows) if row in self.kept]
        expected: dict[str, int] = {}
        for taken_off in gone:
            expected[taken_off.lane] = expected.get(taken_off.lane, 0) + taken_off.count

        taken = self.database.bury(rows, 0x99, GapCause.DEAD_LETTER) if bury else self.database.forget(rows)
        assert taken.records == expected

    @rule()
    def reopen(self) -> None:
        """Another day."""
        self.database.close()
        self.database = _open(self.path)

    @invariant()
    def the_totals_are_those_of_the_rows(self) -> None:
        """Counted without counting."""
        expected: dict[str, int] = {}
        for row in self.kept.values():
            expected[row.lane] = expected.get(row.lane, 0) + row.count
        totals = self.database.totals()

        assert totals.records == expected
        assert totals.next_row == self.next_row
        assert self.database.read(0, 2**62, 1000) == [self.kept[row] for row in sorted(self.kept)]

    def teardown(self) -> None:
        """Nothing is left."""
        self.database.close()
        self.folder.cleanup()


DatabaseMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestDatabaseMachine = DatabaseMachine.TestCase
