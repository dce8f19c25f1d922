#!/usr/lib/edgetwin/bin/python -IS
"""Start of the installed edgetwin: settle which ROS 2 it is, then run the command (edgetwin.robot_ros).

-I: neither the caller's folder nor its PYTHONPATH gets into a process that may run as root. -S: the ROS inside the
package begins the process anew as soon as site-packages is read, which must not happen where it is not wanted.
"""

import os
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
sys.path.append(str(SITE))

from edgetwin import robot_ros  # noqa: E402  # found through the line above
from edgetwin.errors import RefusedError  # noqa: E402


def main() -> None:
    """Begin anew with the right environment; or, if that has happened, run the command and exit with its code."""
    environ = {**robot_ros.defaults(robot_ros.DEFAULTS_FILE), **os.environ}
    if robot_ros.SOURCED in environ:
        sys.exit(_on_the_robots_ros(environ))
    script = robot_ros.choose(environ, robot_ros.ROS_ROOT, SITE)
    if script is None:
        command = [sys.executable, "-I", "-m", "edgetwin", *sys.argv[1:]]
        os.execve(sys.executable, command, robot_ros.without_ros(environ))  # noqa: S606
    command = [sys.executable, "-IS", __file__, *sys.argv[1:]]
    os.execve(sys.executable, command, robot_ros.sourced(script, environ))  # noqa: S606


def _on_the_robots_ros(environ: dict[str, str]) -> int:
    sourced = [Path(entry) for entry in environ.get("PYTHONPATH", "").split(":") if entry]
    robot = robot_ros.RobotPython((*sourced, robot_ros.SYSTEM_PACKAGES), SITE)
    robot.check()
    robot.join()
    from edgetwin.cli import main as command  # noqa: PLC0415  # numpy and ROS are settled now

    return command()


if __name__ == "__main__":
    try:
        main()
    except RefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        sys.exit(2)
