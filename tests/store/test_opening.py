"""The outbox file, whatever was left there: opened, set aside whole, or left alone; never wiped, no traceback."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from edgetwin.errors import StoreDamagedError, StoreError
from edgetwin.store.database import Database
from edgetwin.store.opening import connect, set_aside
from edgetwin.store.schema import SCHEMA_VERSION
from edgetwin.store.writer import Writer
from tests.store.blocks import ROOMY_BYTES, block, kept

_ROWS = 30


@pytest.fixture(name="sound", scope="module")
def _sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed file of some pages with thirty rows, to be copied."""
    path = tmp_path_factory.mktemp("sound") / "outbox.db"
    database = Database(path, ROOMY_BYTES)
    database.append([block(row, first_seq=row * 3, size=400) for row in range(1, _ROWS + 1)])
    database.close()
    return path


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _open(path: Path) -> tuple[dict[str, list[int]], list[Path]]:
    """Open it as the outbox does, and write to it; return what it held, and what was set aside."""
    moved: list[Path] = []

    async def main() -> dict[str, list[int]]:
        writer = Writer(path, ROOMY_BYTES, asyncio.get_running_loop(), lambda aside, _: moved.append(aside))
        try:
            found = await writer.call(kept)
            await writer.call(lambda database: database.append([block(1000, "scan")]))
            return found
        finally:
            await writer.close()

    return asyncio.run(main()), moved


def _killed(path: Path) -> None:
    """Leave a file and its WAL as a killed process does: the last rows are in the WAL only."""
    origin = path.with_name("origin.db")
    database = Database(origin, ROOMY_BYTES)
    database.append([block(1)])
    shutil.copy(origin, path)
    shutil.copy(_wal(origin), _wal(path))
    database.close()
    origin.unlink()


def test_a_missing_file_is_made(path: Path) -> None:
    """Whole, and nothing else stays beside it."""
    assert _open(path) == ({}, [])
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_read(path: Path) -> None:
    """The WAL holds it."""
    _killed(path)

    assert _open(path) == ({"odom": [0, 1, 2]}, [])


def test_an_empty_file_is_set_aside(path: Path) -> None:
    """A power cut on a file system without order."""
    path.write_bytes(b"")

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])


def test_an_empty_file_beside_a_wal_is_set_aside_with_the_wal(path: Path) -> None:
    """SQLite would delete the WAL without a word; somebody may still want it."""
    _killed(path)
    wal = _wal(path).read_bytes()
    path.write_bytes(b"")

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])
    assert path.with_name("outbox.db.broken-1-wal").read_bytes() == wal


def test_a_wal_without_its_database_is_set_aside(path: Path) -> None:
    """As that of an empty one."""
    _killed(path)
    wal = _wal(path).read_bytes()
    path.unlink()

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])
    assert path.with_name("outbox.db.broken-1-wal").read_bytes() == wal


_SIZES = [1, 15, 16, 99, 100, 101, 511, 512, 1024, 4095, 4096, 4097, 8192, 12_288, 16_384, 20_480, -8192, -4096]


@pytest.mark.parametrize("size", _SIZES)
def test_a_truncated_file_is_set_aside(path: Path, sound: Path, size: int) -> None:
    """Wherever it ends; at its end nothing is missing."""
    content = sound.read_bytes()[:size]
    path.write_bytes(content)

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])
    assert path.with_name("outbox.db.broken-1").read_bytes() == content


@pytest.mark.parametrize("size", [1, 100, 512, 4096, 50_000])
def test_a_zeroed_file_is_set_aside(path: Path, size: int) -> None:
    """Blocks that were given out and never written."""
    path.write_bytes(bytes(size))

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("filling", ["zeros", "garbage"])
def test_a_page_of_zeros_or_garbage_is_found_or_does_no_harm(path: Path, sound: Path, page: int, filling: str) -> None:
    """Never a traceback, never other records than were written: read, or set aside whole."""
    content = bytearray(sound.read_bytes())
    at = page * 4096
    content[at : at + 4096] = bytes(4096) if filling == "zeros" else Random(page).randbytes(4096)
    path.write_bytes(content)
    written = {*range(3, 3 * _ROWS + 3)}

    try:
        found, moved = _open(path)
    except ValueError as error:  # a body that does not open: for the packer, who says so
        if "zstd" not in str(error):
            raise
        return
    assert moved == [path.with_name("outbox.db.broken-1")] or set(found["odom"]) <= written


