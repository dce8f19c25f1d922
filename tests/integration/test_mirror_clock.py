"""A real daemon whose wall clock steps, seen through the mirror: offsets, ages, order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nav_msgs.msg import Odometry

from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault
from tests.integration.lab import ROBOT_ID, Daemon, Robot, Witness, channel, configuration, matched, until
from tests.integration.mirror_lab import MirrorProcess, OtherDomain
from tests.integration.test_mirror_looks import cable_to

S = 1_000_000_000
ROOT = Path(__file__).parents[2]


class ShiftedDaemon(Daemon):
    """`edgetwin run`, its wall clock set by `ahead`."""

    def __init__(self, folder: Path, config: str, ahead_ns: int) -> None:
        super().__init__(folder, config)
        self._file = folder / "ahead"
        self.ahead(ahead_ns)

    def ahead(self, ahead_ns: int) -> None:
        """Set the clock: at once, as settimeofday does."""
        made = self._file.with_suffix(".new")
        made.write_text(str(ahead_ns), encoding="ascii")
        made.replace(self._file)

    def start(self) -> ShiftedDaemon:
        """Start it."""
        command = [sys.executable, "-m", "tests.integration.shifted_clock", str(self._file), "run"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--config", str(self.config)], env=self._environ, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
        return self


@contextmanager
def moving(publisher: Any) -> Iterator[None]:
    """Odometry at 50 Hz, without stamps of its own: the daemon's clock is its time."""
    ended = threading.Event()

    def move() -> None:
        while not ended.wait(0.02):
            publisher.publish(Odometry())

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("steps_s", [(-1_700_000_000.0, 0.0), (0.0, 7_200.0, -7_200.0)], ids=["from 1970", "by hours"])
def test_a_stepping_clock_is_told_followed_and_reorders_nothing(
    broker: LocalBroker, robot: Robot, tmp_path: Path, steps_s: tuple[float, ...]
) -> None:
    """After each step: the offset within its bound, the age live, one `clock` event with its size, nothing missing."""
    topic = f"/stepping_{len(steps_s)}"
    publisher = robot.publisher(Odometry, topic)
    config = configuration(broker.port, tmp_path, channel("odom", topic, "nav_msgs/msg/Odometry"))
    found = []
    with (
        Witness(broker.port) as witness,
        MirrorProcess(broker.port) as mirror,
        ShiftedDaemon(tmp_path, config, round(steps_s[0] * S)) as daemon,
    ):
        matched(publisher)
        with moving(publisher):
            for number, ahead_s in enumerate(steps_s):
                daemon.ahead(round(ahead_s * S))
                _stepped(mirror, number)
                found.append((mirror.robot(ROBOT_ID), mirror.channel(ROBOT_ID, "odom")))
            time.sleep(0.5)
        told = [arrival.records[0]["data"] for arrival in witness.on("/events/clock")]

    for (figures, odom), ahead_s in zip(found, steps_s, strict=True):
        assert figures["clock_offset_ms"] == pytest.approx(ahead_s * 1000, abs=figures["clock_uncertainty_ms"] + 1)
        assert (odom["age"], odom["lost"], odom["reordered"]) == ("live", 0, 0)
    steps = [event["step_us"] / 1e6 for event in told if event["state"] == "step"]
    expected = [after - before for before, after in pairwise(steps_s)]
    assert steps == pytest.approx(expected, abs=0.5)


def _stepped(mirror: MirrorProcess, number: int) -> None:
    """Wait until the mirror knows of so many steps, and two reports more."""

    def why() -> str:
        return f"{mirror.reports[-1:]} {mirror.remarks}"

    until(lambda: mirror.robot(ROBOT_ID).get("clock_steps") == number, why, 30)
    until(lambda: mirror.robot(ROBOT_ID)["clock_offset_ms"] is not None, why)
    seen = len(mirror.reports)
    until(lambda: len(mirror.reports) > seen + 2, why)


