"""Power cuts: what was said to be safe is there after any cut, at any system call, with any loss of unsynced bytes.

The real store code runs in a process of its own; each of its writes and syncs is recorded. From the recording the
files are built that a cut may leave, thousands of them, and the real code opens each. With `synchronous = OFF` the
same must fail, or the proof proves nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from edgetwin.errors import StoreDamagedError
from edgetwin.store import opening
from edgetwin.store.database import Database
from tests.proofs.mounts import Ext4, ext4
from tests.proofs.power_disk import Disk, Step, recorded
from tests.proofs.power_script import ACKED, MAX_BYTES, Content, script
from tests.proofs.scale import scaled

SEED = 20261122
CHANGES = 150
CUTS_OF_CREATION = 8  # of each system call
ROOT = Path(__file__).parents[2]
_MEMORY = Path("/dev/shm")  # noqa: S108  # files that are made to be broken need no disk


@dataclass(frozen=True, slots=True)
class Cut:
    """A point in a recording: its place, how many changes were said to be safe, and the variant of the loss."""

    step: int
    acked: int
    variant: int


@pytest.fixture(name="scratch", scope="module")
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def record(scratch: Path, name: str, changes: int, synchronous: str = "") -> list[Step]:
    """Return what the script did, call by call."""
    folder = scratch / name
    folder.mkdir()
    command = [sys.executable, "-m", "tests.proofs.power_script", f"{folder}/outbox.db", str(SEED), str(changes)]
    return recorded([*command, synchronous], folder, scratch / f"{name}.strace", ROOT)


def cut_everywhere(steps: Sequence[Step], cuts: int, scratch: Path) -> tuple[list[str], int]:
    """Cut `cuts` times, spread over all steps; return the failures, and how many cuts there were."""
    changes = list(script(SEED, CHANGES))
    contents = [Content()]
    for change in changes:
        contents.append(contents[-1].after(change))
    disk = Disk()
    acked = done = 0
    failures: list[str] = []
    for index, step in enumerate(steps):
        if step.act is not None:
            step.act(disk)
        if step.said.startswith(ACKED):
            acked += 1
        share = (index + 1) * cuts // len(steps) - index * cuts // len(steps)
        for variant in range(max(share, 0 if acked else CUTS_OF_CREATION)):
            cut = Cut(index, acked, variant)
            failure = _fault_after(disk, cut, contents, scratch / "cut")
            done += 1
            if failure:
                failures.append(f"{cut} of seed {SEED}: {failure}")
    assert acked == len(contents) - 1
    return failures, done


def _fault_after(disk: Disk, cut: Cut, contents: Sequence[Content], folder: Path) -> str:
    """Make the files of one cut, open them with the real code, and say what is wrong with them."""
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    image = disk.after_cut(Random(f"{SEED}:{cut.step}:{cut.variant}"))
    for name, content in image.items():
        (folder / name).write_bytes(content)
    path = folder / "outbox.db"
    try:
        database = Database(path, MAX_BYTES)
    except StoreDamagedError as error:
        if cut.acked:
            return f"set aside: {error}"
        opening.set_aside(path)
        database = Database(path, MAX_BYTES)
    try:
        return _fault_in(database, contents[cut.acked : cut.acked + 2])
    except StoreDamagedError as error:
        return f"damage found when read: {error}"
    finally:
        database.close()


def _fault_in(database: Database, allowed: Sequence[Content]) -> str:
    """Say what is wrong with an open file: it must hold one of `allowed`, exactly, and take more."""
    blocks = {block.row: block for block in database.read(0, 2**62, 1_000)}
    gaps = {(gap.boot, gap.from_seq, gap.to_seq) for gap in database.gaps_to_tell()}
    for content in allowed:
        if blocks == content.blocks and gaps == {(gap.boot, gap.from_seq, gap.to_seq) for gap in content.gaps}:
            break
    else:
        missing, strange = allowed[0].blocks.keys() - blocks.keys(), blocks.keys() - allowed[-1].blocks.keys()
        return f"missing rows {sorted(missing)[:5]}, strange rows {sorted(strange)[:5]}, gaps {sorted(gaps)}"
    totals = database.totals()
    counts: dict[str, int] = {}
    for block in blocks.values():
        counts[block.lane] = counts.get(block.lane, 0) + block.count
    if totals.records != counts or totals.next_row <= max(blocks, default=0):
        return f"totals {totals} of {counts}"
    fresh = next(change for change in script(SEED + 1, CHANGES) if change.blocks).blocks[0]
    database.append([replace(fresh, row=totals.next_row)])
    return "" if len(database.read(totals.next_row - 1, 2**62, 2)) == 1 else "it takes nothing new"


@pytest.fixture(name="steps", scope="module")
def _steps(scratch: Path) -> list[Step]:
    return record(scratch, "full", CHANGES)


def test_no_cut_takes_what_was_said_to_be_safe(steps: list[Step], scratch: Path) -> None:
    """At every system call, the making of the file included: each change is there whole, or not at all."""
    failures, done = cut_everywhere(steps, scaled(10_000), scratch)

    assert failures == []
    print(f"{done} power cuts at {len(steps)} system calls")


def test_without_syncs_the_same_cuts_lose_data(scratch: Path) -> None:
    """The canary: with `synchronous = OFF` the proof must fail, and the same seed must fail the same way again."""
    steps = record(scratch, "off", CHANGES, "OFF")

    failures, done = cut_everywhere(steps, 300, scratch)
    again, _ = cut_everywhere(steps, 300, scratch)

    assert len(failures) > done // 10
    assert failures == again


@pytest.mark.fault
def test_a_file_system_that_loses_its_power_keeps_what_was_said_to_be_safe(tmp_path: Path) -> None:
    """A real ext4, shut down under the writer without flushing its journal, a few times.

    What is said while the power goes does not count: a sync that is under way then is answered with success.
    """
    contents = [Content()]
    for change in script(SEED, CHANGES):
        contents.append(contents[-1].after(change))
    random = Random(SEED)
    for index in range(scaled(5)):
        with ext4(tmp_path / f"image{index}", tmp_path / f"disk{index}") as disk:
            before = random.randint(0, CHANGES // 2)
            acked = _play_until_cut(disk, before)
            disk.unmount()
            disk.mount()
            database = Database(disk.folder / "outbox.db", MAX_BYTES)
            try:
                fault = _fault_in(database, contents[before : acked + 2])
            finally:
                database.close()

        assert fault == "", f"cut {index} of seed {SEED} after {before} changes"


def _play_until_cut(disk: Ext4, changes: int) -> int:
    """Play the script, take the power after so many changes at the earliest; return how many were said to be safe."""
    command = [sys.executable, "-m", "tests.proofs.power_script", f"{disk.folder}/outbox.db", str(SEED), str(CHANGES)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as player:
        assert player.stdout is not None
        for _ in range(changes):
            assert player.stdout.readline().startswith(ACKED.encode())
        disk.cut()
        said = player.stdout.readlines()
        player.kill()
    return changes + sum(line.startswith(ACKED.encode()) for line in said)
