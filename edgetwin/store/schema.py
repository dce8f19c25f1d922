"""Keep room: the tables of an outbox file, and how a file of an older edgetwin gets them.

In: a connection     Out: the tables of SCHEMA_VERSION.

| version | what it brought |
|---|---|
| 1 | the first |
| 2 | a checksum per gap; no index over them, whose damage would cost the whole file |

An older file is brought up to date in one transaction when it is opened. A newer one is not read at all.
"""

from __future__ import annotations

import sqlite3

from edgetwin.store.checksum import checksum

APPLICATION_ID = 0x45545731  # "ETW1"
SCHEMA_VERSION = 2
OLDEST_VERSION = 1
PAGE_BYTES = 4096
TABLES = frozenset({"block", "total", "counter", "gap", "dead"})

SCHEMA = f"""
PRAGMA page_size = {PAGE_BYTES};
BEGIN;
CREATE TABLE block (
    row INTEGER PRIMARY KEY, lane TEXT NOT NULL, boot TEXT NOT NULL, class TEXT NOT NULL, event INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, count INTEGER NOT NULL, crc INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE total (lane TEXT PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE gap (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, boot TEXT NOT NULL, from_seq INTEGER NOT NULL,
    to_seq INTEGER, count INTEGER, cause TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0, crc INTEGER
);
CREATE TABLE dead (
    row INTEGER PRIMARY KEY, lane TEXT NOT NULL, boot TEXT NOT NULL, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL, reason INTEGER NOT NULL
);
INSERT INTO counter VALUES ('next_row', 1);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608  # three numbers of ours


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a sound file of an older version up to date, or leave it as it is.

    Raises:
        sqlite3.Error: The disk does not take it.
    """
    connection.execute("BEGIN IMMEDIATE").close()
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < 2:  # noqa: PLR2004  # the table above
            _give_gaps_a_checksum(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}").close()
    except BaseException:
        connection.execute("ROLLBACK").close()
        raise
    connection.execute("COMMIT").close()


def _give_gaps_a_checksum(connection: sqlite3.Connection) -> None:
    """What stands there is believed once more: nothing else vouches for it."""
    connection.execute("DROP INDEX IF EXISTS gap_untold").close()
    connection.execute("ALTER TABLE gap ADD COLUMN crc INTEGER").close()
    found = connection.execute("SELECT id, lane, boot, from_seq, to_seq, count, cause FROM gap").fetchall()
    for gap_id, *columns in found:
        connection.execute("UPDATE gap SET crc = ? WHERE id = ?", (checksum(*columns), gap_id)).close()
