"""What people see of the mirror: table, CSV, picture, refusals; and its own link, cut and mended."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault, FaultyLink
from tests.integration.lab import until
from tests.integration.mirror_lab import DOMAIN, MirrorProcess, StandIn
from tests.integration.test_mirror import pose

PNG = b"\x89PNG\r\n\x1a\n"


def mirror(*options: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `edgetwin mirror` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edgetwin", "mirror", *options], check=False, capture_output=True, text=True,
        timeout=seconds, env=os.environ | {"ROS_DOMAIN_ID": str(DOMAIN)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


class Cable:
    """A FaultyLink on a loop of its own."""

    def __init__(self, link: FaultyLink, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._link = link
        self.port = link.port

    def set(self, fault: Fault) -> None:
        """Make it behave so."""
        asyncio.run_coroutine_threadsafe(self._link.set(fault), self._loop).result(10)


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """A cable to a broker, carried by a thread."""
    loop, found, ready, done = asyncio.new_event_loop(), list[Cable](), threading.Event(), asyncio.Event()

    async def carry() -> None:
        async with FaultyLink(port) as link:
            found.append(Cable(link, loop))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(carry()))
    thread.start()
    try:
        assert ready.wait(5)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def test_without_its_own_link_the_mirror_calls_everything_offline_and_misses_nothing(broker: LocalBroker) -> None:
    """Fifty records are sent while its cable is pulled: they wait at the broker; meanwhile nothing is called live."""
    with cable_to(broker.port) as cable, StandIn(broker.port, "r1") as robot, MirrorProcess(cable.port) as running:
        robot.send("odom", pose(0))
        until(lambda: running.channel("r1", "odom").get("age") == "live", "live")
        cable.set(Fault.REFUSE)
        until(lambda: running.channel("r1", "odom").get("age") == "offline", "offline")
        first = len(running.reports)
        for index in range(1, 51):
            robot.send("odom", pose(index))
        robot.flush()
        until(lambda: len(running.reports) >= first + 2, "two reports")
        away = {running.channel("r1", "odom")["age"], running.channel("r1", "odom")["live"]}
        cable.set(Fault.PASS)
        until(lambda: running.channel("r1", "odom")["live"] == 51, lambda: str(running.reports[-1]))
        figures = running.channel("r1", "odom")

    assert away == {"offline", 1}
    assert (figures["lost"], figures["seq"]) == (0, 50)
    assert len(running.said("no link")) >= 1


def test_table_csv_and_picture_of_a_run(broker: LocalBroker, tmp_path: Path) -> None:
    """All at once, for four seconds; it ends by itself with 0."""
    table, picture = tmp_path / "run.csv", tmp_path / "run.png"
    ended = threading.Event()
    with StandIn(broker.port, "r1") as robot:
        talking = threading.Thread(target=lambda: _talk(robot, ended))
        talking.start()
        options = ("--watch", "--csv", str(table), "--plot", str(picture), "--seconds", "4")
        done = mirror("--broker", f"127.0.0.1:{broker.port}", *options)
        ended.set()
        talking.join()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert done.returncode == 0, done.stderr
    assert "channel" in done.stdout
    assert "r1: LIVE" in done.stdout
    assert {row["robot_id"] for row in rows} == {"r1"}
    assert picture.read_bytes().startswith(PNG)


def _talk(robot: StandIn, ended: threading.Event) -> None:
    while not ended.wait(0.05):
        robot.send("odom", pose(0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--robot", "a/b"), "--robot"),
        (("--seconds", "-1"), "--seconds"),
        (("--broker", "host:"), "--broker"),
        (("--prefix", "a/b"), "--prefix"),
        (("--plot", "run.jpg"), "--plot"),
        (("--csv", "/nowhere/run.csv"), "--csv"),
        (("--ca", "/nowhere/ca.pem"), "--ca"),
        (("--password-file", "/nowhere"), "--password-file"),
        (("--config", "/nowhere/robot.toml"), "robot.toml"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_in_one_line_each(options: tuple[str, ...], words: str) -> None:
    """Exit 2: where, what, what to do."""
    done = mirror(*options)

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert words in done.stderr


def test_where_no_broker_ever_answered_it_fails(tmp_path: Path) -> None:
    """Exit 1 after the time is over, one line about the link; a configuration names the broker and the prefix."""
    config = tmp_path / "robot.toml"
    config.write_text(
        '[robot]\nid = "r1"\n[mqtt]\nport = 9\nprefix = "fleet"\n[channels.odom]\ntopic = "/odom"\n'
        'type = "nav_msgs/msg/Odometry"\nclass = "critical"\n',
        encoding="utf-8",
    )
    done = mirror("--config", str(config), "--seconds", "1.5")

    assert done.returncode == 1
    assert done.stderr.count("no link to the broker 127.0.0.1:9") == 1
