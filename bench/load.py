"""Bench: the robot, a process of its own. `python -m bench.load LOAD FOLDER` publishes until SIGTERM.

In: the name of a load     Out: ROS messages on an absolute schedule; FOLDER says when each left.

A message's stamp is the time it was due, which identifies it; the time it was published is what latencies
count from, so that a late generator is nobody's latency.
"""

from __future__ import annotations

import heapq
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

from bench.ending import flag_of
from bench.sent import SentLog
from bench.streams import LOADS, Stream, serialised, set_stamp
from edgetwin.clock import NS_PER_US
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class

READY = "publishing"
_DEPTH = 1000
_LINGER_S = 0.5  # the last messages are on their way: a writer that goes takes them with it


class Source(Protocol):
    """Something that sends one stream."""

    stream: Stream

    def publish(self, stamp_us: int) -> None:
        """Send the next message, with this stamp."""
        ...


class RosSource:
    """One ROS publisher and the log of what it sent."""

    def __init__(self, node: Any, stream: Stream, sent: SentLog) -> None:
        self.stream = stream
        self._sent = sent
        self._variants = cycle(serialised(stream.type_name))
        self._publisher = node.create_publisher(message_class(stream.type_name), stream.topic, _DEPTH)

    def publish(self, stamp_us: int) -> None:
        """Send the next message, with this stamp."""
        message = next(self._variants)
        set_stamp(message, stamp_us)
        self._sent.note(stamp_us, time.time_ns() // NS_PER_US)
        self._publisher.publish(bytes(message))


def main(load: str, folder: Path) -> None:
    """Publish until SIGTERM."""
    ended = flag_of(signal.SIGTERM)
    node = open_node("bench_robot")
    sources = [RosSource(node, stream, SentLog(folder, stream.channel)) for stream in LOADS[load]]
    print(READY, flush=True)
    publish_on_schedule(sources, ended)
    time.sleep(_LINGER_S)
    close_node(node)


def publish_on_schedule(sources: Sequence[Source], ended: Callable[[], bool]) -> None:
    """Publish each source at its own rate until it has ended; a message's stamp is the time it was due."""
    start_us = time.time_ns() // NS_PER_US
    start_s = time.monotonic() - start_us / 1e6  # wall time, but steady
    # Each source starts at its own phase, as unsynchronised drivers do.
    due = [(start_us + 1000 * number + 137, number) for number in range(len(sources))]
    heapq.heapify(due)
    while not ended():
        due_us, number = due[0]
        wait_s = due_us / 1e6 + start_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        source = sources[number]
        source.publish(due_us)
        heapq.heapreplace(due, (due_us + source.stream.period_us, number))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
