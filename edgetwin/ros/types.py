"""ROS room: the name of a message type, as text, into its class.

In: "nav_msgs/msg/Odometry"     Out: the class, or an error that names the package to install.
"""

from __future__ import annotations

import difflib
import importlib
import re
from typing import Any

from edgetwin.errors import RosTypeError

_NAME = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")


def message_class(type_name: str) -> Any:
    """Return the message class of `package/msg/Name`.

    Raises:
        RosTypeError: Malformed name, package not installed, or no such message in it.
    """
    match = _NAME.fullmatch(type_name)
    if match is None:
        cure = "write it as package/msg/Name, for example nav_msgs/msg/Odometry"
        raise RosTypeError(type_name, "is not the name of a message type", cure)
    package, name = match.groups()
    try:
        module = importlib.import_module(f"{package}.msg")
    except ModuleNotFoundError as error:
        dashed = package.replace("_", "-")
        cure = (
            f"install the package: apt install ros-$ROS_DISTRO-{dashed} on a robot, pip install ros-{dashed} on x86-64"
        )
        raise RosTypeError(type_name, f"the package {package} is not installed", cure) from error
    except ImportError as error:  # it is there, and does not load: another ROS, a missing library
        cure = "use message packages of the same ROS as rclpy, and source its setup file"
        raise RosTypeError(type_name, f"the package {package} does not load ({error})", cure) from error
    found = getattr(module, name, None)
    if not hasattr(found, "_TYPE_SUPPORT"):
        near = difflib.get_close_matches(name, dir(module), n=1)
        cure = f"write {package}/msg/{near[0]} if that was meant" if near else "correct the name"
        raise RosTypeError(type_name, f"the package {package} has no message {name}", cure)
    return found
