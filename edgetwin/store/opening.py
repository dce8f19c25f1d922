"""Keep room: the file itself: made whole or not at all, checked when opened, set aside whole when broken.

In: a path     Out: a connection, or StoreDamagedError; a broken file moved out of the way.

A new file is made under another name, synced and renamed: a power cut leaves no half-made one. A broken one
is never repaired in place and never wiped: database, WAL and shared memory file move together to
NAME.broken-N, and the two newest of these are kept.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from edgetwin.errors import StoreDamagedError, StoreError
from edgetwin.store import wal
from edgetwin.store.schema import (
    APPLICATION_ID,
    OLDEST_VERSION,
    PAGE_BYTES,
    SCHEMA,
    SCHEMA_VERSION,
    TABLES,
    upgrade,
)

QUARANTINED_MAX = 2
_SIDE_SUFFIXES = ("", "-wal", "-shm", "-journal")
_QUICK_CHECK_MAX_BYTES = 16_000_000  # a larger file would take seconds; its damage shows when it is read
_MAGIC = b"SQLite format 3\0"
_PAGES_AT = 28
_PAGES_MAX = 2**38  # of the largest outbox that can be configured
_VERSION_PLAUSIBLE = 1000  # above it is damage, not another edgetwin
_USER_VERSION_AT = 60
_APPLICATION_ID_AT = 68
_OUR_TABLE = b"CREATE TABLE block"
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def connect(path: Path, wal_pages: int) -> sqlite3.Connection:
    """Return a connection to a sound outbox file, made if there is none.

    Args:
        path: The file.
        wal_pages: The WAL is folded into the file whenever it has grown to this.

    Raises:
        StoreDamagedError: It must be set aside first.
        StoreError: It cannot be used, and setting it aside would not help (permissions, disk, not ours).
    """
    try:
        _create_if_absent(path)
        _keep_wal(path)
        # mode=rw: it is there by now, and where it went away this moment (a disk that was unmounted) none may be made.
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw", isolation_level=None, check_same_thread=False, uri=True
        )
        connection.text_factory = _text  # damage in a text must not look like a failing disk
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").close()  # one connection, ever: no -shm, no sharing
            version = _check(connection, path)
            _configure(connection, wal_pages)
            if version < SCHEMA_VERSION:
                upgrade(connection)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise translate(error, path) from error
    _kept_wal(path).unlink(missing_ok=True)
    return connection


def newer_version(path: Path) -> int | None:
    """Return the version of an outbox file that a newer edgetwin wrote; None for every other file, and for none.

    Raises:
        OSError: The file is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            page = file.read(PAGE_BYTES)
    except FileNotFoundError:
        return None
    ours = page[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4] == APPLICATION_ID.to_bytes(4, "big")
    version = int.from_bytes(page[_USER_VERSION_AT : _USER_VERSION_AT + 4], "big")
    return version if ours and SCHEMA_VERSION < version < _VERSION_PLAUSIBLE else None


def translate(error: Exception, path: Path) -> StoreError:
    """Return what a failure of SQLite or the file system means for the outbox."""
    if isinstance(error, UnicodeError):
        return StoreDamagedError(f"{path}: {error}")
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code & 0xFF in _DAMAGE:
        return StoreDamagedError(f"{path}: {error}")
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return StoreDamagedError(f"{path}: {error}")
    return StoreError(f"{path}: {error}; check the disk, its free space and the permissions")


def set_aside(path: Path) -> Path:
    """Move a broken file, whole, to NAME.broken-N; drop all but the newest two. Return the new name."""
    number = 1 + max((_number(found) for found in _quarantined(path)), default=0)
    target = path.with_name(f"{path.name}.broken-{number}")
    for suffix in reversed(_SIDE_SUFFIXES):  # the main file last: whoever is interrupted finds it and begins again
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{target}{suffix}")  # noqa: PTH105  # suffixes are not Path suffixes
    with suppress(FileNotFoundError):  # opening the broken file may have folded its WAL in: this is the WAL as it was
        os.replace(_kept_wal(path), f"{target}-wal")  # noqa: PTH105
    for old in sorted(_quarantined(path), key=_number)[:-QUARANTINED_MAX]:
        for suffix in _SIDE_SUFFIXES:
            Path(f"{old}{suffix}").unlink(missing_ok=True)
    sync_directory(path.parent)
    return target


