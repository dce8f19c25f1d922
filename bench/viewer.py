"""Bench: somebody who looks at every twin, a process of its own. `python -m bench.viewer ROBOTS FILE` until SIGTERM.

In: every topic of the mirror, reliable, figures too     Out: into FILE, at the end, when each odometry of a few robots
came and when it was measured; a line once something has come on every topic and the mirror has caught up with that.

The other topics are received by the middleware and not read: what a viewer does with them is not the mirror's cost.
"""

from __future__ import annotations

import signal
import sys
import time
from array import array
from pathlib import Path
from typing import Any

from bench.ending import flag_of
from bench.fleet import PROBED, STREAMS, robot_id
from bench.load import READY
from edgetwin.clock import NS_PER_S, NS_PER_US
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class

_DEPTH = 10
_LOOK_S = 0.1
_CATCH_UP_S = 10.0
_CAUGHT_UP_US = 100_000


def main(robots: int, out: Path) -> None:
    """Look until SIGTERM."""
    ended = flag_of(signal.SIGTERM)
    others, probes = open_node("bench_viewer"), open_node("bench_probes")
    came = array("q")
    array_class = message_class("diagnostic_msgs/msg/DiagnosticArray")
    kept = [
        others.create_subscription(array_class, f"/virtual/{robot_id(number)}/quality", _nothing, _DEPTH)
        for number in range(robots)
    ]

    def note(message: Any) -> None:
        stamp = message.header.stamp
        came.extend((time.time_ns() // NS_PER_US, (stamp.sec * NS_PER_S + stamp.nanosec) // NS_PER_US))

    for number in range(robots):
        for place, stream in enumerate(STREAMS):
            probed = place == 0 and number < PROBED
            node, take = (probes, note) if probed else (others, _nothing)
            topic = f"/virtual/{robot_id(number)}/{stream.channel}"
            kept.append(node.create_subscription(message_class(stream.type_name), topic, take, _DEPTH))
    silent = kept
    while silent and not ended():
        time.sleep(_LOOK_S)
        silent = [subscription for subscription in silent if not _spoke(subscription)]
    from rclpy.executors import SingleThreadedExecutor  # noqa: PLC0415  # rclpy is there once a node is open

    executor = SingleThreadedExecutor()
    executor.add_node(probes)  # of few subscriptions: an executor's turn costs by their number
    patience_s = time.monotonic() + _CATCH_UP_S  # so many new readers at once hold it up
    while not ended() and time.monotonic() < patience_s and not (came and came[-2] - came[-1] < _CAUGHT_UP_US):
        executor.spin_once(timeout_sec=_LOOK_S)
    print(READY, flush=True)
    while not ended():
        executor.spin_once(timeout_sec=_LOOK_S)
    out.write_bytes(came.tobytes())
    others.destroy_node()
    close_node(probes)


def _spoke(subscription: Any) -> bool:
    """Whether a message has come; it is taken."""
    with subscription.handle:
        return subscription.handle.take_message(subscription.msg_type, True) is not None  # noqa: FBT003  # raw


def _nothing(_message: Any) -> None:
    """Not read."""


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
