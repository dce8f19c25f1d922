"""How far the last boot had counted: exact after a kill, nothing after an end in order, open after a power cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin.records import Gap, GapCause
from edgetwin.store import numbers as numbers_module
from edgetwin.store.numbers import Numbers, read

_SQLITE_MAX = 2**63 - 1


@pytest.fixture(name="seq")
def _seq(tmp_path: Path) -> Path:
    """Where the file is; its directory is not there yet."""
    return tmp_path / "state" / "outbox.db.seq"


def _counted(path: Path, boot: str = "first", lanes: tuple[str, ...] = ("odom", "scan", "gap")) -> Numbers:
    """A boot that has counted odom to 10 and scan to 5, and was never closed."""
    numbers = Numbers(path, boot)
    numbers.begin(lanes)
    numbers.note("odom", 10)
    numbers.note("scan", 5)
    numbers.write()
    return numbers


def _crash(lane: str, first: int, last: int | None, count: int | None) -> Gap:
    return Gap(lane, "first", first, last, count, GapCause.CRASH)


def test_what_was_noted_survives_a_kill_to_the_number(seq: Path) -> None:
    """Nothing is synced, nothing closed; only what nobody answers for is a gap."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"odom": 7})
    numbers.note("odom", 12)
    numbers.write()

    last = read(seq)

    assert last is not None
    assert (last.boot, dict(last.counted)) == ("first", {"odom": 12, "scan": 5, "gap": 0})
    assert last.gaps == (_crash("odom", 7, 11, 5),)


def test_before_anything_was_accounted_for_all_of_it_is_a_gap(seq: Path) -> None:
    """Killed before the first look at the books; a lane that never counted is none."""
    _counted(seq)

    last = read(seq)

    assert last is not None
    assert last.gaps == (_crash("odom", 0, 9, 10), _crash("scan", 0, 4, 5))


def test_an_end_in_order_leaves_no_gap(seq: Path) -> None:
    """Everything is acknowledged or on disk."""
    _counted(seq).close(in_order=True)

    last = read(seq)

    assert last is not None
    assert (last.boot, last.gaps, last.counted["odom"]) == ("first", (), 10)


def test_an_end_out_of_order_leaves_what_was_not_written(seq: Path) -> None:
    """The disk did not take the last ones."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"scan": 4})
    numbers.close(in_order=False)

    last = read(seq)

    assert last is not None
    assert last.gaps == (_crash("scan", 4, 4, 1),)


def test_after_a_power_cut_the_gap_is_open_ended(seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel had the newest numbers, and took them along: another boot id tells."""
    numbers = _counted(seq)
    numbers.note_unaccounted({"odom": 7})
    monkeypatch.setattr(numbers_module, "_KERNEL_BOOT_ID", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("another\n")

    last = read(seq)

    assert last is not None
    assert last.gaps == (_crash("odom", 7, None, None), _crash("scan", 5, None, None))


def test_a_new_boot_begins_its_own_file(seq: Path) -> None:
    """With other lanes, at zero; nobody else can read it; no scratch file stays."""
    _counted(seq)
    Numbers(seq, "second").begin(["imu"])

    last = read(seq)

    assert last is not None
    assert (last.boot, dict(last.counted), last.gaps) == ("second", {"imu": 0}, ())
    assert seq.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in seq.parent.iterdir()] == [seq.name]


def test_without_a_file_noting_is_nothing(tmp_path: Path) -> None:
    """The disk is dead: the robot works all the same."""
    numbers = Numbers(tmp_path / "file" / "x.seq", "first")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        numbers.begin(["odom"])

    numbers.note("odom", 1)
    numbers.note_unaccounted({"odom": 0})
    numbers.close(in_order=True)


@pytest.mark.parametrize("content", [b"", b"short", bytes(63), bytes(1000), b"ETWSEQ1\n", b"garbage" * 100])
def test_a_damaged_file_tells_nothing(seq: Path, content: bytes) -> None:
    """Empty, short, zeroed, somebody else's."""
    seq.parent.mkdir()
    seq.write_bytes(content)

    assert read(seq) is None
    assert read(seq) is None


@pytest.mark.parametrize("cut", [1, 70, 80, 200])
def test_a_truncated_or_padded_file_tells_nothing(seq: Path, cut: int) -> None:
    """Its length is that of its lanes, or it is not believed."""
    _counted(seq)
    content = seq.read_bytes()
    seq.write_bytes(content[:-cut])
    assert read(seq) is None

    seq.write_bytes(content + bytes(cut))
    assert read(seq) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_flipped_byte_is_no_traceback(seq: Path, place: int, flip: int) -> None:
    """Whatever it tells then."""
    _counted(seq)
    content = bytearray(seq.read_bytes())
    content[place % len(content)] ^= flip
    seq.write_bytes(content)

    read(seq)


def test_a_gap_that_no_lane_can_have_is_not_told(seq: Path) -> None:
    """The highest bit of a count: SQLite answers with OverflowError, and the start fails."""
    _counted(seq)
    content = bytearray(seq.read_bytes())
    content[68 + 64 + 7] ^= 0x80
    seq.write_bytes(content)

    last = read(seq)

    assert last is None or all((gap.to_seq or 0) <= _SQLITE_MAX for gap in last.gaps)
