"""Sim wing: the two processes of the demo that stand for a robot: its ROS node and the daemon.

In: a folder, the port of the cable     Out: processes, and the daemon's own status.

They get an environment of their own: a ROS domain that nobody else is likely to use, loopback only,
and none of the user's `EDGETWIN_*` settings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w

from edgetwin.sim.child import Child, SimulationError
from edgetwin.sim.ports import HOST
from edgetwin.status import read as read_status

ROBOT_ID = "demo_robot"
_ROBOT_STOP_MAX_S = 5.0
_DAEMON_STOP_MAX_S = 8.0  # it promises 5
_DOMAINS = 100  # ROS domain ids 1..100: the ports of higher ones collide with the kernel's own
_NOT_PASSED_ON = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC")


def settings(port: int, folder: Path) -> dict[str, Any]:
    """Return the daemon's settings for the demo; the cable is at `port`."""
    return {
        "robot": {"id": ROBOT_ID},
        "mqtt": {"host": HOST, "port": port},
        "store": {"path": str(folder / "outbox.db")},
        "channels": {
            "odom": {
                "topic": "/odom",
                "type": "nav_msgs/msg/Odometry",
                "class": "critical",
                "rate_hz_max": 50.0,
                "deadband": {"position_m": 0.05, "angle_rad": 0.1},
                "heartbeat_s": 1.0,
            },
            "joint_states": {
                "topic": "/joint_states",
                "type": "sensor_msgs/msg/JointState",
                "class": "critical",
                "rate_hz_max": 100.0,
            },
            "imu": {"topic": "/imu", "type": "sensor_msgs/msg/Imu", "class": "critical", "rate_hz_max": 50.0},
            "scan": {"topic": "/scan", "type": "sensor_msgs/msg/LaserScan", "class": "slow", "rate_hz_max": 1.0},
            "battery": {
                "topic": "/battery_state",
                "type": "sensor_msgs/msg/BatteryState",
                "class": "slow",
                "rate_hz_max": 1.0,
            },
        },
    }


def environment(folder: Path, environ: Mapping[str, str], pid: int) -> dict[str, str]:
    """Return the environment of the demo's processes, made from the user's."""
    kept = {
        key: value for key, value in environ.items() if not key.startswith("EDGETWIN_") and key not in _NOT_PASSED_ON
    }
    return kept | {
        "RUNTIME_DIRECTORY": str(folder),
        "ROS_DOMAIN_ID": str(1 + pid % _DOMAINS),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(folder / "ros"),
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }


class Stage:
    """The robot and the daemon, running; leaving the context kills what is left of them."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        config = folder / "edgetwin.toml"
        config.write_text(tomli_w.dumps(settings(port, folder)), encoding="utf-8")
        environ = environment(folder, os.environ, os.getpid())
        python = [sys.executable, "-m"]
        self._robot = Child(
            "the simulated robot", [*python, "edgetwin.sim.robot"], log_path=folder / "robot.log", environ=environ
        )
        self._cast = {self._robot}
        daemon_argv = [*python, "edgetwin", "run", "--config", str(config)]
        try:
            self._daemon = Child("the daemon", daemon_argv, log_path=folder / "daemon.log", environ=environ)
        except SimulationError:
            self._robot.kill()
            raise
        self._cast.add(self._daemon)

    def check(self) -> None:
        """Pass while all who should run do.

        Raises:
            SimulationError: One ended early; the text carries its last words.
        """
        for child in self._cast:
            child.check()

    def status(self) -> dict[str, Any]:
        """Return what the daemon wrote last; empty before its first word."""
        try:
            return read_status(self._folder)
        except (OSError, ValueError):
            return {}

    def daemon_words(self) -> str:
        """Return the daemon's last lines."""
        return self._daemon.last_words()

    async def stop_robot(self) -> None:
        """End the robot: from here on nothing new is measured."""
        self._cast.discard(self._robot)
        await self._robot.stop_soon(_ROBOT_STOP_MAX_S)

    async def stop_daemon(self) -> None:
        """End the daemon.

        Raises:
            SimulationError: Its exit code is not 0, or it had to be killed.
        """
        self._cast.discard(self._daemon)
        code = await self._daemon.stop_soon(_DAEMON_STOP_MAX_S)
        if code != 0:
            msg = f"the daemon was asked to stop and ended with exit code {code}; it said:\n{self._daemon.last_words()}"
            raise SimulationError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._robot.kill()
        self._daemon.kill()
