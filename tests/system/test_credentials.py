"""Secrets reach the daemon, plain or encrypted, and nobody else; without any it starts as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.robot import UNIT, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

_PASSWORD = "correct-horse-battery-staple"  # noqa: S105  # of this test's broker alone
_PLAIN = "/etc/edgetwin/credentials/mqtt"
_ENCRYPTED = "/etc/credstore.encrypted"


@pytest.fixture(name="strict", scope="module")
def _strict(robot: Robot) -> Iterator[Robot]:
    """The broker lets nobody in without a password."""
    robot.run("mosquitto_passwd", "-b", "-c", "/etc/mosquitto/passwd", "robot_001", _PASSWORD)
    robot.run("chown", "mosquitto", "/etc/mosquitto/passwd")
    rules = "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwd\n"
    with robot.file("/etc/mosquitto/conf.d/strict.conf", rules):
        robot.run("systemctl", "restart", "mosquitto")
        yield robot


def _connected(robot: Robot) -> bool:
    return "connected" in robot.shown("StatusText")["StatusText"]


def _places(robot: Robot) -> Iterator[tuple[str, bytes]]:
    """Everything of the daemon that somebody else may come to see."""
    proc = Path(f"/proc/{robot.machine.process_here(robot.pid)}")
    yield "its environment", (proc / "environ").read_bytes()
    yield "its arguments", (proc / "cmdline").read_bytes()
    yield "the journal", robot.run("journalctl", "--no-pager", "--output=json").encode()
    yield "its status", robot.run("cat", "/run/edgetwin/status.json").encode()
    yield "its unit", robot.run("systemctl", "show", UNIT).encode()


def test_without_a_password_the_refusal_is_told_as_what_it_is(strict: Robot) -> None:
    """The folders are empty; the service runs, and says what to do."""
    strict.restart()

    until(lambda: "the broker refuses us: Not authorized" in strict.shown("StatusText")["StatusText"], "the words")
    assert strict.shown("ActiveState")["ActiveState"] == "active"


def test_plain_files_become_credentials_that_nobody_else_can_read(strict: Robot) -> None:
    """One file each, named after the credential."""
    with strict.file(f"{_PLAIN}/username", "robot_001\n", 0o600), strict.file(f"{_PLAIN}/password", _PASSWORD, 0o600):
        strict.restart()
        until(lambda: _connected(strict), "the link")
        listed = strict.run("ls", "-l", "/run/credentials/edgetwin.service/")
        others = strict.run(
            "runuser", "-u", "games", "--", "cat", "/run/credentials/edgetwin.service/mqtt_password", check=False
        )
        told = [place for place, content in _places(strict) if _PASSWORD.encode() in content]

    assert told == []
    assert "Permission denied" in others
    assert set(re.findall(r"mqtt_\w+", listed)) == {"mqtt_username", "mqtt_password"}


def test_encrypted_files_are_opened_for_the_daemon_alone(strict: Robot) -> None:
    """systemd-creds with this machine's key: the disk holds no secret in the clear."""
    encrypted = f"{_ENCRYPTED}/edgetwin.mqtt_password"
    strict.run("mkdir", "-p", _ENCRYPTED)
    strict.run("systemd-creds", "--name=mqtt_password", "encrypt", "-", encrypted, text=_PASSWORD)
    with strict.file(f"{_PLAIN}/username", "robot_001", 0o600):
        strict.restart()
        until(lambda: _connected(strict), "the link")
        on_disk = strict.run("cat", encrypted)
    strict.run("rm", encrypted)

    assert _PASSWORD not in on_disk
    assert _PASSWORD not in strict.said()


def test_a_missing_folder_would_be_made_again_before_it_does_harm(strict: Robot) -> None:
    """Systemd refuses to start a unit whose credentials' folder is gone; tmpfiles puts it back at boot."""
    strict.run("rm", "-r", "/etc/edgetwin/credentials")
    strict.run("systemd-tmpfiles", "--create", "edgetwin.conf")

    strict.restart()
    assert strict.run("stat", "--format=%a", _PLAIN).strip() == "700"
