"""How far the last boot had counted: exact after a kill, nothing after an end in order, open after a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin.records import Gap, GapCause
from edgetwin.store import number_format
from edgetwin.store.number_format import AuditHead, LastBoot, Span, memory_path
from edgetwin.store.numbers import Numbers, read

_LANES = ("odom", "scan", "gap")


@pytest.fixture(name="seq")
def _seq(tmp_path: Path) -> Iterator[Path]:
    """Where the copy is; its directory is not there yet. What is in memory goes with the test."""
    path = tmp_path / "state" / "outbox.db.seq"
    yield path
    if (memory := memory_path(path)) is not None:
        memory.unlink(missing_ok=True)


def _counted(path: Path, boot: str = "first", lanes: tuple[str, ...] = _LANES) -> Numbers:
    """A boot that has counted odom to 10 and scan to 5, and was never closed."""
    numbers = Numbers(path, boot)
    numbers.begin(lanes)
    numbers.note("odom", 10, 1_000)
    numbers.note("scan", 5, 2_000)
    numbers.save()
    return numbers


def _ended(numbers: Numbers) -> None:
    numbers.end(in_order=True)
    numbers.close(saved=numbers.save(sync=True))


def _read(path: Path) -> LastBoot:
    last = read(path)
    assert last is not None
    return last


def _crash(lane: str, first: int, last: int | None, count: int | None) -> Gap:
    return Gap(lane, "first", first, last, count, GapCause.CRASH)


def test_what_was_noted_survives_a_kill_to_the_number(seq: Path) -> None:
    """Nothing is saved, nothing closed; only what nobody answers for is a gap."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"odom": (7, 500)})
    numbers.note("odom", 12, 3_000)

    last = _read(seq)

    assert (last.boot, dict(last.counted)) == ("first", {"odom": 12, "scan": 5, "gap": 0})
    assert last.gaps == (_crash("odom", 7, 11, 5),)
    assert (last.pace.now_ns, dict(last.pace.born_ns)) == (3_000, {"odom": 500})


def test_a_kill_shows_how_the_boot_stood_with_its_disk(seq: Path) -> None:
    """One append was answered, one was under way, one look found nothing ripe: what each has taken is told apart."""
    numbers = _counted(seq)
    numbers.note_appending(2_100)
    numbers.note_answered(2_400)
    numbers.note_settled(2_050)
    numbers.note_appending(2_500)
    numbers.note("odom", 12, 3_000)

    pace = _read(seq).pace

    assert (pace.append_since_ns, pace.answered_since_ns, pace.answered_ns) == (2_500, 2_100, 2_400)
    assert pace.settled_ns == 2_050
    assert pace.disk_ns(0) == 300 + 500
    assert pace.disk_ns(2_300) == 100 + 500
    assert pace.disk_ns(2_900) == 100
    numbers.note_answered(3_100)
    assert (_read(seq).pace.append_since_ns, _read(seq).pace.answered_ns) == (0, 3_100)


def test_an_append_handed_over_before_the_numbers_were_begun_is_not_forgotten(seq: Path) -> None:
    """The disk hung at the start; and an answer to nothing is none."""
    numbers = Numbers(seq, "first")
    numbers.note_answered(1)
    numbers.note_appending(2_500)
    numbers.begin(_LANES)

    pace = _read(seq).pace
    assert (pace.append_since_ns, pace.answered_since_ns) == (2_500, 0)


@pytest.mark.parametrize(("since_ns", "answered_ns"), [(100, 50), (100, 200)])
def test_a_kill_between_the_notes_of_one_answer_counts_that_append_once(since_ns: int, answered_ns: int) -> None:
    """It stands in both places: as answered, with or without the time, and as under way."""
    pace = number_format.Pace(
        now_ns=1_000, append_since_ns=since_ns, answered_since_ns=since_ns, answered_ns=answered_ns
    )

    assert pace.disk_ns(0) == 900


def test_before_anything_was_accounted_for_all_of_it_is_a_gap(seq: Path) -> None:
    """Killed before the first look at the books; a lane that never counted is none."""
    _counted(seq)

    assert _read(seq).gaps == (_crash("odom", 0, 9, 10), _crash("scan", 0, 4, 5))


