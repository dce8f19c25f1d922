"""Reloads one after the other, beside the loop: all or nothing, and a defect in one ends the daemon in order."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgetwin.check import Prepared, broker_of
from edgetwin.clock import SystemClock
from edgetwin.errors import Fault, RefusedError
from edgetwin.notify import Systemd
from edgetwin.reloading import Reload, mark_of
from edgetwin.service import _escalate
from edgetwin.settings import Settings, TlsSettings
from edgetwin.uplink.link import Broker

PATIENCE_S = 20.0


def prepared(folder: Path, **channel: Any) -> Prepared:
    """Settings with one channel, and their broker."""
    odom = {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"} | channel
    tree = {"robot": {"id": "r"}, "store": {"path": folder / "outbox.db"}, "channels": {"odom": odom}}
    settings = Settings.model_validate(tree)
    return Prepared(settings, broker_of(settings))


class Over(Systemd):
    """Knows when a reload is over."""

    def __init__(self) -> None:
        super().__init__({}, SystemClock())
        self.ended = asyncio.Event()

    def reload_ends(self) -> None:
        """Told at the end, however it went."""
        self.ended.set()


@dataclass
class Bench:
    """A daemon that only remembers what it was given."""

    running: Prepared
    read: Callable[[], Prepared]
    given: list[Settings] = field(default_factory=list)
    reads: int = 0

    def _read(self) -> Prepared:
        self.reads += 1
        return self.read()

    def _retune(self, settings: Settings, _broker: Broker) -> None:
        self.given.append(settings)

    async def reload(self, asked: int = 1) -> None:
        """Ask, and wait until it is over."""
        over = Over()
        reload = Reload(self.running, self._read, self._retune, over)
        task = asyncio.get_running_loop().create_task(reload.run())
        for _ in range(asked):
            reload.ask()
        async with asyncio.timeout(PATIENCE_S):
            await over.ended.wait()
        task.cancel()
        await asyncio.wait([task])


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Kind and key, or place, of every line."""
    fields = [one.__dict__ for one in caplog.records]
    return [(one["EVENT"], one.get("KEY") or one.get("WHERE", "")) for one in fields if "EVENT" in one]


def test_what_changed_is_handed_over_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Asked three times at once it reads once; the loop goes on meanwhile, for the reading is on another thread."""
    threads: list[int] = []

    def read() -> Prepared:
        threads.append(threading.get_ident())
        return prepared(tmp_path, rate_hz_max=7.0, qos=0)

    bench = Bench(prepared(tmp_path), read)
    with caplog.at_level(logging.INFO):
        asyncio.run(bench.reload(asked=3))

    assert [one.channels["odom"].rate_hz_max for one in bench.given] == [7.0]
    assert bench.given[0].channels["odom"].qos == 1
    assert bench.reads == 1
    assert threads != [threading.get_ident()]
    assert events(caplog) == [
        ("reload.applied", "channels.odom.rate_hz_max"),
        ("reload.refused", "channels.odom.qos"),
    ]


@pytest.mark.parametrize("there", [True, False])
def test_a_fault_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, there: bool) -> None:
    """One of the file, or one that what may change has only beside what may not: each is a line, and it goes on."""
    deadband = {"field": "pose.pose.position.x", "value": 0.5}

    def read() -> Prepared:
        if there:
            raise RefusedError([Fault("a.toml: one", "is wrong", "mend it"), Fault("a.toml: two", "is", "too")])
        return prepared(
            tmp_path, type="geometry_msgs/msg/PoseStamped", deadband=deadband | {"field": "pose.position.x"}
        )

    bench = Bench(prepared(tmp_path), read)
    asyncio.run(bench.reload())

    assert bench.given == []
    places = ["a.toml: one", "a.toml: two"] if there else ["channels.odom.deadband"]
    assert events(caplog) == [("reload.refused", place) for place in places]


def test_the_mark_follows_the_content_of_each_file(tmp_path: Path) -> None:
    """Also when one takes the content of another; a file that is gone is another content."""
    files = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    running = prepared(tmp_path).settings
    mqtt = running.mqtt.model_copy(update={"tls": TlsSettings.model_validate(files)})
    settings = running.model_copy(update={"mqtt": mqtt})
    marks = [mark_of(running), mark_of(settings)]
    for contents in (("a", "b", "c"), ("b", "a", "c"), ("b", "a", "d"), ("ba", "", "d")):
        for path, content in zip(files.values(), contents, strict=True):
            path.write_text(content, encoding="ascii")
        marks.append(mark_of(settings))

    assert len(set(marks)) == len(marks)
    assert mark_of(settings) == marks[-1]


def test_a_defect_is_handed_to_the_daemon() -> None:
    """It ends in order, and systemd starts it anew; what was cancelled, or ended well, is nobody's business."""
    told: list[BaseException | None] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context.get("exception")))

        async def broken() -> None:
            raise ZeroDivisionError

        async def fine() -> None:
            return

        async def endless() -> None:
            await asyncio.Event().wait()

        tasks = [loop.create_task(one()) for one in (broken, fine, endless)]
        for task in tasks:
            task.add_done_callback(_escalate)
        await asyncio.sleep(0)
        tasks[-1].cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)

    asyncio.run(story())

    assert [type(error) for error in told] == [ZeroDivisionError]
