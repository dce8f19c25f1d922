"""SIGKILL at every step of a start: what the boot before had lost is still told by the next one."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from edgetwin.continuity import Continuity
from edgetwin.records import GapCause
from edgetwin.store.number_format import memory_path
from tests.proofs.keeper import Keeper, covered

RECORDS = 7
CALLS = ("rename", "openat", "fdatasync", "pwrite64", "unlink")
STEPS_MAX = 40
ROOT = Path(__file__).parents[2]


def _boot(store: Path, boot: str, *prefix: str) -> bool:
    """Run a boot that ends by SIGKILL; return whether it had opened its outbox."""
    command = [*prefix, sys.executable, "-m", "tests.proofs.opening_script", f"{store}/outbox.db", boot, str(RECORDS)]
    return b"open" in subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60).stdout


def _copied(store: Path, target: Path) -> Path:
    """Copy a store with what is noted of it in memory."""
    shutil.copytree(store, target)
    memory, copy = (memory_path(folder / "outbox.db.seq") for folder in (store, target))
    assert memory is not None
    assert copy is not None
    shutil.copy(memory, copy)
    return target


def _told(store: Path) -> set[int]:
    """Return the numbers of the first boot that the gaps of a further boot cover."""

    async def story() -> set[int]:
        keeper = Keeper(store / "outbox.db", "last")
        await keeper.open()
        await keeper.tell_gaps(Continuity())
        await keeper.outbox.close()
        return covered(keeper.lost, "first", [GapCause.CRASH]).get("odom", set())

    return asyncio.run(story())


def test_what_a_killed_boot_had_in_memory_is_told_by_the_next(tmp_path: Path) -> None:
    """The plain case: seven records, killed at once."""
    _boot(tmp_path, "first")

    assert _told(tmp_path) == set(range(RECORDS))


def test_a_boot_killed_at_any_step_of_its_start_forgets_nothing(tmp_path: Path) -> None:
    """At each write, sync and rename on the store; after it, the numbers of the boot before are still explained."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is not installed: apt-get install strace"
    origin = tmp_path / "origin"
    origin.mkdir()
    _boot(origin, "first")
    forgotten = []
    for call in ("rename", "fdatasync", "pwrite64"):
        for step in range(1, STEPS_MAX):
            store = _copied(origin, tmp_path / f"{call}{step}")
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={step}"]
            opened = _boot(store, "second", strace, "-qq", "-f", "-o", "/dev/null", *inject)
            if _told(store) != set(range(RECORDS)):
                forgotten.append(f"killed at {call} {step}")
            if opened:
                break

    assert forgotten == []
