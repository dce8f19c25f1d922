"""Ready when everything was tried; a lane's heart beats only when its work comes round; the line for people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from edgetwin import vitals
from edgetwin.clock import NS_PER_S, SystemClock
from edgetwin.headline import headline, self_test
from edgetwin.notify import Systemd
from edgetwin.progress import Progress
from edgetwin.vitals import Vitals


class Time:
    """A clock that is moved by hand."""

    now_s = 0.0

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        return round(self.now_s * NS_PER_S)

    def stamp_ns(self) -> int:
        """Not looked at here."""
        return 0


class Said(Systemd):
    """Remembers what systemd would hear."""

    def __init__(self) -> None:
        super().__init__({}, SystemClock())
        self.messages: list[str] = []

    def _send(self, message: str) -> None:
        self.messages.append(message)


def _figures(state: str = "up", **channels: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "robot_id": "robot_001",
        "state": "running",
        "link": {"state": state, "last_error": None if state == "up" else "no PUBACK within 10 s"},
        "outbox": {"backlog": 0},
        "channels": channels,
    }


def _channel(publishers: int = 1, problem: str | None = None) -> dict[str, Any]:
    return {"publishers": publishers, "problem": problem}


def test_ready_waits_for_the_first_attempt_and_says_how_it_went() -> None:
    """READY comes after the attempt, with the line that belongs to it."""
    said = Said()

    async def story() -> list[str]:
        tried = asyncio.Event()
        telling = asyncio.get_running_loop().create_task(
            Vitals(Progress(Time()), said).tell_ready(tried, lambda: _figures("down", odom=_channel()))
        )
        await asyncio.sleep(0.05)
        before = list(said.messages)
        tried.set()
        await telling
        return before

    assert asyncio.run(story()) == []
    assert said.messages == ["STATUS=robot_001 running: no broker (no PUBACK within 10 s); 1 channel", "READY=1"]


def test_an_attempt_that_does_not_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A black hole in the network at boot."""
    monkeypatch.setattr(vitals, "_FIRST_LINK_MAX_S", 0.01)
    said = Said()
    asyncio.run(Vitals(Progress(Time()), said).tell_ready(asyncio.Event(), _figures))

    assert said.messages[-1] == "READY=1"


def test_a_store_that_does_not_come_round_is_late_after_a_minute_and_not_before() -> None:
    """A write that takes half a minute is a flash disk, not a defect."""
    time = Time()
    progress = Progress(time)

    async def story() -> list[list[str]]:
        turns = [asyncio.get_running_loop().create_future() for _ in range(2)]
        turns[0].set_result(None)
        waiting = iter(turns)
        watching = asyncio.get_running_loop().create_task(
            Vitals(progress, Said()).watch_store(lambda: next(waiting), lambda: False)
        )
        late = []
        for now_s in (30.0, 59.0, 61.0):
            await asyncio.sleep(0)
            time.now_s = now_s
            late.append([one.name for one in progress.late()])
        watching.cancel()
        await asyncio.wait([watching])
        return [*late, [one.name for one in progress.late()]]

    assert asyncio.run(story()) == [[], [], ["store"], []]


def test_a_disk_that_hangs_and_was_told_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live forwarding and the gate go on without it: no reason to begin anew, however long it lasts."""
    monkeypatch.setattr(vitals, "_STORE_LOOK_S", 0.001)
    time = Time()
    progress = Progress(time)

    async def story(*, troubled: bool) -> list[str]:
        hanging: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        time.now_s = 0.0
        watched = Vitals(progress, Said()).watch_store(lambda: hanging, lambda: troubled)
        watching = asyncio.get_running_loop().create_task(watched)
        await asyncio.sleep(0)
        time.now_s = 3600.0
        await asyncio.sleep(0.05)
        late = [one.name for one in progress.late()]
        watching.cancel()
        await asyncio.wait([watching])
        return late

    assert asyncio.run(story(troubled=True)) == []
    assert asyncio.run(story(troubled=False)) == ["store"]


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        (_figures(odom=_channel()), "robot_001 running: connected to the broker; 1 channel"),
        (
            _figures(odom=_channel(0), scan=_channel(0, "another type"), imu=_channel()),
            "robot_001 running: connected to the broker; 3 channels, no publisher for odom, scan; scan: another type",
        ),
        (
            _figures("down", odom=_channel()) | {"outbox": {"backlog": 12345}},
            "robot_001 running: no broker (no PUBACK within 10 s); 1 channel; 12,345 records wait on disk",
        ),
        (
            _figures(odom=_channel()) | {"outbox": {"backlog": 1}},
            "robot_001 running: connected to the broker; 1 channel; 1 record waits on disk",
        ),
    ],
)
def test_the_headline_says_what_matters(figures: Mapping[str, Any], line: str) -> None:
    """Link, channels, what waits, what is wrong."""
    assert headline(figures) == line


def test_the_self_test_is_one_line_with_a_field_for_each_part(caplog: pytest.LogCaptureFixture) -> None:
    """Once, when everything was tried; a broker that is away is told, and is no trouble of ours."""
    tried = asyncio.Event()
    tried.set()
    with caplog.at_level(logging.INFO):
        asyncio.run(Vitals(Progress(Time()), Said()).tell_ready(tried, lambda: _figures("down", odom=_channel())))
    (line,) = [one for one in caplog.records if getattr(one, "EVENT", "") == "selftest"]

    assert line.getMessage() == (
        "Self-test: no broker (no PUBACK within 10 s); outbox writes; latch on disk; "
        "commands unknown, remote motion off; clock unknown; 1 channel; 0 detectors; 0 models."
    )
    assert (line.levelno, line.__dict__["VERDICT"]) == (logging.INFO, "ok")
    assert line.__dict__["BROKER"] == "no broker (no PUBACK within 10 s)"


@pytest.mark.parametrize(
    ("part", "figures", "words"),
    [
        ("STORE", {"outbox": {"backlog": 0, "problem": "disk full"}}, "outbox: disk full"),
        ("LATCH", {"gate": {"state": "HELD", "latch_problem": "read-only"}}, "latch: read-only"),
        ("CHANNELS", {"channels": {"odom": _channel(problem="no type")}}, "channel: odom: no type"),
        ("DETECTORS", {"anomaly": {"one": {"problem": "no pair"}}}, "detector: one: no pair"),
        ("MODELS", {"prognosis": {"motor": {"refused": "too old"}}}, "model: motor: too old"),
    ],
)
def test_a_part_in_trouble_makes_the_self_test_a_warning(
    caplog: pytest.LogCaptureFixture, part: str, figures: dict[str, Any], words: str
) -> None:
    """It says which, and the other parts all the same."""
    tried = asyncio.Event()
    tried.set()
    asyncio.run(Vitals(Progress(Time()), Said()).tell_ready(tried, lambda: _figures() | figures))
    (line,) = [one for one in caplog.records if getattr(one, "EVENT", "") == "selftest"]

    assert (line.levelno, line.__dict__["VERDICT"], line.__dict__[part]) == (logging.WARNING, "trouble", words)
    assert f"; {words};" in line.getMessage() or line.getMessage().endswith(f"; {words}.")


@pytest.mark.parametrize("said", [True, False, None])
def test_a_clock_that_nothing_keeps_right_is_told_and_no_trouble(said: bool | None) -> None:
    """`doctor` has the cure; stamped moves are refused meanwhile."""
    found = self_test(_figures() | {"clock": {"synchronised": said}})

    assert found.troubles == ()
    assert ("not" in found.parts["CLOCK"], "unknown" in found.parts["CLOCK"]) == (said is False, said is None)