def test_an_end_in_order_leaves_no_gap_and_nothing_in_memory(seq: Path) -> None:
    """Everything is acknowledged or on disk, and the disk knows it."""
    _ended(_counted(seq))

    last = _read(seq)
    memory = memory_path(seq)
    assert (last.boot, last.gaps, last.counted["odom"]) == ("first", (), 10)
    assert memory is not None
    assert not memory.exists()


def test_an_end_out_of_order_leaves_what_was_not_written(seq: Path) -> None:
    """The disk did not take the last ones."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"scan": (4, 0)})
    numbers.end(in_order=False)
    numbers.close(saved=False)

    assert _read(seq).gaps == (_crash("scan", 4, 4, 1),)


@pytest.mark.parametrize("how", ["memory is gone", "another kernel"])
def test_after_a_power_cut_the_gap_is_open_ended(
    how: str, seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was noted after the copy was saved, nobody knows; in a file that outlived its kernel no more than that."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"odom": (7, 0)})
    numbers.save()
    numbers.note("odom", 99, 0)
    if how == "memory is gone":
        memory = memory_path(seq)
        assert memory is not None
        memory.unlink()
    else:
        monkeypatch.setattr(number_format, "_KERNEL_BOOT_ID", tmp_path / "boot_id")
        (tmp_path / "boot_id").write_text("another\n")

    assert _read(seq).gaps == (_crash("odom", 7, None, None), _crash("scan", 5, None, None))


def test_without_memory_to_share_a_kill_is_told_like_a_power_cut(seq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tmpfs on this machine: nothing is told that is not known."""
    monkeypatch.setattr(number_format, "_MOUNTS", seq.parent / "none")
    numbers = _counted(seq)
    numbers.note_unaccounted({"scan": (5, 0), "odom": (10, 0)})
    numbers.save()

    assert _read(seq).gaps == (_crash("odom", 10, None, None), _crash("scan", 5, None, None))


def test_a_file_that_somebody_else_put_into_memory_is_not_believed(seq: Path) -> None:
    """Anybody may write to the place; only root can make this file, and only there the test can be run."""
    _counted(seq)
    memory = memory_path(seq)
    assert memory is not None
    forged = bytearray(memory.read_bytes())
    forged[number_format.HEAD.size + number_format.NEXT_AT] = 77
    memory.write_bytes(forged)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(memory, 12_345, 12_345)

    assert _read(seq).counted["odom"] == 10


def test_a_new_boot_begins_its_own_file(seq: Path) -> None:
    """With other lanes, at zero; nobody else can read it; no scratch file stays."""
    _counted(seq)
    numbers = Numbers(seq, "second")
    numbers.begin(["imu"])
    numbers.save()

    last = _read(seq)

    memory = memory_path(seq)
    assert memory is not None
    assert (last.boot, dict(last.counted), last.gaps) == ("second", {"imu": 0}, ())
    assert [found.stat().st_mode & 0o777 for found in (seq, memory)] == [0o600, 0o600]
    assert [found.name for found in seq.parent.iterdir()] == [seq.name]
    assert not memory.with_name(memory.name + ".new").exists()


def test_what_the_file_answers_for_is_known_after_a_kill_and_after_the_next_boot(seq: Path) -> None:
    """This boot's numbers, and those of two earlier ones; one of them with an end that nobody knows."""
    older = {"zero": {"odom": Span(3, 9)}, "one": {"scan": Span(0, None)}}
    numbers = Numbers(seq, "first")
    numbers.begin(_LANES, older)
    numbers.note("odom", 10, 0)
    numbers.note_kept("odom", 4, 6)
    numbers.note_kept("odom", 2, 3)
    numbers.save()

    assert _read(seq).kept == older | {"first": {"odom": Span(2, 6)}}
    numbers.note_none_kept()
    assert _read(seq).kept == {}


def test_what_was_kept_before_the_file_could_be_begun_is_not_forgotten(seq: Path) -> None:
    """The disk hung at the start."""
    numbers = Numbers(seq, "first")
    numbers.note("odom", 10, 0)
    numbers.note_kept("odom", 4, 6)
    numbers.begin(_LANES)

    assert _read(seq).kept == {"first": {"odom": Span(4, 6)}}
    assert _read(seq).counted["odom"] == 10


