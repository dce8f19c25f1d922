"""The audit: every decision in a chain; whatever is done to it shows; it survives restarts, kills, its own limit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin.errors import StoreError
from edgetwin.store import audit, auditor
from edgetwin.store.audit import Break, Kind, entries, segments, verify
from edgetwin.store.audit_file import SEGMENTS_MAX, AuditFile, audit_bytes
from edgetwin.store.number_format import AuditHead
from tests.store.blocks import footprint
from tests.store.outbox_bench import ODOM, Bench, play, until

_ROOMY = 1_000_000
_TIGHT = 64_000


class _Chain:
    """An audit file, what it was told of the last boot, and what it said."""

    def __init__(self, path: Path, bytes_max: int = _ROOMY, boot: str = "b", known: AuditHead | None = None) -> None:
        self.path = path
        self.broken: list[str] = []
        self.file = AuditFile(path, bytes_max, boot, lambda: known, self.broken.append)
        self.head: AuditHead | None = None

    def write(self, *decisions: int, size: int = 0) -> AuditHead:
        filler = {"detail": "x" * size} if size else {}
        self.head = self.file.append(deque(json.dumps({"id": n, **filler}).encode() for n in decisions), 7)
        return self.head


def decided(path: Path) -> list[int]:
    """Return the ids of all decisions, in order."""
    return [entry["entry"]["id"] for entry in entries(path) if entry["kind"] == Kind.DECISION]


def kinds(path: Path) -> list[str]:
    """Return what the entries are."""
    return [entry["kind"] for entry in entries(path)]


def the_file(path: Path) -> Path:
    """Return the only segment."""
    (found,) = segments(path).values()
    return found


def _lines(path: Path) -> list[bytes]:
    return the_file(path).read_bytes().rstrip(b"\0").splitlines(keepends=True)


def _write_lines(path: Path, lines: list[bytes]) -> None:
    the_file(path).write_bytes(b"".join(lines))


def test_decisions_are_a_chain_that_a_shell_can_check(path: Path) -> None:
    """In order, numbered, each hash over the one before and the bytes of the entry; sha256sum says the same."""
    chain = _Chain(path)
    head = chain.write(1, 2)
    chain.write(3)

    assert decided(path) == [1, 2, 3]
    assert [entry["n"] for entry in entries(path)] == [0, 1, 2, 3]
    assert verify(path, head) is None
    for before, after in pairwise(_lines(path)):
        hash_, raw = after[:64], after[65:-1]
        said = subprocess.run(["sha256sum"], input=before[:64] + raw, capture_output=True, check=True).stdout
        assert said[:64] == hash_
        assert json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")) == raw.decode().replace(": ", ":")


def test_no_decision_makes_no_file(path: Path) -> None:
    """A robot that only forwards."""
    chain = _Chain(path)

    assert chain.file.end(1) is None
    assert segments(path) == {}
    assert verify(path) is None
    assert list(entries(path)) == []


def _edit(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"id": 3', b'"id": 8') for line in lines]


def _edit_and_hash_anew(lines: list[bytes]) -> list[bytes]:
    raw = lines[3][65:-1].replace(b'"id": 3', b'"id": 8')
    return [*lines[:3], hashlib.sha256(lines[2][:64] + raw).hexdigest().encode() + b" " + raw + b"\n", *lines[4:]]


def _delete(lines: list[bytes]) -> list[bytes]:
    return lines[:3] + lines[4:]


def _swap(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def _insert(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3], *lines[3:]]


def _behead(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


TAMPERED: dict[Callable[[list[bytes]], list[bytes]], int] = {
    _edit: 3, _edit_and_hash_anew: 4, _delete: 3, _swap: 3, _insert: 4, _behead: 0,
}  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERED)
def test_tampering_shows_where_it_was_done(tamper: Callable[[list[bytes]], list[bytes]], path: Path) -> None:
    """Edited, edited with a hash that fits, deleted, reordered, inserted, its beginning taken."""
    _Chain(path).write(1, 2, 3, 4, 5, 6)
    _write_lines(path, tamper(_lines(path)))

    found = verify(path)
    assert found is not None
    assert found.number == TAMPERED[tamper]


def test_a_missing_end_shows_against_the_head_that_is_known_elsewhere(path: Path) -> None:
    """The chain alone cannot show it; the newest hash, kept off the file, can: cut, or written anew."""
    head = _Chain(path).write(1, 2, 3)
    lines = _lines(path)

    _write_lines(path, lines[:-1])
    assert verify(path) is None
    assert verify(path, head) == Break("outbox.db.audit-000001", 0, 3, "the end is missing, or was written anew")
    the_file(path).unlink()
    assert verify(path, head) is not None
    _Chain(path).write(1, 2, 9)
    assert verify(path) is None
    assert verify(path, head) is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_byte_anywhere_shows(place: int, change: int, path: Path) -> None:
    """In any entry, in the reserved room behind them, in any of three segments."""
    for old in segments(path).values():
        old.unlink()
    chain = _Chain(path, _TIGHT)
    while len(segments(path)) < 3:
        head = chain.write(1, 2, size=500)
    chain.file.close()
    found = segments(path)
    places = [(number, offset) for number, file in found.items() for offset in range(file.stat().st_size)]
    number, offset = places[place % len(places)]
    content = bytearray(found[number].read_bytes())
    end = len(bytes(content).rstrip(b"\0"))
    content[offset] ^= change
    found[number].write_bytes(content)

    # Bytes at the end of all may be the beginning of the next entry: only the daemon can tell.
    assert (number == max(found) and offset >= end) or verify(path, head) is not None


def test_a_missing_segment_shows(path: Path) -> None:
    """The first, one in the middle, the last."""
    chain = _Chain(path, _TIGHT)
    while len(segments(path)) < 4:
        head = chain.write(1, size=500)
    chain.file.close()
    for number, file in segments(path).items():
        content = file.read_bytes()
        file.unlink()

        assert verify(path, head) is not None, number
        file.write_bytes(content)
    assert verify(path, head) is None


def test_the_next_boot_goes_on_with_the_chain(path: Path) -> None:
    """Ended in order, or killed: the chain has one beginning, and says which boots wrote it."""
    chain = _Chain(path)
    chain.write(1)
    head = chain.file.end(1)
    chain = _Chain(path, boot="c", known=head)
    killed = chain.write(2)
    chain = _Chain(path, boot="d", known=killed)
    head = chain.write(3)

    assert verify(path, head) is None
    assert kinds(path) == ["genesis", "decision", "end", "boot", "decision", "boot", "decision"]
    assert [entry["boot"] for entry in entries(path) if "boot" in entry] == ["b", "c", "d"]
    assert chain.broken == []


@pytest.mark.parametrize("torn", [b"3f", b"3f" * 32 + b' {"n"', b'abc {"n":9}\ndef'])
def test_an_end_that_was_never_said_to_be_safe_is_cut_off_and_that_is_said(torn: bytes, path: Path) -> None:
    """A power cut in the middle of a write."""
    chain = _Chain(path)
    head = chain.write(1, 2)
    chain.file.close()
    _write_lines(path, [*_lines(path), torn])
    chain = _Chain(path, boot="c", known=head)
    head = chain.write(3)

    assert verify(path, head) is None
    assert decided(path) == [1, 2, 3]
    (boot,) = (entry for entry in entries(path) if entry["kind"] == Kind.BOOT)
    assert (boot["torn_bytes"], boot["torn_sha256"]) == (len(torn), hashlib.sha256(torn).hexdigest())
    kept = [file.read_bytes() for file in path.parent.glob("*.audit.broken-*")]
    assert kept == ([torn] if b"\n" in torn else [])
    assert chain.broken == []


def _cut_end(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


@pytest.mark.parametrize("damage", [*TAMPERED, _cut_end])
def test_a_broken_chain_is_closed_and_the_next_one_names_it(
    damage: Callable[[list[bytes]], list[bytes]], path: Path
) -> None:
    """Set aside as it is, not mended; the new genesis says what the chain was and what was known of it; it is told."""
    chain = _Chain(path)
    head = chain.write(1, 2, 3, 4, 5, 6)
    chain.file.close()
    lines = damage(_lines(path))
    _write_lines(path, lines)
    chain = _Chain(path, boot="c", known=head)
    new_head = chain.write(7)

    assert verify(path, new_head) is None
    assert decided(path) == [7]
    genesis = next(entries(path))
    after = genesis["after"]
    assert (after["known_n"], after["known_hash"]) == head
    assert path.with_name(after["file"]).read_bytes() == b"".join(lines)
    assert len(chain.broken) == 1


def test_only_the_broken_segment_is_set_aside(path: Path) -> None:
    """The ones before stay where they are, and verify."""
    chain = _Chain(path, _TIGHT)
    while len(segments(path)) < 3:
        head = chain.write(1, size=500)
    chain.file.close()
    broken = segments(path)[3]
    broken.write_bytes(b"x" * broken.stat().st_size)
    chain = _Chain(path, _TIGHT, known=head)
    head = chain.write(2)

    assert sorted(segments(path)) == [1, 2, 4]
    assert verify(path, head) is None


def test_a_chain_that_is_gone_is_told(path: Path) -> None:
    """Somebody has deleted it; the numbers know that there was one."""
    chain = _Chain(path)
    head = chain.write(1, 2)
    the_file(path).unlink()
    chain = _Chain(path, known=head)
    chain.write(3)

    assert next(entries(path))["after"] == {"what": "missing", "known_n": head.number, "known_hash": head.hash}
    assert len(chain.broken) == 1


def test_at_most_two_broken_segments_are_kept(path: Path) -> None:
    """Four times in a row."""
    for _ in range(4):
        chain = _Chain(path)
        chain.write(1)
        chain.file.close()
        the_file(path).write_bytes(b"x\n")
        for old in segments(path):
            assert old > 0
    _Chain(path).write(1)

    assert len(list(path.parent.glob("*.audit.broken-*"))) == 2


def test_the_oldest_go_only_after_the_chain_has_said_so(path: Path) -> None:
    """Far more than fits: within its bytes at any time, verifiable at any time, nothing missing but what is said."""
    chain = _Chain(path, _TIGHT)
    highest = 0
    for n in range(1500):
        head = chain.write(n, size=100)
        if n % 50 == 0:
            highest = max(highest, sum(file.stat().st_size for file in segments(path).values()))
            assert verify(path, head) is None

    kept = decided(path)
    dropped = [entry for entry in entries(path) if entry["kind"] == Kind.TRUNCATED]
    assert kept == list(range(kept[0], 1500))
    assert dropped[-1]["last_n"] == next(entries(path))["n"] - 1
    assert _TIGHT // 2 < highest <= _TIGHT
    assert len(segments(path)) <= SEGMENTS_MAX


def test_an_oldest_segment_that_goes_without_a_word_shows(path: Path) -> None:
    """After the chain has said that of others: it must have said it of this one."""
    chain = _Chain(path, _TIGHT)
    while Kind.TRUNCATED not in kinds(path):
        chain.write(1, size=500)
    assert verify(path) is None
    min(segments(path).items())[1].unlink()

    assert verify(path) is not None


def test_a_lowered_limit_is_kept_after_the_next_start(path: Path) -> None:
    """The user gives it less."""
    chain = _Chain(path, 4 * _TIGHT)
    for n in range(1000):
        head = chain.write(n, size=150)
    chain.file.close()
    chain = _Chain(path, _TIGHT, known=head)
    head = chain.write(1000)

    assert verify(path, head) is None
    assert sum(file.stat().st_size for file in segments(path).values()) <= _TIGHT or len(segments(path)) == 1
    assert decided(path)[-1] == 1000


@pytest.mark.parametrize(
    "entry",
    [b"", b"{", b'{"a":1}\n{"b":2}', b'{"x":NaN}', b"[" * 5_000, b'{"big":"' + b"y" * 40_000 + b'"}', b"\xff\0"],
)
def test_what_is_no_entry_is_kept_as_what_it_was(entry: bytes, path: Path) -> None:
    """The chain must not break by what somebody sends: its length, its hash, its beginning."""
    chain = _Chain(path)
    head = chain.file.append(deque([entry]), 7)

    assert verify(path, head) is None
    kept = list(entries(path))[-1]["entry"]
    assert (kept["bytes"], kept["sha256"]) == (len(entry), hashlib.sha256(entry).hexdigest())


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "rename", "posix_fallocate"])
def test_a_disk_that_fails_anywhere_costs_no_entry_and_repeats_none(
    call: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call fails now and then, also after it was done; what was not taken off the batch is written again."""
    random = Random(5)
    real: Callable[..., Any] = os.rename if call == "rename" else getattr(os, call)

    def failing(*values: Any) -> Any:
        if random.random() < 0.2:
            raise OSError(5, "Input/output error")
        result = real(*values)
        if random.random() < 0.1:
            raise OSError(5, "Input/output error")
        return result

    if call == "rename":
        monkeypatch.setattr(Path, "rename", failing)
    else:
        monkeypatch.setattr(os, call, failing)
    chain = _Chain(path, _TIGHT)
    waiting: deque[bytes | int] = deque()
    for n in range(200):
        waiting.append(b'{"id":%d,"x":"%b"}' % (n, b"x" * 100))
        try:
            chain.file.append(waiting, 7)
        except StoreError:
            continue
    monkeypatch.undo()
    head = chain.file.append(waiting, 7)

    assert verify(path, head) is None
    assert decided(path) == list(range(200))


