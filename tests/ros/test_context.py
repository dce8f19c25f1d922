"""Environments in which rclpy would end the process: refused before it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgetwin.errors import RosUnavailableError
from edgetwin.ros.context import preflight

_WHEELS = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/venv/lib"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"ROS_DOMAIN_ID": ""},
        {"ROS_DOMAIN_ID": "0"},
        {"ROS_DOMAIN_ID": "232"},
        {"LD_LIBRARY_PATH": "/opt/ros/jazzy/lib"},
        {"LD_LIBRARY_PATH": "/opt/ros/jazzy/lib", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        _WHEELS,
        _WHEELS | {"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"},
        _WHEELS | {"RMW_IMPLEMENTATION": ""},
    ],
)
def test_a_sound_environment_passes(environ: dict[str, str]) -> None:
    """ROS of a robot with any middleware, or that of the wheels."""
    preflight(environ)


@pytest.mark.parametrize("domain", ["-1", "233", "99999999999999999999", "one", "1.5", "0x10", " ", "5 "])
def test_a_domain_that_is_none_is_refused_with_the_range(domain: str) -> None:
    """The value as it stands, and what to set."""
    with pytest.raises(RosUnavailableError, match=r"ROS_DOMAIN_ID is .* whole number from 0 to 232") as refused:
        preflight({"ROS_DOMAIN_ID": domain})

    assert repr(domain) in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}, "LD_LIBRARY_PATH was lost"),
        (_WHEELS | {"LD_LIBRARY_PATH": "/venv/lib:/opt/ros/jazzy/lib"}, "both loaded"),
        (_WHEELS | {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, "not among the PyPI wheels"),
    ],
)
def test_an_environment_that_mixes_two_worlds_is_refused_in_one_line(environ: dict[str, str], words: str) -> None:
    """What is wrong, and what to do."""
    with pytest.raises(RosUnavailableError, match=words) as refused:
        preflight(environ)

    assert "\n" not in str(refused.value)
    assert any(cure in str(refused.value) for cure in ("unset", "use one"))


_TALKS = """
import sys
from edgetwin.ros.context import close_node, open_node
node = open_node("lean")
from nav_msgs.msg import Odometry
publisher = node.create_publisher(Odometry, "/lean", 1)
publisher.publish(Odometry())
assert "em" not in sys.modules and "rosidl_parser.parser" not in sys.modules, "the generator came along"
from rosidl_generator_py.generate_py_impl import generate_py
assert callable(generate_py)
close_node(node)
print("whole")
"""


def test_the_generator_of_message_classes_stays_out_and_can_still_be_had() -> None:
    """A node that publishes needs no template engine; who imports the generator afterwards finds it."""
    done = subprocess.run([sys.executable, "-c", _TALKS], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "whole\n", done.stderr
