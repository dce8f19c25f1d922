"""The latch on disk: what is put is there, whole; what cannot be read is a latch."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from edgetwin.gate.gate import begin
from edgetwin.lane.keeper import Keeper
from edgetwin.lane.latch import Latch, LatchFile, read
from edgetwin.motion import State


class Told:
    """Who is told what was written."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str | None]] = []
        self.changed = threading.Condition()

    def __call__(self, number: int, problem: str | None) -> None:
        """Note it."""
        with self.changed:
            self.said.append((number, problem))
            self.changed.notify_all()

    def wait_for(self, number: int) -> str | None:
        """Return what was said of this number."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(number <= said for said, _ in self.said), 5)
            return self.said[-1][1]


@pytest.mark.parametrize(
    ("latch", "held"),
    [
        (Latch(), False),
        (Latch("HELD", "s-1"), True),
        (Latch("ESTOP", "s-2"), True),
        (Latch("FAULT", "s-3"), True),
        (Latch(driving=True), True),
        (Latch(handles=("aa", "bb")), False),
    ],
)
def test_what_is_put_is_what_the_next_process_finds(tmp_path: Path, latch: Latch, held: bool) -> None:
    """Every kind of latch; a drive that did not end is one too."""
    path, told = tmp_path / "state" / "latch.json", Told()
    file = LatchFile(path, told)
    assert told.wait_for(file.put(latch)) is None
    assert file.close(5)
    boot = read(path)

    assert (boot.held, boot.stop_id, boot.handles) == (held, latch.stop_id, latch.handles)
    assert bool(boot.why) is held


def test_the_first_start_is_clean(tmp_path: Path) -> None:
    """No file: nobody was ever stopped."""
    assert not read(tmp_path / "latch.json").held


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\x00" * 50, b"[]", b"null", b'{"v":1}',
        b'{"v":2,"state":"","stop_id":"","driving":false,"handles":[]}',
        b'{"v":1,"state":"IDLE","stop_id":"","driving":false,"handles":[]}',
        b'{"v":1,"state":"","stop_id":"","driving":0,"handles":[]}',
        b'{"v":1,"state":"","stop_id":null,"driving":false,"handles":[]}',
        b'{"v":1,"state":[],"stop_id":"","driving":false,"handles":[]}',
        b'{"v":1,"state":"","stop_id":"","driving":false,"handles":[1]}',
        b'{"v":1,"state":"","stop_id":"","driving":false,"handles":["xyz"]}',
        b" " * 100_000,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_latch(tmp_path: Path, content: bytes) -> None:
    """Cut short, of another version, of other types, too long."""
    path = tmp_path / "latch.json"
    path.write_bytes(content)

    assert read(path).held
    assert "cannot be read" in read(path).why


def test_a_directory_in_its_place_is_a_latch(tmp_path: Path) -> None:
    """Nor can that be read."""
    assert read(tmp_path).held


def test_the_newest_wins_and_the_last_is_written_before_the_end(tmp_path: Path) -> None:
    """Puts in a row need not each be written; the last one is, also when the end comes at once."""
    path = tmp_path / "latch.json"
    file = LatchFile(path, lambda *_: None)
    for number in range(100):
        file.put(Latch("HELD", f"s-{number}"))
    assert file.close(5)

    assert json.loads(path.read_bytes())["stop_id"] == "s-99"
    assert [entry.name for entry in tmp_path.iterdir()] == ["latch.json"]


def test_what_cannot_be_written_is_said_and_tried_again(tmp_path: Path) -> None:
    """The directory is a file; then it is not any more."""
    blocked, told = tmp_path / "state", Told()
    blocked.write_bytes(b"")
    file = LatchFile(blocked / "latch.json", told)
    number = file.put(Latch("HELD", "s-1"))
    problem = told.wait_for(number)
    blocked.unlink()
    with told.changed:
        assert told.changed.wait_for(lambda: told.said[-1] == (number, None), 10)
    file.close(5)

    assert problem is not None
    assert "cannot be written" in problem
    assert read(blocked / "latch.json").stop_id == "s-1"


class Slot:
    """A latch file that only remembers."""

    def __init__(self) -> None:
        self.puts: list[Latch] = []

    def put(self, latch: Latch) -> int:
        """Note it."""
        self.puts.append(latch)
        return len(self.puts)


def keeper(slot: Slot, *, hold_on_exit: bool = False) -> Keeper:
    """Return a keeper on a file that only remembers."""
    return Keeper(slot, ("aa",), hold_on_exit=hold_on_exit)  # type: ignore[arg-type]


def test_a_drive_waits_for_its_own_marker() -> None:
    """A confirmation of an earlier drive's marker is none, while "not driving" may still be on its way to the disk."""
    slot = Slot()
    kept = keeper(slot)
    idle = begin(boot_held=False, seed="x", now_ns=0)
    kept.want_to_drive(idle)
    kept.written(1, None)
    first = kept.may_drive
    kept.give_up(idle)
    between = kept.may_drive
    kept.want_to_drive(idle)
    before = kept.may_drive
    kept.written(2, None)
    late = kept.may_drive
    kept.written(3, None)

    assert [latch.driving for latch in slot.puts] == [True, False, True]
    assert (first, between, before, late, kept.may_drive) == (True, False, False, False, True)


def test_nothing_is_put_twice() -> None:
    """A tick that changes nothing costs no write."""
    slot = Slot()
    kept = keeper(slot)
    memory = begin(boot_held=True, stop_id="s-1", seed="x", now_ns=0)
    for _ in range(10):
        kept.keep(memory)

    assert slot.puts == [Latch("HELD", "s-1", driving=False, handles=("aa",))]


@pytest.mark.parametrize("hold_on_exit", [False, True])
def test_the_end_in_order_leaves_what_the_settings_say(hold_on_exit: bool) -> None:
    """`release` leaves nothing of a drive, `hold` a latch."""
    from dataclasses import replace  # noqa: PLC0415

    slot = Slot()
    kept = keeper(slot, hold_on_exit=hold_on_exit)
    memory = begin(boot_held=False, seed="x", now_ns=0)
    kept.keep(replace(memory, state=State.ACTIVE))
    kept.keep(replace(memory, state=State.DOWN))

    assert [latch.driving for latch in slot.puts] == [True, False]
    assert slot.puts[-1].state == ("HELD" if hold_on_exit else "")
