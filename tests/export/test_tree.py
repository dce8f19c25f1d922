"""Rows read out of the pages of a database, beside a process that holds it: what SQLite itself would say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edgetwin.export.pages import Pages
from edgetwin.export.tree import LOWEST, Tree, values
from edgetwin.store.schema import PAGE_BYTES

SIZES = (0, 1, 90, 480, 481, 482, 4050, 4060, 4061, 4062, 4063, 4096, 8200, 70_000)  # around what a page holds
VALUES = (None, 0, 1, -1, 127, 128, -129, 2**15, 2**23, 2**31, 2**47, 2**63 - 1, -(2**63), 0.1, 5e-324, "", "ä" * 40)


@pytest.fixture(name="held")
def _held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of pages as ours, held alone, its newest half in the log only."""
    connection = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE thing (row INTEGER PRIMARY KEY, value, body BLOB)")
    with closing(connection):
        yield connection


def seen(path: Path, table: str = "thing") -> list[tuple[object, ...]]:
    """Return what the pages say."""
    pages = Pages(path)
    with closing(pages):
        pages.begin()
        tree = Tree(pages.page)
        roots = {name: root for _, name, _, root, _ in rows(tree, 1)}
        found = [tuple(row) for row in rows(tree, roots[table])]
        assert pages.holds()
        assert not tree.damaged
        return found


def rows(tree: Tree, root: int, after: int = LOWEST) -> list[list[Any]]:
    """Return the rows of a table."""
    return [values(row, raw or b"") for leaf in tree.leaves(root, after) for row, raw in leaf.rows]


def test_rows_of_every_size_and_kind_are_what_sqlite_says(held: sqlite3.Connection, tmp_path: Path) -> None:
    """Bodies that fit, spill over by a byte, or over many pages; in the database, in its log, or deleted."""
    random = Random(1)
    for number in range(600):
        body = random.randbytes(random.choice(SIZES))
        held.execute("INSERT INTO thing VALUES (?, ?, ?)", (number * 7 - 900, random.choice(VALUES), body))
        if number == 300:
            held.execute("PRAGMA wal_checkpoint(FULL)")
        if number % 5 == 0:
            held.execute("DELETE FROM thing WHERE row = ?", (random.randrange(number + 1) * 7 - 900,))
        if number % 11 == 0:
            held.execute("UPDATE thing SET body = ? WHERE row = ?", (b"new", random.randrange(number + 1) * 7 - 900))
    expected = held.execute("SELECT * FROM thing ORDER BY row").fetchall()

    assert len(expected) > 400
    assert seen(tmp_path / "held.db") == expected


def test_a_look_from_a_row_on_misses_none_behind_it(held: sqlite3.Connection, tmp_path: Path) -> None:
    """Wherever a look begins."""
    held.executemany("INSERT INTO thing VALUES (?, ?, ?)", [(row, row, bytes(row % 900)) for row in range(900)])
    pages = Pages(tmp_path / "held.db")
    with closing(pages):
        pages.begin()
        tree = Tree(pages.page)
        (root,) = (root for _, _, _, root, _ in rows(tree, 1))
        for after in (-1, 0, 17, 333, 898, 899, 5000):
            found = [row for row, *_ in rows(tree, root, after)]

            assert set(range(after + 1, 900)) <= set(found)
            assert found == sorted(found)


def test_a_look_that_met_a_commit_to_a_page_it_read_is_worth_nothing(held: sqlite3.Connection, tmp_path: Path) -> None:
    """That page may be old or new: nobody knows."""
    held.execute("INSERT INTO thing VALUES (1, 1, x'00')")
    held.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    held.execute("CREATE TABLE other (row INTEGER PRIMARY KEY)")  # so that there is a log, without that page
    pages = Pages(tmp_path / "held.db")
    with closing(pages):
        pages.begin()
        pages.page(2)
        held.execute("INSERT INTO thing VALUES (2, 1, x'00')")
        after_a_commit = pages.holds()
        pages.begin()
        pages.page(2)
        held.execute("INSERT INTO other VALUES (1)")

        assert not after_a_commit
        assert pages.holds()


def test_a_look_across_a_log_that_began_anew_is_worth_nothing(held: sqlite3.Connection, tmp_path: Path) -> None:
    """Its frames are overwritten, and what they held went to the database meanwhile."""
    held.execute("INSERT INTO thing VALUES (1, 1, x'00')")
    pages = Pages(tmp_path / "held.db")
    with closing(pages):
        pages.begin()
        pages.page(1)
        held.execute("PRAGMA wal_checkpoint(RESTART)")
        held.execute("INSERT INTO thing VALUES (2, 1, x'00')")
        met = pages.holds()
        pages.begin()
        found = [row for row, *_ in rows(Tree(pages.page), 2)]

        assert not met
        assert found == [1, 2]
        assert pages.holds()


@pytest.mark.parametrize("at", range(8))
def test_a_damaged_page_costs_its_own_rows_and_is_named(held: sqlite3.Connection, tmp_path: Path, at: int) -> None:
    """Never an endless loop, never an exception, and what else there is comes all the same."""
    held.executemany("INSERT INTO thing VALUES (?, ?, ?)", [(row, row, bytes(700)) for row in range(2000)])
    held.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "copy.db"
    content = bytearray((tmp_path / "held.db").read_bytes())
    random = Random(at)
    page = random.randrange(3, len(content) // PAGE_BYTES)
    content[page * PAGE_BYTES : page * PAGE_BYTES + 64] = random.randbytes(64)
    copy.write_bytes(content)
    pages = Pages(copy)
    with closing(pages):
        pages.begin()
        tree = Tree(pages.page)
        found = {row for leaf in tree.leaves(2) for row, _ in leaf.rows if 0 <= row < 2000}

        assert tree.damaged == {page + 1} or len(found) == 2000
        assert len(found) >= 1990
