"""Fixtures of the proofs: real mosquitto, real rclpy, a ROS domain of their own; a store with a backlog."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from edgetwin.store import shelf
from tests.integration.conftest import broker, pytest_configure, robot
from tests.proofs.broken_store import MAX_BYTES, Original, note
from tests.proofs.keeper import BATTERY, BUMPER, ODOM, Keeper

__all__ = ["broker", "pytest_configure", "robot"]

ROUNDS = 60


@pytest.fixture(name="brisk", scope="module")
def _brisk() -> Iterator[None]:
    """Deletes after hundredths of a second instead of halves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "_FORGET_DELAY_S", 0.01)
        yield


@pytest.fixture(name="original", scope="module")
def _original(brisk: None, tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Some hundred records in three lanes, in the file and in its write-ahead log."""
    folder = tmp_path_factory.mktemp("original")
    running = folder / "running"

    async def story() -> dict[tuple[str, int], Any]:
        keeper = Keeper(running / "outbox.db", "old", MAX_BYTES)
        await keeper.open()
        for _ in range(ROUNDS):
            for lane, count in ((ODOM, 9), (BATTERY, 2), (BUMPER, 1)):
                keeper.put(lane, count)
            await keeper.kept()
        shutil.copytree(running, folder / "killed")  # as SIGKILL would leave it
        content: dict[tuple[str, int], Any] = {}
        await keeper.drain(lambda parcel: note(content, parcel))
        await keeper.outbox.close()
        return content

    content = asyncio.run(story())
    assert len(content) == ROUNDS * 12
    return Original(folder / "killed", content)
