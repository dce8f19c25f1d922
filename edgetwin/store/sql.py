"""Keep room: SQLite with its failures said in the outbox's words, and transactions that end.

In: statements     Out: rows; StoreError and its kinds, never sqlite3's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgetwin.store.opening import connect, translate


class Sql:
    """The connection to an outbox file.

    Raises:
        StoreError: See `opening.connect`.
    """

    def __init__(self, path: Path, wal_pages: int) -> None:
        self._path = path
        self._connection = connect(path, wal_pages)

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; return its rows.

        Raises:
            StoreError: It failed.
        """
        try:
            return self._connection.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise translate(error, self._path) from error

    def transaction(self) -> Transaction:
        """Return a context that commits at its end, or takes everything back."""
        return Transaction(self._connection, self._path)

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._connection.close()


class Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK and a StoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as failed:
                self._rollback()
                raise translate(failed, self._path) from failed
            return
        self._rollback()
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path) from error

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # the handle is not trusted after this anyway
                self._connection.execute("ROLLBACK")
