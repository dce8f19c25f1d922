"""Power cuts under the audit: what was said to be safe is in the chain after any cut, and the chain is whole.

As for the outbox: the real code runs and is recorded call by call; from the recording the files are built that a cut
may leave; the real code goes on with them. Without its syncs the same must fail, or the proof proves nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from edgetwin.store.audit import Kind, entries, verify
from edgetwin.store.audit_file import AuditFile
from tests.proofs.audit_script import ACKED, BYTES_MAX, batch_of
from tests.proofs.power_disk import Disk, Step, recorded
from tests.proofs.scale import scaled

SEED = 20261122
BATCHES = 120
ROOT = Path(__file__).parents[2]
_MEMORY = Path("/dev/shm")  # noqa: S108  # files that are made to be broken need no disk


@pytest.fixture(name="scratch", scope="module")
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def _record(scratch: Path, name: str, *unsynced: str) -> list[Step]:
    folder = scratch / name
    folder.mkdir()
    command = [sys.executable, "-m", "tests.proofs.audit_script", f"{folder}/outbox.db", str(BATCHES), *unsynced]
    return recorded(command, folder, scratch / f"{name}.strace", ROOT)


def _cut_everywhere(steps: Sequence[Step], cuts: int, scratch: Path) -> tuple[list[str], int]:
    disk = Disk()
    acked = done = 0
    failures: list[str] = []
    for index, step in enumerate(steps):
        if step.act is not None:
            step.act(disk)
        acked += step.said.startswith(ACKED)
        for variant in range((index + 1) * cuts // len(steps) - index * cuts // len(steps)):
            fault = _fault_after(disk, Random(f"{SEED}:{index}:{variant}"), acked, scratch / "cut")
            done += 1
            if fault:
                failures.append(f"cut {index}:{variant} of seed {SEED} after {acked} batches: {fault}")
    assert acked == BATCHES
    return failures, done


def _fault_after(disk: Disk, random: Random, acked: int, folder: Path) -> str:
    """Make the files of one cut, go on with the real code, and say what is wrong."""
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    for name, content in disk.after_cut(random).items():
        (folder / name).write_bytes(content)
    path = folder / "outbox.db"
    broken: list[str] = []
    head = AuditFile(path, BYTES_MAX, "next", lambda: None, broken.append).append(deque([b'{"id":-1}']), 0)
    if broken:
        return f"set aside: {broken}"
    if (found := verify(path, head)) is not None:
        return f"broken: {found}"
    kept = [entry["entry"]["id"] for entry in entries(path) if entry["kind"] == Kind.DECISION]
    safe = sum(len(batch_of(index)) for index in range(acked))
    if kept != [*range(kept[0], kept[0] + len(kept) - 1), -1] and len(kept) > 1:
        return f"not in order: {kept}"
    first = next((entry for entry in entries(path) if entry["kind"] == Kind.DECISION), None)
    if first is None or (safe and (len(kept) < 2 or kept[-2] < safe - 1)):
        return f"{safe} decisions were safe, the newest is {kept}"
    return ""


def test_what_was_said_to_be_safe_is_in_the_chain_after_any_cut(scratch: Path) -> None:
    """At every call; the chain verifies, goes on, and holds every decision up to the last that was said to be safe."""
    steps = _record(scratch, "synced")

    failures, done = _cut_everywhere(steps, scaled(3_000), scratch)

    print(f"{done} power cuts at {len(steps)} system calls of the audit")
    assert failures == []


def test_without_syncs_decisions_are_lost(scratch: Path) -> None:
    """The canary."""
    failures, done = _cut_everywhere(_record(scratch, "unsynced", "unsynced"), 300, scratch)

    assert len(failures) > done // 10
