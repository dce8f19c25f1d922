"""The mirror behind bad links: robot and daemon in one network namespace, broker and mirror in another.

What the wire was told to do is what the figures must say. Delay, loss, rate and cuts are made by tap_link.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgetwin.sim.broker import find_mosquitto
from tests.integration.lab import ROBOT_ID, Daemon, channel, configuration, until
from tests.integration.mirror_lab import MirrorProcess
from tests.integration.tap_link import TapLink, Weather

needs_root = pytest.mark.skipif(
    not os.environ.get("CI") and (os.geteuid() != 0 or find_mosquitto() is None or not Path("/dev/net/tun").exists()),
    reason="needs root, /dev/net/tun and mosquitto",
)
pytestmark = [pytest.mark.fault, needs_root, pytest.mark.timeout(300)]
PORT = 1883
LIVE_S = 1.0 + 2.0 / 50.0 + 0.25  # heartbeat, two periods, grace: what docs/mirror.md says


class NamespaceDaemon(Daemon):
    """`edgetwin run` in the robot's namespace."""

    def __init__(self, folder: Path, config: str, namespace: str) -> None:
        super().__init__(folder, config)
        self._namespace = namespace

    def start(self) -> NamespaceDaemon:
        """Start it there."""
        command = ["ip", "netns", "exec", self._namespace, sys.executable, "-m", "edgetwin", "run"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--config", str(self.config)], env=self._environ, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return self


@dataclass
class Stage:
    """Everything, running."""

    link: TapLink
    mirror: MirrorProcess

    def odom(self) -> dict[str, Any]:
        """The figures of the channel."""
        return self.mirror.channel(ROBOT_ID, "odom")

    def measured(self, seconds: float, weather: Weather) -> list[dict[str, Any]]:
        """Set the weather, and return the reports of the time after it, once the newest thousand are of it."""
        self.link.weather = weather
        first = len(self.mirror.reports)
        time.sleep(seconds)
        return self.mirror.reports[first:]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A simulated robot and the daemon there; broker and mirror here."""
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(
        f"listener {PORT} 0.0.0.0\nallow_anonymous true\nmax_queued_messages 100000\nuser root\n", encoding="utf-8"
    )
    section = channel("odom", "/odom", "nav_msgs/msg/Odometry", ('fields = ["pose.pose.position"]',))
    mqtt = f'host = "{TapLink.CLOUD_ADDRESS}"\nallow_plaintext = true\nheartbeat_s = 1.0\n'
    config = configuration(PORT, tmp_path, section, mqtt=mqtt)
    with TapLink() as link:
        there = ["ip", "netns", "exec"]
        broker = subprocess.Popen([*there, link.cloud, find_mosquitto() or "mosquitto", "-c", str(conf)])
        robot = subprocess.Popen(
            [*there, link.robot, sys.executable, "-m", "edgetwin.sim.robot", "--without", "scan", "--without", "imu"]
        )
        try:
            with (
                MirrorProcess(PORT, namespace=link.cloud) as mirror,
                NamespaceDaemon(tmp_path, config, link.robot) as daemon,
            ):
                stage = Stage(link, mirror)
                until(lambda: stage.odom().get("live", 0) > 50, lambda: f"{mirror.reports[-1:]} {daemon.log}")
                yield stage
                link.weather = Weather()
        finally:
            for process in (robot, broker):
                process.terminate()
                process.wait(timeout=10)


def _honest(reports: list[dict[str, Any]]) -> list[str]:
    """Where a report says something about age that is not so; all clocks here are one clock."""
    lies = []
    for report in reports:
        for robot in report["robots"]:
            for one in robot["channels"]:
                true_s = (report["stamp_us"] - one["stamp_us"]) / 1e6
                off_s = (
                    robot["clock_uncertainty_ms"] or 0.0
                ) / 1000 + 0.5  # figures are made a moment before the report
                if abs(one["age_s"] - true_s) > off_s or (one["age"] == "live" and true_s > LIVE_S + off_s):
                    lies.append(f"{one['age']} {one['age_s']} s, in truth {true_s:.3f} s")
    return lies


def _settled(stage: Stage) -> dict[str, Any]:
    """Wait until nothing is missing and the channel is live again."""
    until(lambda: stage.odom()["lost"] == 0 and stage.odom()["age"] == "live", lambda: str(stage.odom()), 90)
    return stage.odom()


@pytest.mark.parametrize("delay_ms", [100.0, 500.0])
def test_a_delay_is_measured_as_it_was_set(stage: Stage, delay_ms: float) -> None:
    """Least latency and round trip grow by what the wire was told, within 5 %; nothing is lost, every age is honest."""
    base = stage.measured(22.0, Weather())[-1]["robots"][0]
    reports = stage.measured(28.0, Weather(delay_ms=delay_ms))
    robot = reports[-1]["robots"][0]
    odom, before = robot["channels"][0], base["channels"][0]
    # The least is what the wire does; how much more the median is depends on who else uses this machine.
    assert odom["latency_min_ms"] - before["latency_min_ms"] == pytest.approx(delay_ms, rel=0.05)
    assert odom["latency_p50_ms"] >= odom["latency_min_ms"]
    round_trips = [report["robots"][0]["round_trip_ms"] for report in reports if report["robots"]]
    assert min(trip for trip in round_trips[10:] if trip) == pytest.approx(2 * delay_ms, rel=0.05)
    assert abs(robot["clock_offset_ms"]) <= robot["clock_uncertainty_ms"] + 1.0
    # At 500 ms the daemon's window of 20 messages holds records for up to a round trip: late at times, never stale.
    assert odom["lost"] == 0
    assert odom["age"] in {"live", "late"}
    assert _honest(reports) == []


@pytest.mark.parametrize("weather", [
    Weather(delay_ms=20.0, loss=0.05), Weather(delay_ms=20.0, loss=0.2), Weather(bits_per_s=128_000),
])  # fmt: skip
def test_a_bad_link_loses_nothing_and_every_age_is_honest(stage: Stage, weather: Weather) -> None:
    """5 and 20 % loss, 128 kbit/s: TCP repeats, the outbox keeps; good again, the twin is where the robot is."""
    reports = stage.measured(20.0, weather)
    stage.link.weather = Weather()
    odom = _settled(stage)

    assert (odom["lost"], odom["explained"]) == (0, 0)
    assert _honest(reports) == []


def test_a_blackout_is_seen_at_once_and_made_up_for(stage: Stage) -> None:
    """60 s without a wire: late, stale, offline, never live; then live again, and the backlog has filled history."""
    before = stage.odom()
    reports = stage.measured(60.0, Weather(cut=True))
    stage.link.weather = Weather()
    odom = _settled(stage)
    until(lambda: stage.odom()["backlog"] > 2_000, lambda: str(stage.odom()), 60)
    words = [report["robots"][0]["channels"][0]["age"] for report in reports]

    assert set(words[5:]) <= {"late", "stale", "offline"}
    assert words[-1] in {"stale", "offline"}
    assert (odom["lost"], odom["explained"]) == (0, 0)
    assert odom["seq"] > before["seq"] + 2_500
    assert _honest(reports) == []
