"""`edgetwin status --watch`: again every second, in place on a terminal, until Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetwin.status import VERSION, StatusFile

_FIGURES: dict[str, Any] = {
    "v": VERSION, "robot_id": "robot_001", "state": "running", "version": "1", "boot": "b",
    "link": {"state": "up", "since_s": 5.0, "reconnects": 0, "last_error": None},
    "outbox": {"records": 0, "waiting": 0, "in_flight": 0},
    "channels": {},
}  # fmt: skip


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Iterator[StatusFile]:
    file = StatusFile(tmp_path)
    file.write(_FIGURES)
    yield file
    file.remove()


def _watch(folder: Path, *options: str, out: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgetwin", "status", "--watch", *options]
    environ = os.environ | {"RUNTIME_DIRECTORY": str(folder)}
    return subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.PIPE, text=True)


def _interrupted(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=10)


def test_it_shows_what_changes_until_ctrl_c(tmp_path: Path, file: StatusFile) -> None:
    """Without a terminal: page after page, no control characters; the exit code is that of Ctrl-C."""
    with _watch(tmp_path) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        file.write(_FIGURES | {"state": "stopping"})
        later = next(line for line in process.stdout if "stopping" in line)
        code = _interrupted(process)

    assert first == "robot_001 running, edgetwin 1, boot b\n"
    assert later == "robot_001 stopping, edgetwin 1, boot b\n"
    assert code == 130


def test_it_waits_for_a_daemon_that_is_not_there(tmp_path: Path, file: StatusFile) -> None:
    """And shows it when it comes."""
    file.remove()
    with _watch(tmp_path) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        file.write(_FIGURES)
        later = next(line for line in process.stdout if line.startswith("robot_001"))
        _interrupted(process)

    assert "no running daemon is seen" in first
    assert "waiting for it" in first
    assert "running" in later


def test_as_json_it_is_a_line_a_second(tmp_path: Path, file: StatusFile) -> None:
    """For scripts."""
    with _watch(tmp_path, "--json") as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        _interrupted(process)

    assert lines == [_FIGURES, _FIGURES]


def test_on_a_terminal_it_draws_in_place(tmp_path: Path, file: StatusFile) -> None:
    """The page begins at the top left each time, and lines are cut to the width."""
    main, side = pty.openpty()
    seen = b""
    with _watch(tmp_path, out=side) as process:
        os.close(side)
        while seen.count(b"\x1b[H") < 2:
            seen += os.read(main, 65_536)
        code = _interrupted(process)
    os.close(main)

    assert seen.startswith(b"\x1b[2J\x1b[H")
    assert b"robot_001 running" in seen
    assert code == 130


def test_the_quick_answer_imports_no_ros() -> None:
    """`edgetwin status` is asked often, and by everybody: neither ROS nor pydantic is loaded for it."""
    script = "import sys, edgetwin.cli, edgetwin.status, edgetwin.status_watch; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not {"rclpy", "pydantic", "numpy", "asyncio"} & set(done.stdout.split())