@pytest.mark.parametrize("content", [b"not a database at all " * 400, Random(1).randbytes(40_000)])
def test_garbage_is_set_aside_to_the_byte(path: Path, content: bytes) -> None:
    """Whatever it is, somebody may want to look at it."""
    path.write_bytes(content)

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])
    assert path.with_name("outbox.db.broken-1").read_bytes() == content


def test_a_file_of_a_newer_version_is_set_aside(path: Path) -> None:
    """A downgrade must not eat the backlog: whoever upgrades again finds it."""
    _killed(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    assert _open(path) == ({}, [path.with_name("outbox.db.broken-1")])
    with sqlite3.connect(path.with_name("outbox.db.broken-1")) as connection:
        assert connection.execute("SELECT count(*) FROM block").fetchone() == (1,)
    connection.close()


def test_a_half_made_file_is_made_anew(path: Path) -> None:
    """The power went while it was written under its other name."""
    path.with_name("outbox.db.new").write_bytes(b"half of a datab")

    assert _open(path) == ({}, [])
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def _theirs(path: Path, *, wal: bool = False) -> dict[str, bytes]:
    """Put somebody else's database there, as a killed process leaves it; return all bytes."""
    origin = path.with_name("theirs.db")
    connection = sqlite3.connect(origin, isolation_level=None)
    if wal:
        connection.execute("PRAGMA journal_mode = WAL").close()
    connection.execute("CREATE TABLE theirs (x)").close()
    connection.execute("INSERT INTO theirs VALUES (1)").close()
    for suffix in ("", "-wal") if wal else ("",):
        shutil.copy(f"{origin}{suffix}", f"{path}{suffix}")
    connection.close()
    origin.unlink()
    return _bytes(path)


def _bytes(path: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in path.parent.iterdir()}


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    """To the byte; its owner can go on with it."""
    before = _theirs(path)

    with pytest.raises(StoreError, match="something else") as refused:
        _open(path)

    assert not isinstance(refused.value, StoreDamagedError)
    assert _bytes(path) == before


def test_a_database_of_another_program_with_a_wal_is_left_alone(path: Path) -> None:
    """Its owner crashed, and will come back."""
    before = _theirs(path, wal=True)

    with pytest.raises(StoreError, match="something else"):
        _open(path)

    assert _bytes(path) == before


def test_a_refused_file_is_closed(path: Path) -> None:
    """Even while its error is alive: its owner must be able to write."""
    _theirs(path)
    with pytest.raises(StoreError) as kept_alive:
        connect(path, 500)

    other = sqlite3.connect(path, timeout=0)
    try:
        other.execute("INSERT INTO theirs VALUES (1)")
    finally:
        other.close()
        del kept_alive


@pytest.mark.parametrize("table", ["block", "total", "counter", "gap", "dead"])
def test_a_file_with_a_table_missing_is_set_aside(path: Path, sound: Path, table: str) -> None:
    """It says it is ours, and is not what we made."""
    shutil.copy(sound, path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"DROP TABLE {table}")
    connection.close()

    _, moved = _open(path)

    assert moved == [path.with_name("outbox.db.broken-1")]


def test_database_wal_and_shared_memory_move_together_and_two_of_them_stay(path: Path) -> None:
    """The newest two; numbers go on, and other files are nobody's business."""
    stranger = path.with_name("outbox.db.broken-by-me")
    stranger.write_text("mine")
    for number in range(1, 5):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").write_text(f"{number}{suffix}")
        assert set_aside(path) == path.with_name(f"outbox.db.broken-{number}")

    stranger.unlink()
    assert {name: content.decode() for name, content in _bytes(path).items()} == {
        f"outbox.db.broken-{number}{suffix}": f"{number}{suffix}"
        for number in (3, 4)
        for suffix in ("", "-wal", "-shm")
    }


def test_a_directory_that_nobody_may_write_is_a_store_error(path: Path) -> None:
    """With the cure; not damage, since nothing can be set aside."""
    path.parent.joinpath("file").write_bytes(b"")

    with pytest.raises(StoreError, match="permissions") as refused:
        connect(path.parent / "file" / "outbox.db", 500)
    assert not isinstance(refused.value, StoreDamagedError)
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208