_KILLED = """
import os, sys
from collections import deque
from pathlib import Path
from edgetwin.store.audit_file import AuditFile
file = AuditFile(Path(sys.argv[1]), 64_000, sys.argv[2], lambda: None, lambda what: os.write(1, b"broken\\n"))
n = int(sys.argv[3])
while True:
    head = file.append(deque(b'{"id":%d}' % i for i in range(n, n + 3)), 7)
    n += 3
    os.write(1, b"%d %d %s\\n" % (n, head.number, head.hash.encode()))
"""


def test_kill_9_in_the_middle_costs_nothing_that_was_said_to_be_safe(path: Path) -> None:
    """Twelve processes, one after the other, on one chain, each killed while it writes."""
    random = Random(11)
    n = 0
    for boot in range(12):
        command = [sys.executable, "-c", _KILLED, str(path), f"boot{boot}", str(n)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(random.randint(1, 40))]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        safe_n, number, hash_ = said[-1].decode().split()
        n = int(safe_n)

        assert verify(path, AuditHead(int(number), hash_)) is None
        assert set(range(max(0, n - 50), n)) <= set(decided(path))


def test_a_reader_never_disturbs_and_never_sees_a_broken_chain(path: Path) -> None:
    """Verified all the time while it is written and its oldest segments go."""
    command = [sys.executable, "-c", _KILLED, str(path), "boot", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(30):
            for _ in range(20):
                process.stdout.readline()
            assert verify(path) is None
        process.kill()


def test_the_outbox_keeps_decisions_and_the_next_boot_knows_the_newest(path: Path) -> None:
    """Through the door: bytes and mappings; after the end, and after a kill."""
    heads: list[AuditHead | None] = []

    async def story(bench: Bench) -> None:
        bench.outbox.audit([{"id": 1}, b'{"id":2}'])
        await until(lambda: bench.outbox.audit_head is not None)
        bench.outbox.audit([{"id": 3}], at_once=False)
        await until(lambda: decided(path) == [1, 2, 3])
        heads.append(bench.outbox.audit_head)

    async def after(bench: Bench) -> None:
        heads.append(bench.outbox._books.known_audit())
        bench.outbox.audit([{"id": 4}])

    play(path, story)
    play(path, after, killed=True)
    play(path, after, boot="c")

    assert decided(path) == [1, 2, 3, 4, 4] or decided(path) == [1, 2, 3, 4]
    assert verify(path) is None
    assert heads[1] is not None
    assert heads[1].number >= 3
    assert kinds(path)[-1] == Kind.END


def test_a_shortened_audit_is_told_by_the_next_boot(path: Path) -> None:
    """Somebody has cut the last refusal off while the robot was down."""

    async def story(bench: Bench) -> None:
        bench.outbox.audit([{"id": 1}])

    async def after(bench: Bench) -> None:
        bench.outbox.audit([{"id": 2}])
        await until(lambda: bool(bench.heard.audit))

    play(path, story)
    lines = the_file(path).read_bytes().rstrip(b"\0").splitlines(keepends=True)
    the_file(path).write_bytes(b"".join(lines[:-2]))
    play(path, after, boot="c")

    assert verify(path) is None
    assert next(entries(path))["after"]["known_n"] == 2


def test_an_outbox_full_of_records_keeps_the_audit(path: Path) -> None:
    """Records are shed, decisions are not; together they stay within the bytes that were given."""

    async def story(bench: Bench) -> None:
        for n in range(30):
            bench.outbox.returned(bench.put(ODOM, count=20, size=3_000))
            bench.outbox.audit([{"id": n}])
            await until(lambda: bench.outbox._ledger.young == 0)
            assert footprint(path) <= 1_000_000
        await until(lambda: decided(path)[-1:] == [29])
        assert bench.outbox.gaps.given_up

    play(path, story, max_bytes=1_000_000)
    assert decided(path) == list(range(30))
    assert audit_bytes(1_000_000) == 250_000
    assert audit_bytes(1_000_000_000) == 100_000_000


def test_a_broken_outbox_costs_no_audit(path: Path) -> None:
    """They are two files for that."""

    async def story(bench: Bench) -> None:
        bench.outbox.audit([{"id": 1}])

    async def after(bench: Bench) -> None:
        assert bench.heard.set_aside
        bench.outbox.audit([{"id": 2}])

    play(path, story)
    path.write_bytes(b"x" * 10_000)
    play(path, after, boot="c")

    assert verify(path) is None
    assert decided(path) == [1, 2]


def test_behind_a_disk_that_takes_nothing_memory_is_bounded_and_what_is_missing_is_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file cannot be made; then it can: one word of trouble, one of its end, a count where some are missing."""
    monkeypatch.setattr(auditor, "PENDING_MAX", 10)
    monkeypatch.setattr(auditor, "_RETRY_S", 0.01)
    block = audit.segment_path(path, 1).with_name("outbox.db.audit-000001.new")

    async def story(bench: Bench) -> None:
        os.mkdir(block)  # noqa: PTH102
        for n in range(50):
            bench.outbox.audit([{"id": n}])
            await asyncio.sleep(0)
        await until(lambda: len(bench.heard.audit) == 1)
        assert len(bench.outbox._auditor._pending) <= 10
        os.rmdir(block)  # noqa: PTH106
        await until(lambda: len(bench.heard.audit) == 2)
        assert bench.outbox.audit_lost == 40
        assert [state for state, _ in bench.heard.audit] == ["trouble", "ok"]

    play(path, story)
    assert decided(path) == list(range(40, 50))
    assert [entry["entries"] for entry in entries(path) if entry["kind"] == Kind.LOST] == [40]
    assert verify(path) is None
