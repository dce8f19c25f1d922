"""Keep room: the outbox file. Every statement of SQL is here.

In: blocks to keep, rows to forget     Out: blocks, oldest first; totals.
Synchronous; lives on the one thread that opens SQLite (store.writer).

WAL with synchronous=FULL: what `append` returned from is on disk, power cut or not. Totals are kept in
a table and updated in the same transaction: counting a million rows at start would take a second.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetwin.errors import StoreError
from edgetwin.store.block import Block

APPLICATION_ID = 0x45545731  # "ETW1"
SCHEMA_VERSION = 1

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = OFF",  # Debian builds it on: every delete would write zeros
    "PRAGMA wal_autocheckpoint = 500",
    "PRAGMA journal_size_limit = 4194304",
    "PRAGMA busy_timeout = 2000",
    "PRAGMA locking_mode = EXCLUSIVE",  # one connection, ever: no shared memory file, no lock traffic
)
_SCHEMA = f"""
BEGIN;
CREATE TABLE block (
    row INTEGER PRIMARY KEY, lane TEXT NOT NULL, event INTEGER NOT NULL, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, count INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, codec TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE total (lane TEXT PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('next_row', 1);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608  # two integers of ours
_COLUMNS = "row, lane, event, first_seq, last_seq, count, raw_bytes, codec, body"


@dataclass(frozen=True, slots=True)
class Totals:
    """What the file holds: lane -> records, and the next row id."""

    records: dict[str, int]
    next_row: int


class Database:
    """The open file.

    Raises:
        StoreError: It cannot be opened, is not ours, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                self._connection.execute(pragma).close()
            self._create_or_check()
        except (sqlite3.Error, OSError) as error:
            msg = f"{path}: {error}; check the path, its permissions and the free space"
            raise StoreError(msg) from error

    def _create_or_check(self) -> None:
        (application_id,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables == 0:
            self._connection.executescript(_SCHEMA)
        elif application_id != APPLICATION_ID:
            msg = f"{self._path} is not an edgetwin outbox; choose another [store] path, or move the file away"
            raise StoreError(msg)
        elif version > SCHEMA_VERSION:
            msg = (
                f"{self._path} is of version {version}, this edgetwin knows {SCHEMA_VERSION}; upgrade, or move it away"
            )
            raise StoreError(msg)

    def totals(self) -> Totals:
        """Return what the file holds, in a time that does not depend on how much that is."""
        records = {lane: count for lane, count in self._connection.execute("SELECT lane, records FROM total") if count}
        (next_row,) = self._connection.execute("SELECT value FROM counter WHERE name = 'next_row'").fetchone()
        return Totals(records, next_row)

    def append(self, blocks: Sequence[Block]) -> None:
        """Write blocks in one transaction; when this returns they survive a power cut.

        Raises:
            StoreError: None of them was written.
        """
        with _Transaction(self._connection, self._path):
            self._connection.executemany(
                f"INSERT INTO block ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                [
                    (b.row, b.lane, b.event, b.first_seq, b.last_seq, b.count, b.raw_bytes, b.codec, b.body)
                    for b in blocks
                ],
            )
            self._connection.executemany(
                "INSERT INTO total VALUES (?, ?, ?) ON CONFLICT (lane) "
                "DO UPDATE SET records = records + excluded.records, bytes = bytes + excluded.bytes",
                [(block.lane, block.count, len(block.body)) for block in blocks],
            )
            self._connection.execute("UPDATE counter SET value = ? WHERE name = 'next_row'", (blocks[-1].row + 1,))

    def forget(self, rows: Iterable[int]) -> Mapping[str, int]:
        """Delete rows that were acknowledged; return lane -> records deleted.

        Raises:
            StoreError: None of them was deleted.
        """
        forgotten: dict[str, int] = {}
        with _Transaction(self._connection, self._path):
            for row in rows:
                for lane, count, size in self._connection.execute(
                    "DELETE FROM block WHERE row = ? RETURNING lane, count, length(body)", (row,)
                ).fetchall():
                    forgotten[lane] = forgotten.get(lane, 0) + count
                    self._connection.execute(
                        "UPDATE total SET records = records - ?, bytes = bytes - ? WHERE lane = ?", (count, size, lane)
                    )
        return forgotten

    def read(self, after: int, before: int, blocks_max: int) -> list[Block]:
        """Return blocks with `after` < row < `before`, oldest first.

        Raises:
            StoreError: The file cannot be read.
        """
        query = f"SELECT {_COLUMNS} FROM block WHERE row > ? AND row < ? ORDER BY row LIMIT ?"  # noqa: S608
        try:
            rows = self._connection.execute(query, (after, before, blocks_max)).fetchall()
        except sqlite3.Error as error:
            msg = f"{self._path}: {error}"
            raise StoreError(msg) from error
        return [Block(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._connection.close()


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK and a StoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as failed:
                self._rollback()
                raise self._failure(failed) from failed
            return
        self._rollback()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from error

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _failure(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self._path}: {error}; nothing of this write was kept, it will be tried again")
