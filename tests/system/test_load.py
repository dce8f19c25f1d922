"""What the service costs at the reference load: 361 messages a second of a robot's usual topics, inside the unit."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.streams import REFERENCE
from tests.system.robot import PYTHON, SETTINGS, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

_ROOT = Path(__file__).parents[2]
_LOAD = "/opt/load"  # where the generator is put inside the machine; the package does not bring it
_LOG = "/dev/shm/load"  # noqa: S108  # inside a machine that is thrown away
_WINDOW_S = 20.0
_SHARE_MIN = 0.97  # of the load that the generator must have kept up on a busy host, or nothing was measured
_PATIENCE_S = 120.0

_CHANNELS = "".join(
    f"""
[channels.{stream.channel}]
topic = "{stream.topic}"
type = "{stream.type_name}"
class = "critical"
rate_hz_max = {stream.rate_hz * 4}.0
"""
    for stream in REFERENCE
)


@contextmanager
def loaded(robot: Robot) -> Iterator[None]:
    """The reference load, from a process of another user."""
    target = robot.machine.root / _LOAD.removeprefix("/") / "bench"
    shutil.copytree(_ROOT / "bench", target, ignore=shutil.ignore_patterns("__pycache__"))
    process = robot.machine.start(
        "runuser", "-u", "games", "--",
        "env", "HOME=/tmp", "ROS_LOG_DIR=/tmp", "PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH={_LOAD}",
        PYTHON, "-m", "bench.load", "reference", _LOG,
    )  # fmt: skip
    try:
        yield
    finally:
        robot.run("pkill", "--full", "bench.load", check=False)
        process.communicate(timeout=20)
        shutil.rmtree(target)


def _counts(robot: Robot, key: str) -> int:
    return sum(int(channel[key]) for channel in robot.status()["channels"].values())


def test_the_reference_load_leaves_whole_and_its_cost_is_measured(robot: Robot, figures: dict[str, str]) -> None:
    """Odometry 50 Hz, seven joints 100 Hz, Imu 200 Hz, a scan 10 Hz, a battery 1 Hz: every message leaves."""
    rate_hz = sum(stream.rate_hz for stream in REFERENCE)
    with robot.file(SETTINGS, f'[robot]\nid = "robot_001"\n{_CHANNELS}'):
        robot.restart()
        with loaded(robot):
            until(
                lambda: all(channel["received"] for channel in robot.status()["channels"].values()),
                "messages on every channel",
                _PATIENCE_S,
            )
            time.sleep(5.0)  # the first second of a process is not its usual one
            began_s, before_s, received = time.monotonic(), robot.cpu_s(), _counts(robot, "received")
            time.sleep(_WINDOW_S)
            elapsed_s = time.monotonic() - began_s
            share, messages = (robot.cpu_s() - before_s) / elapsed_s, _counts(robot, "received") - received
            figures[f"CPU, reference load ({rate_hz}/s in)"] = f"{100 * share:.1f} % of a core"
            figures["RSS, the same"] = f"{robot.rss_bytes() / 1e6:.0f} MB"
        until(lambda: robot.status()["outbox"]["records"] == 0, "every record acknowledged", _PATIENCE_S)
        status = robot.status()
        restarts = robot.shown("NRestarts")["NRestarts"]
    robot.restart()

    assert messages >= _SHARE_MIN * rate_hz * (elapsed_s - 1.0)  # status.json is up to a second old
    assert {name: channel["held_back"] for name, channel in status["channels"].items()} == {
        stream.channel: 0 for stream in REFERENCE
    }
    assert _lost(status) == 0
    assert restarts == "0"


def _lost(status: dict[str, object]) -> int:
    channels = status["channels"]
    assert isinstance(channels, dict)
    return sum(channel["lost_in_ros"] + channel["malformed"] for channel in channels.values())
