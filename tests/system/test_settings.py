"""The settings of a service: who may change them, what a reload takes, and what the start found."""

from __future__ import annotations

import pytest

from tests.system.robot import SETTINGS, UNIT, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_a_reload_changes_the_pace_and_never_the_gate(robot: Robot) -> None:
    """A journal line for each key, with the key as a field; the same process, the same boot."""
    pid = robot.ready()
    shipped = (robot.machine.root / SETTINGS.removeprefix("/")).read_text(encoding="utf-8")
    other = shipped.replace("rate_hz_max = 50.0", "rate_hz_max = 5.0").replace(
        "linear_max_mps = 0.5", "linear_max_mps = 0.4"
    )
    with robot.file(SETTINGS, other):
        robot.run("systemctl", "reload", UNIT)
        (applied,) = until(lambda: robot.events("reload.applied"), "a change")
        (refused,) = until(lambda: [one for one in robot.events("reload.refused") if "KEY" in one], "a refusal")
    robot.run("systemctl", "reload", UNIT)
    until(lambda: len(robot.events("reload.applied")) == 2, "the change back")

    assert applied["KEY"] == "channels.odom.rate_hz_max"
    assert applied["MESSAGE"] == "Reload: channels.odom.rate_hz_max is now 5.0, and was 50.0."
    assert (refused["KEY"], refused["PRIORITY"]) == ("gate.linear_max_mps", "4")
    assert robot.pid == pid


def test_settings_that_the_daemon_itself_could_change_are_refused(robot: Robot) -> None:
    """root:edgetwin 0660: whoever took over the daemon could lift every limit; 0640 again, and it starts."""
    path = robot.machine.root / SETTINGS.removeprefix("/")
    path.chmod(0o660)
    robot.run("systemctl", "restart", UNIT, check=False)
    until(lambda: robot.shown("ActiveState")["ActiveState"] == "failed", "a failed service")
    said = robot.events("settings.refused")[-1]
    checked = robot.run("edgetwin", "check", check=False)
    path.chmod(0o640)
    robot.run("systemctl", "start", UNIT)

    words = "may be changed by the group edgetwin (mode 0660), and with it every limit of this robot; chmod go-w"
    assert words in said["MESSAGE"]
    assert words in checked
    assert robot.ready()


def test_the_self_test_is_one_line_of_the_journal(robot: Robot) -> None:
    """At every start, each part a field."""
    pid = robot.restart()
    (line,) = until(lambda: robot.machine.journal(f"_PID={pid}", "EVENT=selftest"), "the line")

    assert line["VERDICT"] == "ok"
    assert line["STORE"] == "outbox writes"
    assert line["COMMANDS"].endswith("remote motion off")
    assert line["MESSAGE"].startswith("Self-test: ")