def test_thousands_of_boots_in_one_outage_are_bounded(seq: Path) -> None:
    """A crash loop: the newest boots are known, the file stays small."""
    older = {hashlib.sha256(bytes([n >> 8, n & 255])).hexdigest()[:16]: {"odom": Span(n, 2 * n)} for n in range(9_000)}
    numbers = Numbers(seq, "first")
    numbers.begin(_LANES, older)

    kept = _read(seq).kept
    newest = list(older)[-1]
    assert kept[newest] == older[newest]
    assert 500 < len(kept) < 9_000
    assert number_format.HEAD.size + len(number_format.seal(older)) < 65_536


def test_the_head_of_the_audit_is_known_after_a_kill_and_is_handed_on(seq: Path) -> None:
    """Number and hash belong together whenever the process is killed: the hash is where nobody looks until both are."""
    heads = [AuditHead(number, hashlib.sha256(bytes([number])).hexdigest()) for number in range(4)]
    numbers = Numbers(seq, "first")
    numbers.begin(_LANES, audit=heads[0])

    for head in heads[1:]:
        assert _read(seq).audit == heads[head.number - 1]
        numbers.note_audit(head)
        assert _read(seq).audit == head


def test_without_a_disk_noting_is_nothing_special(tmp_path: Path) -> None:
    """The disk is dead: the robot works all the same, and a kill is told to the number."""
    seq = tmp_path / "file" / "x.seq"
    (tmp_path / "file").write_bytes(b"")
    numbers = Numbers(seq, "first")
    numbers.begin(["odom"])
    numbers.note("odom", 1, 0)
    numbers.save()

    assert _read(seq).gaps == (_crash("odom", 0, 0, 1),)
    numbers.end(in_order=True)
    numbers.close(saved=numbers.save(sync=True))
    assert not numbers.save()
    assert _read(seq).gaps == ()


def test_a_copy_that_the_disk_refused_is_made_anew(seq: Path) -> None:
    """The old one is on a disk that is gone: a file that cannot be written any more is not written to for ever."""
    numbers = _counted(seq)
    os.close(numbers._descriptor)
    numbers._descriptor = os.open("/dev/full", os.O_RDWR)
    refused = numbers.save()
    seq.unlink()
    numbers.note("odom", 12, 0)

    assert not refused
    _ended(numbers)
    assert _read(seq).counted["odom"] == 12


@pytest.mark.parametrize("content", [b"", b"short", bytes(63), bytes(1000), b"ETWSEQ2\n", b"garbage" * 100])
def test_a_damaged_file_tells_nothing(seq: Path, content: bytes) -> None:
    """Empty, short, zeroed, somebody else's."""
    seq.parent.mkdir()
    seq.write_bytes(content)

    assert read(seq) is None


@pytest.mark.parametrize("cut", [1, 70, 80, 200])
def test_a_truncated_or_padded_file_tells_nothing(seq: Path, cut: int) -> None:
    """Its length is that of its lanes, or it is not believed."""
    _ended(_counted(seq))
    content = seq.read_bytes()
    seq.write_bytes(content[:-cut])
    assert read(seq) is None

    seq.write_bytes(content + bytes(cut))
    assert read(seq) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_flipped_byte_is_no_traceback_and_no_number_that_sqlite_refuses(seq: Path, place: int, flip: int) -> None:
    """Whatever it tells then: a number above 2^63 would be an OverflowError at each start."""
    numbers = Numbers(seq, "first")
    numbers.begin(_LANES, {"zero": {"odom": Span(3, 9)}})
    numbers.note("odom", 10, 1_000)
    numbers.note_kept("odom", 4, 6)
    _ended(numbers)
    content = bytearray(seq.read_bytes())
    content[place % len(content)] ^= flip
    seq.write_bytes(content)

    last = read(seq)

    if last is not None:
        spans = [span for lanes in number_format.covering(last).values() for span in lanes.values()]
        ends = [end for gap in last.gaps for end in (gap.from_seq, gap.to_seq)]
        ends += [end for span in spans for end in span]
        assert all(end is None or 0 <= end < 2**63 for end in ends)
