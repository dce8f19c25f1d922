"""Where a robot is, and what it may need: the same words for the simulated and the real one.

A real one is described by a TOML file (--hil-settings). Run the tests on the robot itself, or on a machine that reaches
its ROS graph by another way than the link that is cut, with the robot's ROS_DOMAIN_ID:

    drive = "--broker broker.example:8883 --ca ca.pem --robot robot_001"   # as for `edgetwin drive`
    stop_distance_max_m = 0.7         # from the cut, or the last word, to the standstill
    stop_latency_max_s = 0.2          # from the command to a zero at the base
    cut = "sudo iptables -I OUTPUT -p tcp --dport 8883 -j DROP"            # cuts the link to the broker
    restore = "sudo iptables -D OUTPUT -p tcp --dport 8883 -j DROP"        # undoes it
    odom_topic = "/odom"              # the rest may be absent; these are the defaults
    cmd_vel_topic = "/cmd_vel"
    cmd_vel_stamped = false
    linear_mps = 0.3
    angular_radps = 0.4               # in a circle: it needs less room than a straight line
    outage_s = 3.0
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgetwin.clock import SystemClock
from edgetwin.drive.options import Wish, add_arguments, wish_of
from edgetwin.motion import Twist
from edgetwin.sim.broker import BrokerKind, LocalBroker
from edgetwin.sim.physics import LINEAR_ACCEL_MAX_MPS2
from tests.integration.lab import ROBOT_ID, Daemon, channel, configuration, until

SIM_STOP_DISTANCE_MAX_M = 0.7
SIM_STOP_LATENCY_MAX_S = 2.0  # of a machine that may be busy with other things; a robot's own file says less
_COMMAND_MAX_S = 30
_SIM_GATE = f"""
[gate]
remote_motion = true
linear_decel_max_mps2 = {LINEAR_ACCEL_MAX_MPS2}
stop_distance_max_m = {SIM_STOP_DISTANCE_MAX_M}
robot_radius_m = 0.3
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of the robot, and how it is driven meanwhile."""

    stop_distance_max_m: float
    stop_latency_max_s: float
    odom_topic: str = "/odom"
    cmd_vel_topic: str = "/cmd_vel"
    cmd_vel_stamped: bool = False
    linear_mps: float = 0.3
    angular_radps: float = 0.4
    outage_s: float = 3.0

    @property
    def twist(self) -> Twist:
        """What is driven."""
        return Twist(self.linear_mps, self.angular_radps)


@dataclass(frozen=True, slots=True)
class Site:
    """A robot that can be driven, and whose link can be cut."""

    name: str
    drive: str
    limits: Limits
    cut: Callable[[], None]
    restore: Callable[[], None]
    watched: bool = False

    def wish(self) -> Wish:
        """Return who we are to the robot, as `edgetwin drive` has it."""
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return wish_of(parser.parse_args(shlex.split(self.drive)), SystemClock())

    def needs(self, what: str) -> None:
        """Say what the human has to see to; beside a real robot, wait until that is done."""
        print(f"\n{self.name}: {what}", flush=True)
        if self.watched:
            input("Enter when it is so; Ctrl-C ends: ")


@contextmanager
def simulated(folder: Path) -> Iterator[Site]:
    """A simulated robot, a daemon, a broker; the cut freezes the broker."""
    odom = channel("odom", "/odom", "nav_msgs/msg/Odometry")
    with LocalBroker(BrokerKind.MOSQUITTO) as broker:
        config = configuration(broker.port, folder, odom + _SIM_GATE)
        with subprocess.Popen([sys.executable, "-m", "edgetwin.sim.robot"]) as process:
            try:
                with Daemon(folder, config) as daemon:
                    until(lambda: daemon.status().get("gate", {}).get("state") == "IDLE", lambda: daemon.log[-2000:])
                    limits = Limits(SIM_STOP_DISTANCE_MAX_M, SIM_STOP_LATENCY_MAX_S)
                    drive = f"--broker 127.0.0.1:{broker.port} --robot {ROBOT_ID}"
                    yield Site("simulated robot", drive, limits, broker.pause, broker.resume)
            finally:
                process.terminate()


def real(path: Path) -> Site:
    """Return the robot of a settings file; `KeyError` and `TypeError` name a key that is absent or unknown."""
    given: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    drive, cut, restore = (given.pop(key) for key in ("drive", "cut", "restore"))
    if unknown := given.keys() - {field.name for field in fields(Limits)}:
        msg = f"{path}: unknown keys {sorted(unknown)}; see tests/hil/site.py"
        raise TypeError(msg)
    return Site(f"robot of {path.name}", drive, Limits(**given), _command(cut), _command(restore), watched=True)


def _command(line: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run(shlex.split(line), check=True, timeout=_COMMAND_MAX_S)

    return run
