"""It does not stay down: a blocked loop, a stopped process, SIGKILL again and again."""

from __future__ import annotations

import os
import signal

import pytest

from tests.system.frozen import frozen
from tests.system.robot import UNIT, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

_KILLS = 10


def _restarts(robot: Robot) -> int:
    return int(robot.shown("NRestarts")["NRestarts"])


def _up_again(robot: Robot, before: int, restarts: int) -> None:
    until(lambda: _restarts(robot) > restarts, "a restart")
    assert robot.ready() != before


def test_a_blocked_loop_leaves_the_stacks_of_all_threads_and_is_started_anew(robot: Robot) -> None:
    """The main thread alone is frozen; the watchdog is fed by nobody else."""
    pid, restarts = robot.ready(), _restarts(robot)
    with frozen(robot.machine.process_here(pid)):
        until(lambda: "Fatal Python error" in robot.said(), "the stacks")
    _up_again(robot, pid, restarts)
    said = "\n".join(entry["MESSAGE"] for entry in robot.machine.journal("--unit", UNIT))

    assert "Watchdog timeout (limit 5s)!" in said
    assert "Fatal Python error: Aborted" in said
    assert "edgetwin/service.py" in said  # the main thread's
    assert "edgetwin/store/writer.py" in said  # the store's
    assert said.count("Thread 0x") >= 2


def test_a_stopped_process_is_killed_and_started_anew(robot: Robot) -> None:
    """SIGSTOP holds back the watchdog's SIGABRT too; SIGKILL follows."""
    pid, restarts = robot.ready(), _restarts(robot)
    os.kill(robot.machine.process_here(pid), signal.SIGSTOP)

    _up_again(robot, pid, restarts)


def test_it_comes_back_from_every_kill(robot: Robot) -> None:
    """Ten in a row, as fast as they come: no start limit is ever hit."""
    for _ in range(_KILLS):
        pid, restarts = robot.ready(), _restarts(robot)
        os.kill(robot.machine.process_here(pid), signal.SIGKILL)
        _up_again(robot, pid, restarts)

    until(lambda: "connected" in robot.shown("StatusText")["StatusText"], "the link")
    assert robot.shown("ActiveState", "Result") == {"ActiveState": "active", "Result": "success"}


def test_it_ends_in_order_and_in_time(robot: Robot) -> None:
    """Stopped by systemd: exit 0, the last word in the journal."""
    robot.ready()
    robot.run("systemctl", "stop", UNIT)

    assert robot.shown("Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert robot.events("stopped")
    robot.run("systemctl", "start", UNIT)
