"""The status file: whole or absent, found where the daemon put it, one line when it is not there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgetwin import status
from edgetwin.clock import SystemClock
from edgetwin.status import FILE_NAME, SYSTEM_DIRECTORY, VERSION, StatusFile, runtime_directory

_CHANNEL: dict[str, Any] = {
    "in_hz": 50.0,
    "held_hz": 0.1,
    "out_hz": 49.9,
    "received": 1000,
    "published": 990,
    "held_back": 10,
    "backlog": 3,
    "problem": None,
    "publishers": 1,
}
_FIGURES: dict[str, Any] = {
    "v": VERSION,
    "robot_id": "robot_001",
    "state": "online",
    "version": "0.1",
    "boot": "b00t",
    "link": {"state": "up", "since_s": 12.4, "reconnects": 2, "last_error": "timed out"},
    "outbox": {"records": 3, "waiting": 1, "in_flight": 2},
    "channels": {
        "odom": _CHANNEL,
        "scan": _CHANNEL | {"publishers": 0},
        "imu": _CHANNEL | {"problem": "/imu is published as a/msg/B"},
    },
}


def _written(directory: Path, figures: dict[str, Any] | None = None) -> StatusFile:
    file = StatusFile(directory)
    file.write(_FIGURES if figures is None else figures)
    return file


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RUNTIME_DIRECTORY": "/run/edgetwin"}, "/run/edgetwin"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, "/run/a"),
        ({"RUNTIME_DIRECTORY": "/run/a", "XDG_RUNTIME_DIR": "/run/user/1"}, "/run/a"),
        ({"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/edgetwin"),
        ({}, str(SYSTEM_DIRECTORY)),
    ],
)
def test_the_directory_is_systemd_s_then_the_user_s_then_the_system_s(environ: dict[str, str], expected: str) -> None:
    """In that order."""
    assert runtime_directory(environ) == Path(expected)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The directory is made; the newest one counts."""
    file = _written(tmp_path / "run" / "edgetwin")
    file.write({"v": VERSION, "robot_id": "r"})

    assert status.read(tmp_path / "run" / "edgetwin") == {"v": VERSION, "robot_id": "r"}


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """A thousand rewrites, short and long, beside a reader."""
    file = _written(tmp_path, {"v": VERSION, "n": 0, "pad": ""})
    stop = threading.Event()

    def rewrite() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            file.write({"v": VERSION, "n": n, "pad": "x" * (n % 2 * 50_000)})

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        seen = [status.read(tmp_path)["n"] for _ in range(1000)]
    finally:
        stop.set()
        writer.join()

    assert seen == sorted(seen)


def test_removed_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    """An orderly end leaves nothing to be taken for a running daemon."""
    file = _written(tmp_path)
    file.remove()
    file.remove()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        status.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff"])
def test_what_is_no_status_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    """Whoever wrote it."""
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(ValueError):  # noqa: PT011  # any of them
        status.read(tmp_path)


def test_show_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Robot, link, outbox, and a line per channel with what is wrong with it."""
    _written(tmp_path)

    assert status.show({"RUNTIME_DIRECTORY": str(tmp_path)}, SystemClock(), as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "robot_001 online, edgetwin 0.1, boot b00t"
    assert lines[1] == "link   up for 12 s, 2 reconnects (timed out)"
    assert lines[2] == "outbox 3 records on disk, 1 waiting, 2 in flight"
    assert lines[4].split() == ["odom", "50.0", "0.1", "49.9", "1000", "990", "10", "3"]
    assert lines[5].endswith("3 waiting for a publisher")
    assert lines[6].endswith("3 /imu is published as a/msg/B")


def test_show_prints_json_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file as it is, on one line."""
    _written(tmp_path)

    assert status.show({"RUNTIME_DIRECTORY": str(tmp_path)}, SystemClock(), as_json=True) == 0
    assert orjson.loads(capsys.readouterr().out) == _FIGURES


@pytest.mark.parametrize("content", [None, b"{"])
def test_without_a_daemon_show_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """Where it looked, why, and the cure; exit code 1."""
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)

    assert status.show({"RUNTIME_DIRECTORY": str(tmp_path)}, SystemClock(), as_json=False) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert str(tmp_path) in err
    assert "start it" in err


@pytest.mark.parametrize("figures", [{}, {"link": {}, "outbox": {}}, _FIGURES | {"v": VERSION + 1}])
def test_a_status_of_another_version_is_no_traceback(tmp_path: Path, figures: dict[str, Any]) -> None:
    """The daemon was upgraded while an old one runs, or the other way round."""
    _written(tmp_path, figures)

    assert status.show({"RUNTIME_DIRECTORY": str(tmp_path)}, SystemClock(), as_json=False) == 1


def test_a_user_who_is_logged_in_sees_the_system_s_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every login session sets XDG_RUNTIME_DIR; the daemon that systemd started lives in /run/edgetwin."""
    monkeypatch.setattr(status, "SYSTEM_DIRECTORY", tmp_path / "system")
    _written(tmp_path / "system")

    assert status.show({"XDG_RUNTIME_DIR": str(tmp_path / "user")}, SystemClock(), as_json=True) == 0


def test_a_daemon_that_went_silent_is_not_shown_as_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed, it leaves its last status behind: it is printed, with a word about its age, and the exit code is 1."""
    clock = SystemClock()
    ages_us = {0: 0, 1: int((status.SILENT_S + 5) * 1_000_000)}
    codes, errors = {}, {}
    for wanted, age_us in ages_us.items():
        _written(tmp_path, _FIGURES | {"stamp_us": clock.stamp_ns() // 1000 - age_us})
        codes[wanted] = status.show({"RUNTIME_DIRECTORY": str(tmp_path)}, clock, as_json=False)
        errors[wanted] = capsys.readouterr().err

    assert codes == {0: 0, 1: 1}
    assert errors[0] == ""
    assert "has said nothing for 15 s" in errors[1]
