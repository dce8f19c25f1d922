"""The outbox file on a real SQLite: order, totals, and every refusal a StoreError."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edgetwin.errors import StoreError
from edgetwin.store.block import Block, pack
from edgetwin.store.database import APPLICATION_ID, SCHEMA_VERSION, Database


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Where the file will be; its directory is not there yet."""
    return tmp_path / "state" / "outbox.db"


@pytest.fixture(name="database")
def _database(path: Path) -> Iterator[Database]:
    """An open, empty one."""
    database = Database(path)
    yield database
    database.close()


def _block(row: int, lane: str = "odom", count: int = 3) -> Block:
    records = [b'{"seq":%d}' % seq for seq in range(count)]
    return pack(row, lane, event=lane == "gap", seqs=range(count), records=records)


def _rows(database: Database) -> list[int]:
    return [block.row for block in database.read(0, 2**62, 1000)]


def test_a_new_file_is_ours_and_empty(path: Path) -> None:
    """Its directory is made, for nobody else to read."""
    database = Database(path)
    assert (database.totals().records, database.totals().next_row) == ({}, 1)
    database.close()

    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_blocks_come_back_as_they_went_in(database: Database) -> None:
    """Every column, oldest first, events as booleans."""
    blocks = [_block(1), _block(2, "gap", 1), _block(5, "scan", 100)]
    database.append(blocks)

    assert database.read(0, 100, 10) == blocks


def test_read_is_bounded_on_both_sides_and_in_number(database: Database) -> None:
    """After, before, at most."""
    database.append([_block(row) for row in range(1, 11)])

    assert [block.row for block in database.read(3, 8, 10)] == [4, 5, 6, 7]
    assert [block.row for block in database.read(3, 8, 2)] == [4, 5]
    assert database.read(10, 100, 5) == []


def test_what_was_committed_is_there_after_a_kill(path: Path) -> None:
    """The connection is never closed: another process finds it in the WAL."""
    database = Database(path)
    database.append([_block(1), _block(2)])
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())

    found = Database(copy)

    assert (_rows(found), found.totals().records, found.totals().next_row) == ([1, 2], {"odom": 6}, 3)
    found.close()
    database.close()


def test_row_numbers_are_not_used_again_even_by_an_empty_table(path: Path) -> None:
    """A PUBACK of an earlier life must not delete a row of this one."""
    database = Database(path)
    database.append([_block(1), _block(2)])
    database.forget([1, 2])
    database.close()
    again = Database(path)

    assert (again.totals().records, again.totals().next_row) == ({}, 3)
    again.close()


def test_forget_says_what_went_and_is_not_surprised_by_what_is_gone(database: Database) -> None:
    """Records by lane; an unknown row is nothing."""
    database.append([_block(1), _block(2, "scan", 5), _block(3)])

    assert database.forget([1, 2, 99, 1]) == {"odom": 3, "scan": 5}
    assert database.forget([]) == {}
    assert database.totals().records == {"odom": 3}


def test_an_append_is_all_or_nothing(database: Database) -> None:
    """The second row exists: the first is not kept either, and the totals stay."""
    database.append([_block(2)])

    with pytest.raises(StoreError, match="nothing of this write was kept"):
        database.append([_block(1), _block(2)])
    assert (_rows(database), database.totals().records) == ([2], {"odom": 3})
    database.append([_block(3)])


def test_a_full_disk_is_a_store_error_and_works_again_with_room(database: Database) -> None:
    """SQLite's own limit of pages stands for the disk's."""
    database.append([_block(1)])
    database._connection.execute("PRAGMA max_page_count = 1").close()
    body = bytes(range(256)) * 4000
    large = Block(2, "odom", event=False, first_seq=0, last_seq=0, count=1, raw_bytes=9, codec="identity", body=body)

    with pytest.raises(StoreError, match="full"):
        database.append([large])
    database._connection.execute("PRAGMA max_page_count = 1000000").close()
    database.append([large])

    assert _rows(database) == [1, 2]


def _theirs(path: Path) -> bytes:
    """Put somebody else's database there; return its bytes."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    return path.read_bytes()


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    """Somebody's database with that name."""
    _theirs(path)

    with pytest.raises(StoreError, match="not an edgetwin outbox"):
        Database(path)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="defect: the pragmas come before the check, and turn a foreign file into WAL mode",
)
def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    """To the byte."""
    before = _theirs(path)
    with pytest.raises(StoreError):
        Database(path)

    assert path.read_bytes() == before


