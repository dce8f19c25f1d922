"""Sim wing: the two processes of the demo that stand for a robot: its ROS node and the daemon; and one that trains.

In: a folder, the ports of the cable and of the truth     Out: processes, and the daemon's own status.

They get an environment of their own: a ROS domain that nobody else here uses, loopback only,
and none of the user's `EDGETWIN_*` settings.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w

from edgetwin.sim import lives
from edgetwin.sim.child import Child, SimulationError
from edgetwin.sim.physics import JOINT_NAMES
from edgetwin.sim.ports import HOST, free_domain
from edgetwin.sim.route import ROOM_HALF_X_M, ROOM_HALF_Y_M
from edgetwin.status import read as read_status

ROBOT_ID = "demo_robot"
_PYTHON = (sys.executable, "-m")
_ROBOT_STOP_MAX_S = 5.0
_DAEMON_STOP_MAX_S = 8.0  # it promises 5
_LEFT, _RIGHT = JOINT_NAMES[:2]
PROGNOSIS = "left_motor"
_MODEL = "left_motor.onnx"
_FENCE = [[x * ROOM_HALF_X_M, y * ROOM_HALF_Y_M] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
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
        "anomaly": {
            "wheel_motors": {
                "channel": "joint_states",
                "field": "effort",
                "label": "name",
                "method": "twin_ratio",
                "pairs": [f"{_LEFT}/{_RIGHT}"],
                "motion": ["velocity"],
                "offset": 0.2,  # [Nm]: the motors of this robot are small
                "scale_min": 0.05,  # a robot that drives as evenly as a simulated one is soon taken for granted
                "warmup_s": 5.0,  # a demo is short
            },
        },
        "prognosis": {
            PROGNOSIS: {
                "model": str(folder / _MODEL),
                "every_s": lives.EVERY_S,
                "threshold": 0.5,
                "sources": {side: _effort(joint) for side, joint in (("left", _LEFT), ("right", _RIGHT))},
            },
        },
        "gate": {"remote_motion": True, "fence": _FENCE},  # the broker is of this machine, and so is the operator
    }


def _effort(joint: str) -> dict[str, str]:
    return {"channel": "joint_states", "field": "effort", "label": "name", "element": joint}


def environment(folder: Path, environ: Mapping[str, str], domain: int) -> dict[str, str]:
    """Return the environment of the demo's processes, made from the user's; `domain`: their ROS domain."""
    kept = {
        key: value for key, value in environ.items() if not key.startswith("EDGETWIN_") and key not in _NOT_PASSED_ON
    }
    return kept | {
        "RUNTIME_DIRECTORY": str(folder),
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(folder / "ros"),
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }


class Stage:
    """The robot and the daemon, running; leaving the context kills what is left of them."""

    def __init__(self, folder: Path, port: int, truth_port: int) -> None:
        """Start both.

        Args:
            folder: For everything that they write.
            port: Of the cable to the broker.
            truth_port: Where the robot tells its true pose.
        """
        self._folder = folder
        self._trainer: Child | None = None
        config = folder / "edgetwin.toml"
        config.write_text(tomli_w.dumps(settings(port, folder)), encoding="utf-8")
        config.chmod(0o600)  # whatever the umask: the daemon refuses settings that others may change
        self._environ = environ = environment(folder, os.environ, free_domain(os.getpid()))
        robot_argv = [*_PYTHON, "edgetwin.sim.robot", "--tell", str(truth_port)]
        self._robot = Child("the simulated robot", robot_argv, log_path=folder / "robot.log", environ=environ)
        self._cast = {self._robot}
        daemon_argv = [*_PYTHON, "edgetwin", "run", "--config", str(config)]
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

    def wear_out(self) -> None:
        """Let the motor of the robot's left wheel wear out."""
        self._robot.signal(signal.SIGUSR1)

    def train(self) -> None:
        """Begin to train a failure model beside everything else; the daemon takes it when it is there."""
        history = self._folder / "lives.csv"
        lives.write(history)
        model = str(self._folder / _MODEL)
        argv = ["nice", *_PYTHON, "edgetwin", "train", str(history), "--out", model, *lives.TRAIN]
        self._trainer = Child("the training", argv, log_path=self._folder / "train.log", environ=self._environ)

    def untrained(self) -> str:
        """Return why there will be no failure model; empty while there is one, or may be."""
        if self._trainer is None or not self._trainer.exit_code:
            return ""
        return self._trainer.last_words(1) or f"the training ended with exit code {self._trainer.exit_code}"

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
        if self._trainer is not None:
            self._trainer.kill()
