"""Damage at places that chance finds: up within 5 s, nothing altered, nothing silently gone, no crash loop."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.proofs.broken_store import UP_S, Original, Outcome, tried
from tests.proofs.scale import scaled

SEED = 17
CASES = 150


def _damage(folder: Path, original: Original, random: Random) -> str:
    """Break one file at one place; return how."""
    file = random.choice(original.files)
    content = bytearray(file.read_bytes())
    place = random.randrange(len(content))
    length = random.choice((1, 4, 512, 4096, 16_384))
    kind = random.choice(("flip", "zero", "garbage", "truncate"))
    if kind == "flip":
        content[place] ^= 1 << random.randrange(8)
    elif kind == "truncate":
        del content[place:]
    else:
        end = min(len(content), place + length)
        content[place:end] = bytes(end - place) if kind == "zero" else random.randbytes(end - place)
    (folder / file.name).write_bytes(content)
    return f"{kind} {file.name} at {place}" + ("" if kind in {"flip", "truncate"} else f", {length} bytes")


@dataclass(frozen=True, slots=True)
class Case:
    """One damage, and what became of it."""

    what: str
    outcome: Outcome

    def wrong(self, *kinds: str) -> list[str]:
        """Return what went wrong, of these kinds."""
        return [f"{self.what}: {wrong}" for wrong in self.outcome.wrong if wrong.startswith(kinds)]


@pytest.fixture(name="cases", scope="module")
def _cases(original: Original, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    cases = []
    for index in range(scaled(CASES)):
        folder = tmp_path_factory.mktemp("broken") / "store"
        shutil.copytree(original.folder, folder)
        what = _damage(folder, original, Random(f"{SEED}:{index}"))
        cases.append(Case(f"case {SEED}:{index}, {what}", tried(folder, original)))
        shutil.rmtree(folder)
    return cases


def _wrong(cases: Iterable[Case], *kinds: str) -> list[str]:
    return [wrong for case in cases for wrong in case.wrong(*kinds)]


def test_it_is_up_and_takes_records_within_5_s(cases: list[Case]) -> None:
    """Whatever was broken: fresh records are on disk, and leave."""
    assert _wrong(cases, "takes nothing", "fresh") == []
    assert max(case.outcome.up_s for case in cases) < UP_S


def test_no_damage_stops_the_daemon(cases: list[Case]) -> None:
    """No exception leaves the store: a crash would be one again after each restart."""
    assert _wrong(cases, "stopped") == []


def test_no_damage_stops_the_drain(cases: list[Case]) -> None:
    """What can be read leaves, whatever cannot."""
    assert _wrong(cases, "does not drain") == []


def test_nothing_is_delivered_altered(cases: list[Case]) -> None:
    """What arrives is what was kept, on the topic where it belongs."""
    assert _wrong(cases, "altered") == []


def test_nothing_that_the_database_held_is_silently_gone(cases: list[Case]) -> None:
    """What does not arrive is explained by a gap: quarantine, or a damaged row."""
    assert _wrong([case for case in cases if "-wal" not in case.what], "silently gone") == []
    print(f"{len(cases)} damages: {sum(bool(case.outcome.quarantined) for case in cases)} files set aside")


def test_nothing_that_the_log_held_is_silently_gone(cases: list[Case]) -> None:
    """A write-ahead log that breaks off: the numbers that only it held are told of."""
    assert _wrong([case for case in cases if "-wal" in case.what], "silently gone") == []