class Stamped:
    """A robot whose driver stamps by its wall clock, `ahead_ns` of ours; each message tells itself apart."""

    def __init__(self, publisher: Any, ahead_ns: int) -> None:
        self.ahead_ns = ahead_ns
        self.stamps_us: list[int] = []
        self._publisher = publisher

    def send(self, count: int) -> None:
        """Send so many, 20 ms apart."""
        for _ in range(count):
            time.sleep(0.02)
            message = Odometry()
            stamp_us = (time.time_ns() + self.ahead_ns) // 1000
            message.header.stamp.sec, micros = divmod(stamp_us, 1_000_000)
            message.header.stamp.nanosec = micros * 1000
            message.pose.pose.position.x = float(len(self.stamps_us))
            self.stamps_us.append(stamp_us)
            self._publisher.publish(message)


def test_a_robot_that_boots_in_1970_is_marked_rebased_and_loses_nothing(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Its clock and its driver's stamps begin at 0; they step to now while the cable is out; all of it comes, in order.

    The stamps on the wire stay the robot's own; the mirror counts exactly those of 1970 as re-based, and every age in
    between is of the present.
    """
    publisher = robot.publisher(Odometry, "/boots_in_1970")
    ahead_ns = 20 * S - time.time_ns()
    stamped = Stamped(publisher, ahead_ns)
    with (
        cable_to(broker.port) as cable,
        Witness(broker.port) as witness,
        OtherDomain() as other,
        MirrorProcess(broker.port) as mirror,
        ShiftedDaemon(
            tmp_path, configuration(cable.port, tmp_path, channel("odom", "/boots_in_1970", "nav_msgs/msg/Odometry")),
            ahead_ns,
        ) as daemon,
    ):  # fmt: skip
        matched(publisher)
        heard = other.listen(Odometry, f"/virtual/{ROBOT_ID}/odom")
        until(lambda: mirror.robot(ROBOT_ID).get("clock_offset_ms") is not None, lambda: f"{mirror.remarks}")
        first = mirror.robot(ROBOT_ID)
        stamped.send(50)
        until(lambda: heard.matched and _came(mirror) == 50, lambda: str(mirror.reports[-1:]))
        then = mirror.channel(ROBOT_ID, "odom")
        cable.set(Fault.REFUSE)
        stamped.send(50)
        daemon.ahead(0)
        stamped.ahead_ns = 0
        stamped.send(50)
        cable.set(Fault.PASS)
        until(lambda: _came(mirror) == 150, lambda: str(mirror.reports[-1:]))
        stamped.send(50)
        _stepped(mirror, 1)
        until(lambda: _came(mirror) == 200, lambda: str(mirror.reports[-1:]))
        last, odom = mirror.robot(ROBOT_ID), mirror.channel(ROBOT_ID, "odom")
        shown = [message.pose.pose.position.x for message in heard.messages]
        records = until(lambda: len(witness.in_order("odom")) == 200 and witness.in_order("odom"), "all at the witness")

    assert first["clock_offset_ms"] == pytest.approx(ahead_ns / 1e6, abs=first["clock_uncertainty_ms"] + 1)
    assert last["clock_offset_ms"] == pytest.approx(0.0, abs=last["clock_uncertainty_ms"] + 1)
    assert [record["stamp_us"] for record in records] == stamped.stamps_us
    assert [record["data"]["pose"]["pose"]["position"]["x"] for record in records] == list(range(200))
    assert (odom["lost"], odom["explained"], odom["reordered"], odom["seq"]) == (0, 0, 0, 199)
    assert (then["age"], last["rebased"]) == ("live", 100)
    assert (shown, shown[-1]) == (sorted(set(shown)), 199.0)


def _came(mirror: MirrorProcess) -> int:
    odom = mirror.channel(ROBOT_ID, "odom")
    return int(odom.get("live", 0) + odom.get("backlog", 0))
