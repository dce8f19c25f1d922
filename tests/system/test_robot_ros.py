"""The service on a robot's own ROS under /opt/ros, chosen by a setting; and a refusal of one that does not fit.

The stand-in is a copy of the package's ROS and numpy, laid out as a distribution is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.robot import UNIT, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

_SITE = "lib/python3.11/site-packages"
_LAY_OUT = f"""
set -e
cd /usr/lib/edgetwin
mkdir -p /opt/ros/standin/{_SITE}
cp -a share /opt/ros/standin/
cp -a lib/*.so* /opt/ros/standin/lib/
cp -a $(ls -d {_SITE}/ros_*) /opt/ros/standin/{_SITE}/
cut -d, -f1 {_SITE}/ros_*.dist-info/RECORD | grep / | grep -v '^\\.\\.' | cut -d/ -f1 | sort -u | while read name; do
    [ ! -d {_SITE}/$name ] || cp -a {_SITE}/$name /opt/ros/standin/{_SITE}/
done
cp -a {_SITE}/numpy {_SITE}/numpy.libs {_SITE}/numpy-*.dist-info /opt/ros/standin/{_SITE}/
cat >/opt/ros/standin/setup.bash <<'SETUP'
export ROS_DISTRO=standin AMENT_PREFIX_PATH=/opt/ros/standin PYTHONPATH=/opt/ros/standin/{_SITE}
LD_LIBRARY_PATH=/opt/ros/standin/lib
for libs in $PYTHONPATH/ros_*.libs; do LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$libs; done
export LD_LIBRARY_PATH
SETUP
"""


def _mapped(robot: Robot) -> set[str]:
    """Files of ROS and numpy that the daemon has mapped."""
    maps = Path(f"/proc/{robot.machine.process_here(robot.pid)}/maps").read_text(encoding="utf-8")
    files = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.count(" ") > 4 and "/" in line}
    return {file for file in files if "rcl" in file or "numpy" in file or "fastdds" in file}


def test_the_service_runs_on_the_ros_that_the_setting_names(robot: Robot) -> None:
    """Every library of ROS, and numpy, is the robot's; telemetry flows as before, inside the same sandbox."""
    robot.run("bash", "-c", _LAY_OUT)
    with robot.file("/etc/default/edgetwin", "ROS_SETUP=/opt/ros/standin\n"):
        robot.restart()
        mapped = _mapped(robot)
        with robot.simulated():
            told = robot.run(
                "mosquitto_sub", "-h", "127.0.0.1", "-t", "robot/+/telemetry/odom", "-F", "%t", "-C", "5", "-W", "30"
            )
        checked = robot.run("edgetwin", "check", "--json")

    assert mapped
    assert {file for file in mapped if not file.startswith("/opt/ros/standin/")} == set()
    assert told.split() == ["robot/robot_001/telemetry/odom"] * 5
    assert '"node_name":"edgetwin"' in checked  # the command reads the same setting


def test_a_ros_for_another_python_is_refused_in_the_journal(robot: Robot) -> None:
    """Exit 2, one line, and the service does not try again and again."""
    robot.run("bash", "-c", "mkdir -p /opt/ros/old/lib/python3.10/site-packages/rclpy")
    script = "export PYTHONPATH=/opt/ros/old/lib/python3.11/site-packages\n"
    with (
        robot.file("/opt/ros/old/setup.bash", script),
        robot.file("/etc/default/edgetwin", "ROS_SETUP=/opt/ros/old\n"),
    ):
        robot.run("systemctl", "restart", UNIT, check=False)
        until(lambda: robot.shown("ActiveState")["ActiveState"] == "failed", "a refusal")
        said = robot.said().splitlines()
    robot.restart()

    assert any("this ROS 2 is made for Python 3.10" in line for line in said)
    assert robot.shown("NRestarts")["NRestarts"] == "0"
