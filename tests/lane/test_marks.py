"""The numbers of the moves seen, on disk: written when new, read at the next start, in nobody's way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edgetwin.lane import marks
from edgetwin.lane.marks import Marks

FIRST: dict[str, Any] = {"floor_us": -1, "clients": {"anna": [1, 10]}}
SECOND: dict[str, Any] = {"floor_us": -1, "clients": {"anna": [2, 20]}}
NOBODY: dict[str, Any] = {"floor_us": -1, "clients": {}}


def on_disk(path: Path) -> Any:
    """What the file says."""
    return json.loads(path.read_bytes())


def test_what_is_new_is_written_and_found_again(tmp_path: Path) -> None:
    """Nothing for nobody; then the newest, once more at the end; the next start remembers it."""
    path = tmp_path / "made" / marks.FILE_NAME
    newest = [NOBODY]

    async def run() -> None:
        kept = Marks(path, lambda: newest[0], pytest.fail)
        assert kept.remembered is None
        kept.look()
        assert not path.parent.exists()
        newest[0] = FIRST
        await kept.end(FIRST)
        assert on_disk(path) == FIRST
        again = Marks(path, lambda: FIRST, pytest.fail)
        assert again.remembered == FIRST
        before = path.stat().st_ino
        await again.end(FIRST)
        assert path.stat().st_ino == before, "what is there already is not written again"
        await again.end(SECOND)
        assert on_disk(path) == SECOND

    asyncio.run(run())


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"[]", b"7", b'{"clients":'])
def test_a_damaged_file_keeps_nobody_from_starting(tmp_path: Path, content: bytes) -> None:
    """It says nothing, and is replaced."""
    path = tmp_path / marks.FILE_NAME
    path.write_bytes(content)

    async def run() -> None:
        kept = Marks(path, lambda: FIRST, pytest.fail)
        assert kept.remembered is None
        await kept.end(FIRST)

    asyncio.run(run())
    assert on_disk(path) == FIRST


def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    tmp_path.joinpath("state").write_bytes(b"")
    told: list[str] = []

    async def run() -> None:
        kept = Marks(tmp_path / "state" / marks.FILE_NAME, lambda: FIRST, told.append)
        await kept.end(FIRST)

    asyncio.run(run())
    assert len(told) == 1
    assert "cannot be written" in told[0]
