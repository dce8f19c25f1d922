"""Who gets on, and the watchdog that believes only that: hearts, limits, signs of life."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetwin.clock import NS_PER_S
from edgetwin.notify import Systemd, watchdog_s
from edgetwin.progress import Late, Progress
from edgetwin.watchdog import Watchdog


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        return round(self.now_s * NS_PER_S)

    def stamp_ns(self) -> int:
        """Not looked at here."""
        return 0


class Listener:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)  # noqa: FBT003

    def heard(self) -> list[str]:
        """What has been said since the last call."""
        said = []
        while True:
            try:
                said.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return said


@pytest.fixture(name="time")
def _time() -> Time:
    return Time()


@pytest.fixture(name="listener")
def _listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.socket.close()


@pytest.fixture(name="systemd")
def _systemd(listener: Listener, time: Time) -> Iterator[Systemd]:
    systemd = Systemd({"NOTIFY_SOCKET": str(listener.path)}, time)
    yield systemd
    systemd.close()


def test_a_lane_is_late_only_beyond_its_own_limit(time: Time) -> None:
    """One that beats is never late; one that does not is, from its limit on."""
    progress = Progress(time)
    with progress.lane("quick", 1.0) as quick, progress.lane("slow", 60.0):
        time.now_s += 1.0
        at_its_limit = progress.late()
        time.now_s += 0.5
        beyond = progress.late()
        quick.beat()

        assert at_its_limit == ()
        assert beyond == (Late("quick", 1.5, 1.0),)
        assert progress.late() == ()


def test_the_longest_silence_comes_first_and_reads_like_a_sentence(time: Time) -> None:
    """What an operator sees in the journal."""
    progress = Progress(time)
    with progress.lane("ros", 5.0), progress.lane("store", 60.0) as store:
        time.now_s += 70.0
        store.beat()
        time.now_s += 61.0

        assert [str(late) for late in progress.late()] == [
            "ros for 131.0 s (limit 5 s)",
            "store for 61.0 s (limit 60 s)",
        ]


def test_a_lane_that_has_ended_is_not_missed(time: Time) -> None:
    """In order or by an error: its silence means nothing any more."""
    progress = Progress(time)
    with pytest.raises(RuntimeError), progress.lane("ros", 5.0):
        raise RuntimeError
    time.now_s += 1000.0

    assert progress.late() == ()


def test_the_watchdog_is_fed_only_while_every_lane_gets_on(
    time: Time, listener: Listener, systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    """One hung lane of three is enough; each change is one line in the log."""
    progress = Progress(time)
    watchdog = Watchdog(progress, systemd, 5.0)
    with progress.lane("ros", 5.0) as ros, progress.lane("store", 60.0), caplog.at_level(logging.INFO):
        watchdog.look()
        fed = listener.heard()
        time.now_s += 6.0
        for _ in range(3):
            watchdog.look()
        starved = listener.heard()
        ros.beat()
        watchdog.look()

        assert fed == ["WATCHDOG=1"]
        assert starved == []
        assert listener.heard() == ["WATCHDOG=1"]
        assert [(record.levelname, record.__dict__["EVENT"]) for record in caplog.records] == [
            ("CRITICAL", "watchdog.silent"),
            ("WARNING", "watchdog.mended"),
        ]
        assert caplog.records[0].getMessage() == (
            "No progress of ros for 6.0 s (limit 5 s); the watchdog is not fed any more."
        )


def test_a_status_line_is_told_when_it_changes_and_never_breaks_the_protocol(
    listener: Listener, systemd: Systemd
) -> None:
    """A newline in it would be another assignment."""
    for line in ("robot_001 running", "robot_001 running", "no broker (it said:\nREADY=1)"):
        systemd.say(line)

    assert listener.heard() == ["STATUS=robot_001 running", "STATUS=no broker (it said: READY=1)"]


def test_a_reload_does_not_make_ready_what_was_not(listener: Listener, systemd: Systemd) -> None:
    """SIGHUP during the start."""
    systemd.reload_begins()
    systemd.reload_ends()
    before = listener.heard()
    systemd.ready()
    systemd.reload_begins()
    systemd.reload_ends()

    assert before == []
    assert listener.heard() == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=100000000", "READY=1"]


def test_without_systemd_nothing_is_said_and_nothing_fails(time: Time, tmp_path: Path) -> None:
    """No socket, a socket that is gone, one of a kind that we do not speak, and after the end."""
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        systemd = Systemd(environ, time)
        systemd.ready()
        systemd.alive()
        systemd.close()
        systemd.stopping()


def test_a_listener_that_does_not_listen_holds_nobody_up(time: Time, listener: Listener) -> None:
    """Its queue is full: what does not fit is dropped, and the call returns."""
    systemd = Systemd({"NOTIFY_SOCKET": str(listener.path)}, time)
    for _ in range(10_000):
        systemd.alive()
    systemd.close()

    assert 0 < len(listener.heard()) < 10_000


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "5000000"}, 5.0),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),  # another process is meant
    ],
)
def test_the_watchdogs_limit_is_the_one_of_this_process(environ: dict[str, str], limit_s: float | None) -> None:
    """As sd_watchdog_enabled(3) has it."""
    assert watchdog_s(environ) == limit_s
