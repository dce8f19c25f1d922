"""The machine under the daemon: modes of files, the disk, the clock as the kernel says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgetwin import config, kernel_clock
from edgetwin.clock import SystemClock
from edgetwin.doctor import kept, machine
from edgetwin.doctor.command import checked
from edgetwin.doctor.findings import Case, Finding, Level, fail, ok, warn
from edgetwin.errors import LinkError
from edgetwin.store.examination import examine
from tests.doctor.stage import case_at

_SETTINGS = """
[robot]
id = "robot_001"
[store]
path = "{folder}/state/outbox.db"
{store}
[channels.odom]
topic = "/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
"""


def _case(folder: Path, store: str = "", **environ: str) -> Case:
    path = folder / "robot.toml"
    path.write_text(_SETTINGS.format(folder=folder, store=store), encoding="utf-8")
    path.chmod(0o640)
    return Case(path, config.load(path, environ).settings, environ, SystemClock())


@pytest.mark.parametrize(
    ("mode", "level"),
    [(0o600, Level.OK), (0o640, Level.OK), (0o644, Level.OK), (0o666, Level.FAIL), (0o646, Level.FAIL)],
)
def test_settings_that_others_may_change_fail(tmp_path: Path, mode: int, level: Level) -> None:
    """To be read by all is harmless: there are no secrets in it."""
    case = _case(tmp_path)
    case.path.chmod(mode)

    assert {finding.level for finding in machine.permissions(case)} == {level}


def test_a_folder_in_which_others_may_put_other_settings_fails(tmp_path: Path) -> None:
    """Who may rename may replace; but not in a folder like /tmp."""
    case = _case(tmp_path)
    tmp_path.chmod(0o777)
    (open_folder,) = machine.permissions(case)
    tmp_path.chmod(0o1777)
    (sticky,) = machine.permissions(case)
    tmp_path.chmod(0o700)

    assert (open_folder.level, sticky.level) == (Level.FAIL, Level.OK)


@pytest.mark.parametrize(("mode", "level"), [(0o400, Level.OK), (0o440, Level.OK), (0o444, Level.FAIL)])
def test_secrets_that_everybody_may_read_fail(tmp_path: Path, mode: int, level: Level) -> None:
    """Those of systemd's folder; public keys are no secrets."""
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    (secrets / "mqtt_password").write_text("hunter2", encoding="utf-8")
    (secrets / "mqtt_password").chmod(mode)
    (secrets / "anna.pub").write_text("x", encoding="utf-8")
    (secrets / "anna.pub").chmod(0o644)
    found = machine.permissions(_case(tmp_path, CREDENTIALS_DIRECTORY=str(secrets)))

    assert [finding.level for finding in found] == [level]
    assert "hunter2" not in str(found)


def test_a_disk_that_is_smaller_than_the_outbox_may_grow_warns(tmp_path: Path) -> None:
    """A million gigabytes are not there; a small outbox fits."""
    large = machine.disk(_case(tmp_path, "max_bytes = 1_000_000_000_000_000"))
    small = machine.disk(_case(tmp_path, "max_bytes = 1_000_000"))

    assert large[0].level is Level.WARN
    assert "max_bytes" in large[0].cure
    assert Level.FAIL not in {finding.level for finding in small}


def test_an_outbox_in_memory_warns() -> None:
    """What waits there is lost with the power."""
    folder = Path("/dev/shm")  # noqa: S108
    found = machine.disk(case_at(folder))

    assert any("in memory (tmpfs)" in finding.what for finding in found)


def test_the_clock_is_what_the_kernel_says() -> None:
    """Asked twice, the kernel says the same of its synchronisation; and the finding follows it."""
    seen = kernel_clock.look()
    (finding,) = machine.clock(case_at(Path("/tmp")))  # noqa: S108

    assert kernel_clock.look().synchronised == seen.synchronised
    assert (finding.level is Level.OK) <= bool(seen.synchronised)
    assert seen.synchronised is not None or seen.why


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"hello", "no database"), (b"SQLite format 3\0" + bytes(4080), "database of something else")],
)
def test_a_file_that_is_no_outbox_fails(tmp_path: Path, content: bytes, words: str) -> None:
    """Said as what it is; the file is not touched."""
    case = _case(tmp_path)
    path = case.settings.store.path
    path.parent.mkdir()
    path.write_bytes(content)
    (finding,) = kept.store(case)

    assert finding.level is Level.FAIL
    assert words in finding.what
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == content


def test_files_that_were_set_aside_are_told(tmp_path: Path) -> None:
    """They are evidence of a bad disk, and they take room."""
    case = _case(tmp_path)
    path = case.settings.store.path
    path.parent.mkdir()
    Path(f"{path}.broken-1").write_bytes(b"x")
    found = kept.store(case)

    assert [finding.level for finding in found] == [Level.WARN, Level.OK]
    assert "outbox.db.broken-1" in found[0].what


def test_an_outbox_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    """Before the first start."""
    seen = examine(tmp_path / "none" / "outbox.db", SystemClock(), 1.0)

    assert (seen.exists, seen.fault, seen.used_bytes) == (False, "", 0)


def _raises(error: Exception) -> Callable[[Case], list[Finding]]:
    def check(_case: Case) -> list[Finding]:
        raise error

    return check


@pytest.mark.parametrize(
    ("error", "level", "words"),
    [
        (PermissionError(13, "Permission denied", "/x"), Level.WARN, "/x may not be read"),
        (OSError(5, "Input/output error"), Level.FAIL, "Input/output error"),
        (LinkError("no way; go there"), Level.FAIL, "no way"),
        (ZeroDivisionError("nought"), Level.FAIL, "ZeroDivisionError"),
    ],
)
def test_a_check_that_breaks_is_a_finding(tmp_path: Path, error: Exception, level: Level, words: str) -> None:
    """The others go on; each has a cure."""
    (finding,) = checked("x", _raises(error), _case(tmp_path))

    assert (finding.level, finding.name) == (level, "x")
    assert words in finding.what
    assert finding.cure


def test_a_finding_is_one_line() -> None:
    """Whatever a broker, a file name or a node put into it."""
    assert str(ok("a", "fine")) == "ok    a: fine"
    assert str(warn("a", "b\x1b[2J\nc", "d")) == "warn  a: b?[2J?c; d"
    assert str(fail("a", "b", "c")) == "fail  a: b; c"
