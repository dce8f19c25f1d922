"""The load of a proof: three channels, about 500 messages a second, each with a number in it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from geometry_msgs.msg import PointStamped

from tests.integration.lab import Robot, channel, configuration


@dataclass(frozen=True, slots=True)
class Source:
    """One channel of the load."""

    name: str
    rate_hz: int
    channel_class: str


SOURCES = (Source("pose", 300, "critical"), Source("temperature", 100, "slow"), Source("bumper", 100, "event"))
RATE_HZ = {source.name: source.rate_hz for source in SOURCES}
_TYPE = "geometry_msgs/msg/PointStamped"
_TURN_S = 0.01


def settings(port: int, folder: Path, topic_prefix: str, *, store: str = "") -> str:
    """Return a settings file for the load."""
    sections = "\n".join(
        channel(source.name, f"{topic_prefix}/{source.name}", _TYPE, ["rate_hz_max = 1000"], source.channel_class)
        for source in SOURCES
    )
    return configuration(port, folder, sections, store=store)


class Load(threading.Thread):
    """Publishes until stopped. No header stamp: reception time counts."""

    def __init__(self, robot: Robot, topic_prefix: str) -> None:
        super().__init__(daemon=True)
        self._publishers: dict[str, Any] = {
            source.name: robot.publisher(PointStamped, f"{topic_prefix}/{source.name}", 1000) for source in SOURCES
        }
        self._stopped = threading.Event()

    def run(self) -> None:
        """Publish on an absolute schedule."""
        start = time.monotonic()
        sent = dict.fromkeys(self._publishers, 0)
        message = PointStamped()
        while not self._stopped.wait(_TURN_S):
            elapsed_s = time.monotonic() - start
            for name, publisher in self._publishers.items():
                while sent[name] < elapsed_s * RATE_HZ[name]:
                    message.point.x = float(sent[name])
                    publisher.publish(message)
                    sent[name] += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()