@pytest.mark.xfail(
    strict=True,
    raises=sqlite3.OperationalError,
    reason="defect: a refused file stays open, and locked, while its error is alive",
)
def test_a_refused_file_is_closed(path: Path) -> None:
    """Its owner must be able to go on with it."""
    _theirs(path)
    with pytest.raises(StoreError) as kept:
        Database(path)

    other = sqlite3.connect(path, timeout=0)
    try:
        other.execute("INSERT INTO theirs VALUES (1)")
    finally:
        other.close()
        del kept


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    """A downgrade must not eat the backlog."""
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    with pytest.raises(StoreError, match="upgrade"):
        Database(path)


def test_a_file_that_is_no_database_is_a_store_error(path: Path) -> None:
    """Whatever it is."""
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to have a header " * 40)

    with pytest.raises(StoreError, match=r"outbox\.db"):
        Database(path)


def test_a_directory_in_its_place_is_a_store_error(path: Path) -> None:
    """And so is a file where its directory should be."""
    path.mkdir(parents=True)

    with pytest.raises(StoreError, match="permissions"):
        Database(path)
    (path.parent / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="permissions"):
        Database(path.parent / "file" / "outbox.db")


def test_a_second_process_is_refused(path: Path) -> None:
    """One connection, ever."""
    database = Database(path)
    other = sqlite3.connect(path, timeout=0)

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT count(*) FROM block")
    other.close()
    database.close()


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="defect: locking_mode comes after journal_mode, so an existing file is shared, with a -shm file",
)
def test_a_second_process_is_refused_after_a_restart_too(path: Path) -> None:
    """Two daemons on one outbox would use the same row numbers."""
    Database(path).close()
    database = Database(path)
    database.totals()
    other = sqlite3.connect(path, timeout=0)

    try:
        assert not path.with_name("outbox.db-shm").exists()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT count(*) FROM block")
    finally:
        other.close()
        database.close()


@pytest.mark.xfail(
    strict=True,
    raises=sqlite3.OperationalError,
    reason="defect: totals raises sqlite3.Error, which nobody above the store expects",
)
def test_a_file_with_a_table_missing_is_a_store_error(path: Path) -> None:
    """Damaged, or made by a half-finished tool: opening passes, the first question does not."""
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE total")
    connection.close()
    database = Database(path)

    with pytest.raises(StoreError):
        database.totals()


class DatabaseMachine(RuleBasedStateMachine):
    """Any order of appends, deletes and reopenings, against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(Path(":memory:"))
        self.kept: dict[int, Block] = {}
        self.next_row = 1

    @rule(lanes=st.lists(st.sampled_from(["odom", "scan", "gap"]), min_size=1, max_size=5), count=st.integers(1, 50))
    def append(self, lanes: list[str], count: int) -> None:
        """New rows."""
        blocks = [_block(self.next_row + index, lane, count) for index, lane in enumerate(lanes)]
        self.next_row += len(blocks)
        self.kept |= {block.row: block for block in blocks}
        self.database.append(blocks)

    @rule(rows=st.lists(st.integers(1, 30), max_size=10))
    def forget(self, rows: list[int]) -> None:
        """Some of them, some unknown, some twice."""
        gone = [self.kept.pop(row) for row in set(rows) if row in self.kept]
        expected: dict[str, int] = {}
        for block in gone:
            expected[block.lane] = expected.get(block.lane, 0) + block.count

        assert self.database.forget(rows) == expected

    @invariant()
    def the_totals_are_those_of_the_rows(self) -> None:
        """Counted without counting."""
        expected: dict[str, int] = {}
        for block in self.kept.values():
            expected[block.lane] = expected.get(block.lane, 0) + block.count
        totals = self.database.totals()

        assert totals.records == expected
        assert totals.next_row == self.next_row
        assert self.database.read(0, 2**62, 1000) == [self.kept[row] for row in sorted(self.kept)]

    def teardown(self) -> None:
        """Nothing is left."""
        self.database.close()


DatabaseMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestDatabaseMachine = DatabaseMachine.TestCase