def _keep_wal(path: Path) -> None:
    """Give the WAL a second name while the file is checked: SQLite deletes it when a connection closes."""
    kept = _kept_wal(path)
    kept.unlink(missing_ok=True)
    with suppress(OSError):  # none there, or a file system without links: then it is kept only as SQLite leaves it
        os.link(f"{path}-wal", kept)


def _kept_wal(path: Path) -> Path:
    return Path(f"{path}-wal.kept")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _create_if_absent(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = Path(f"{path}-wal")
    if path.exists():
        if path.stat().st_size == 0:
            msg = f"{path}: empty where a database should be"
            raise StoreDamagedError(msg)  # SQLite would silently delete its WAL
        _look_at(path)
        return
    if log.exists():
        msg = f"{log}: a write-ahead log without its database"
        raise StoreDamagedError(msg)
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF").close()
        connection.executescript(SCHEMA)
    finally:
        connection.close()
    scratch.chmod(0o600)
    with scratch.open("rb+") as file:
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_directory(path.parent)


def _look_at(path: Path) -> None:
    """Judge the file by its first page: opening it would already change it (its WAL would be folded in).

    Raises:
        StoreDamagedError: Not a whole database.
        StoreError: Another program's.
    """
    with path.open("rb") as file:
        page = file.read(PAGE_BYTES)
    ours = page[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4] == APPLICATION_ID.to_bytes(4, "big")
    size = path.stat().st_size
    if len(page) < PAGE_BYTES or not page.startswith(_MAGIC) or (ours and not _is_whole(path, page, size)):
        msg = f"{path}: {size} bytes that are no whole database"
        raise StoreDamagedError(msg)
    if not ours and _OUR_TABLE not in page:
        msg = f"{path} is a database of something else; choose another [store] path"
        raise StoreError(msg)


def _is_whole(path: Path, first_page: bytes, size: int) -> bool:
    """Whether every page is there. A power cut may leave a file cut short, and what is missing in the log: sound."""
    log = Path(f"{path}-wal")
    logged = wal.read(log, PAGE_BYTES) if log.exists() else wal.Logged()
    noted = int.from_bytes(first_page[_PAGES_AT : _PAGES_AT + 4], "big")
    pages = logged.database_pages or noted
    return pages <= _PAGES_MAX and all(page in logged.pages for page in range(size // PAGE_BYTES + 1, pages + 1))


def _configure(connection: sqlite3.Connection, wal_pages: int) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = OFF",  # Debian builds it on: every delete would write zeros
        f"wal_autocheckpoint = {wal_pages}",
        f"journal_size_limit = {wal_pages * PAGE_BYTES}",
        "busy_timeout = 2000",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """Return its version."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if application_id != APPLICATION_ID or not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        msg = f"{path}: of version {version}, this edgetwin knows {OLDEST_VERSION} to {SCHEMA_VERSION}"
        raise StoreDamagedError(msg)
    if not tables >= TABLES:
        msg = f"{path}: without {', '.join(sorted(TABLES - tables))}"
        raise StoreDamagedError(msg)
    if path.stat().st_size <= _QUICK_CHECK_MAX_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            msg = f"{path}: {verdict}"
            raise StoreDamagedError(msg)
    return int(version)


def _quarantined(path: Path) -> list[Path]:
    return [found for found in path.parent.glob(f"{path.name}.broken-*") if found.name.rpartition("-")[2].isdecimal()]


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def sync_directory(folder: Path) -> None:
    """Make the names in a folder safe."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
