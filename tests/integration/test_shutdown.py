"""The end, at any moment and in any weather: exit 0 within 5 s, no traceback, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from std_msgs.msg import Float64

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, paced, until

SECTION = channel("value", "/end/value", "std_msgs/msg/Float64", ["rate_hz_max = 1000"])
TIMES = int(os.environ.get("TEST_STOPS", "12"))


@pytest.mark.parametrize("seed", range(TIMES))
def test_a_signal_at_any_moment_of_the_start_ends_it_in_order(broker: LocalBroker, tmp_path: Path, seed: int) -> None:
    """SIGTERM or SIGINT from the first imports to the first heartbeat."""
    chance = random.Random(seed)
    daemon = Daemon(tmp_path, configuration(broker.port, tmp_path, SECTION)).start()
    # Python itself takes its first moments before any program can own a signal.
    until(lambda: _owns_sigterm(daemon), "a handler of its own")
    time.sleep(chance.uniform(0.0, 1.5))
    try:
        assert daemon.stop(chance.choice((signal.SIGTERM, signal.SIGINT))) == 0, daemon.log
        assert "Traceback" not in daemon.log
    finally:
        daemon.kill()


def _owns_sigterm(daemon: Daemon) -> bool:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


def test_it_ends_in_order_without_a_broker(tmp_path: Path) -> None:
    """Nobody listens on the port."""
    daemon = Daemon(tmp_path, configuration(1, tmp_path, SECTION))
    with daemon:
        until(lambda: "No link to the broker" in daemon.log, "a line about the link")
        time.sleep(1.0)
    assert daemon.log.count("No link") == 1


def test_it_ends_in_order_with_a_frozen_broker(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """PUBACKs and the DISCONNECT go nowhere; what was in flight is on disk, and follows at the next start."""
    publisher = robot.publisher(Float64, "/end/value", 500)
    daemon = Daemon(tmp_path, configuration(broker.port, tmp_path, SECTION))
    with Witness(broker.port) as witness:
        with daemon:
            matched(publisher)
            publisher.publish(Float64(data=-1.0))
            until(lambda: witness.in_order("value"), "a first record")
            broker.pause()
            for index in paced(200, 100):
                publisher.publish(Float64(data=float(index)))
            time.sleep(0.05)
        broker.resume()
        with daemon:
            until(lambda: len(witness.in_order("value")) == 101, "every record of the first run")
    robot.node.destroy_publisher(publisher)


def test_what_is_in_memory_at_the_end_is_delivered(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Samples taken a moment before SIGTERM arrive."""
    publisher = robot.publisher(Float64, "/end/value", 500)
    with Witness(broker.port) as witness:
        with Daemon(tmp_path, configuration(broker.port, tmp_path, SECTION, mqtt="coalesce_s = 5.0")):
            matched(publisher)
            for index in paced(200, 50):
                publisher.publish(Float64(data=float(index)))
            time.sleep(0.1)
        until(lambda: len(witness.in_order("value")) == 50, "50 records")
    robot.node.destroy_publisher(publisher)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ROS_DOMAIN_ID": "300"}, "ROS_DOMAIN_ID is '300'; set a whole number from 0 to 232"),
        ({"RMW_IMPLEMENTATION": "rmw_nonsense"}, "RMW_IMPLEMENTATION is 'rmw_nonsense'"),
    ],
)
def test_an_environment_that_would_kill_rclpy_is_one_line(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    """Rclpy would end the process without a word that helps."""
    daemon = Daemon(tmp_path, configuration(1, tmp_path, SECTION), variables).start()
    try:
        assert daemon.process is not None
        assert daemon.process.wait(timeout=10) == 1
        assert words in daemon.log
        assert len(daemon.log.splitlines()) == 1
    finally:
        daemon.kill()
