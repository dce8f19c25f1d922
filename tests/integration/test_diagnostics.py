"""/diagnostics, `edgetwin status` and Prometheus of a daemon that runs: the same figures, by three ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64

from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.ports import HeldPort, answers
from tests.integration.lab import ROBOT_ID, Daemon, Robot, channel, configuration, matched, until

VALUE = channel("value", "/diagnosed/value", "std_msgs/msg/Float64", channel_class="event")


class Ear:
    """Hears /diagnostics."""

    def __init__(self, robot: Robot) -> None:
        self._node = robot.node
        self.heard: list[Any] = []
        self._subscription = robot.node.create_subscription(DiagnosticArray, "/diagnostics", self.heard.append, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(robot.node)

    def newest(self, name: str) -> Any:
        """The newest status of this name, or None."""
        self._executor.spin_once(timeout_sec=0.02)
        statuses = [status for status in (self.heard[-1].status if self.heard else ()) if status.name == name]
        return statuses[0] if statuses else None

    def close(self) -> None:
        """Hear no more."""
        self._executor.remove_node(self._node)
        self._executor.shutdown()
        self._node.destroy_subscription(self._subscription)


def test_ros_tools_see_how_it_goes(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Link and channel change their level with the world; every array is stamped and names the robot."""
    ear = Ear(robot)
    with Daemon(tmp_path, configuration(broker.port, tmp_path, VALUE)):
        silent = until(lambda: ear.newest("edgetwin: channel value"), "a status of the channel")
        up = until(lambda: (one := ear.newest("edgetwin: link")) and one.level == b"\x00" and one, "the link up")
        publisher = robot.publisher(Float64, "/diagnosed/value")
        matched(publisher)
        publisher.publish(Float64(data=1.0))
        heard = until(
            lambda: (one := ear.newest("edgetwin: channel value")) and one.level == b"\x00" and one, "messages"
        )
        broker.kill()
        down = until(lambda: (one := ear.newest("edgetwin: link")) and one.level == b"\x01" and one, "the link down")
    ear.close()
    robot.node.destroy_publisher(publisher)

    assert (silent.level, silent.message) == (b"\x01", "no publisher on /diagnosed/value")
    assert up.message == "connected to the broker"
    assert heard.level == b"\x00"
    assert down.message
    assert {status.hardware_id for array in ear.heard for status in array.status} == {ROBOT_ID}
    assert all(array.header.stamp.sec > 0 for array in ear.heard)


def test_prometheus_and_status_say_the_same_and_the_port_closes_with_the_daemon(
    broker: LocalBroker, tmp_path: Path
) -> None:
    """Off unless a port is given; then on loopback, until the end."""
    with HeldPort() as held:
        port = held.number
    config = configuration(broker.port, tmp_path, VALUE) + f"[status]\nprometheus_port = {port}\ndiagnostics = false\n"
    with Daemon(tmp_path, config) as daemon:
        until(lambda: daemon.status()["link"]["state"] == "up", "the link")
        until(lambda: answers(port), "the endpoint")

        def metrics() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
            return text

        until(lambda: "edgetwin_link_up 1.0" in metrics(), "the link in the metrics")
        until(lambda: daemon.status()["outbox"]["used_bytes"] > 0, "the size of the outbox")
        command = [sys.executable, "-m", "edgetwin", "status"]
        environ = os.environ | {"RUNTIME_DIRECTORY": str(tmp_path / "run")}
        page = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        raw = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=True).stdout

    assert page.startswith(f"{ROBOT_ID} running")
    assert "link   up" in page
    assert {"link", "outbox", "gate", "clock", "audit", "channels", "prognosis"} <= json.loads(raw).keys()
    assert not answers(port)


def test_a_taken_port_is_no_reason_not_to_run(broker: LocalBroker, tmp_path: Path) -> None:
    """It is said once, with the cure."""
    config = configuration(broker.port, tmp_path, VALUE) + f"[status]\nprometheus_port = {broker.port}\n"
    with Daemon(tmp_path, config) as daemon:
        until(lambda: "Prometheus is not answered" in daemon.log, "a word about the port")

        assert "prometheus_port" in daemon.log
