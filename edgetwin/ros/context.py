"""ROS room: get rclpy into this process safely, and one lean node.

In: a node name, the environment     Out: a node without executor, parameters, rosout or signal handlers.

Some mistakes in the environment make rclpy end the process instead of raising; they are looked
for before it is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from edgetwin.errors import RosUnavailableError

_DOMAIN_ID_MAX = 232
_GENERATOR = "rosidl_generator_py.generate_py_impl"
_INSTALL = (
    "on x86-64 install it with: pip install 'edgetwin[ros]'; "
    "on a robot use its own ROS: source /opt/ros/<distro>/setup.sh and a venv made with --system-site-packages"
)


def preflight(environ: Mapping[str, str]) -> None:
    """Refuse environments in which rclpy would end or break the process.

    Raises:
        RosUnavailableError: What is wrong and what to do, one line.
    """
    domain = environ.get("ROS_DOMAIN_ID") or "0"
    if not domain.isdecimal() or int(domain) > _DOMAIN_ID_MAX:
        msg = f"ROS_DOMAIN_ID is {domain!r}; set a whole number from 0 to {_DOMAIN_ID_MAX}"
        raise RosUnavailableError(msg)
    bootstrapped = bool(environ.get("_ROS_WHEELS_BOOTSTRAP_COMPLETE"))
    libraries = environ.get("LD_LIBRARY_PATH", "")
    if bootstrapped and not libraries:
        msg = "LD_LIBRARY_PATH was lost on the way here (sudo?); unset _ROS_WHEELS_BOOTSTRAP_COMPLETE too"
        raise RosUnavailableError(msg)
    if bootstrapped and "/opt/ros/" in libraries:
        msg = "ROS from PyPI and ROS under /opt/ros are both loaded; use one: do not source setup.sh for this venv"
        raise RosUnavailableError(msg)
    rmw = environ.get("RMW_IMPLEMENTATION", "")
    if bootstrapped and rmw not in {"", "rmw_fastrtps_cpp"}:
        msg = f"RMW_IMPLEMENTATION is {rmw!r}, which is not among the PyPI wheels; unset it or use rmw_fastrtps_cpp"
        raise RosUnavailableError(msg)


def import_rclpy() -> Any:
    """Return the rclpy module.

    Raises:
        RosUnavailableError: It is not here; the text names both cures.
    """
    preflight(os.environ)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy comes with the messages; one thread is enough
    try:
        _import_type_support()
        import rclpy  # noqa: PLC0415  # slow, and may be absent
        import rclpy.node  # noqa: PLC0415
        import rclpy.parameter  # noqa: PLC0415
        import rclpy.qos  # noqa: PLC0415
        import rclpy.signals  # noqa: PLC0415
    except ImportError as error:
        msg = f"rclpy cannot be imported ({error}); {_INSTALL}"
        raise RosUnavailableError(msg) from error
    return rclpy


def _import_type_support() -> None:
    """Import what loads the messages' C side, without the generator of message classes that its package brings along.

    The generator is a template engine and a grammar: CPU at start and memory for nothing, and plenty of both where
    no bytecode may be written. The package says itself that it can do without (it catches the ImportError); whoever
    wants it later still gets it.
    """
    if "rosidl_generator_py" in sys.modules or _GENERATOR in sys.modules:
        return
    sys.modules[_GENERATOR] = None  # type: ignore[assignment]  # the documented way to have an import fail
    try:
        import rosidl_generator_py  # noqa: PLC0415, F401
    finally:
        del sys.modules[_GENERATOR]


def open_node(name: str) -> Any:
    """Start ROS in this process if need be, and return a lean `rclpy.node.Node`.

    Lean: no parameter services, no rosout, no type description service, no signal handlers and no
    log file. Nothing spins it; publishing works at once, subscriptions are taken by ros.graph.

    Raises:
        RosUnavailableError: rclpy is missing, or its start failed.
    """
    rclpy = import_rclpy()
    try:
        if not rclpy.ok():
            rclpy.init(
                args=["--ros-args", "--disable-external-lib-logs"],
                signal_handler_options=rclpy.signals.SignalHandlerOptions.NO,
            )
        return rclpy.node.Node(
            name,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[rclpy.parameter.Parameter("start_type_description_service", value=False)],
        )
    except Exception as error:  # rclpy raises many kinds here, none of them ours
        msg = f"ROS does not start: {error}; check ROS_DOMAIN_ID, RMW_IMPLEMENTATION and the network interfaces"
        raise RosUnavailableError(msg) from error


def close_node(node: Any) -> None:
    """Destroy the node and end ROS in this process."""
    import rclpy  # noqa: PLC0415  # it is there: a node is

    node.destroy_node()
    rclpy.try_shutdown()
