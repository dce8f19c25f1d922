"""What is seen of a robot from outside: where it is, what its wheels are told, which records arrive."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.continuity import Continuity, Stream
from edgetwin.drive.client import DriveClient, connect
from edgetwin.motion import ZERO, Reason
from edgetwin.ros.context import close_node, open_node
from tests.hil.site import Limits, Site

STILL_MPS = 0.01
STILL_RADPS = 0.02
_NEARLY = 0.9
_MOVE_EVERY_S = 0.05
_PATIENCE_S = 20.0
_RESET_EVERY_S = 1.2  # it must have been seen standing, and nobody asking, for a second
_RESETS_MAX = 8


class Track:
    """The odometry and the commands at the base, as this process hears them."""

    def __init__(self, limits: Limits) -> None:
        self.poses: list[tuple[float, float, float, float]] = []  # x, y [m], speed [m/s], turn [rad/s]
        self.twists: list[tuple[float, bool]] = []  # when [s], whether it is zero
        self._limits = limits
        self._node = open_node(f"hil_{os.getpid()}")
        self._twist = TwistStamped if limits.cmd_vel_stamped else Twist
        self._odom = self._node.create_subscription(Odometry, limits.odom_topic, lambda _: None, 1000)
        self._cmd = self._node.create_subscription(self._twist, limits.cmd_vel_topic, lambda _: None, 1000)

    def look(self) -> None:
        """Take what has come."""
        while (taken := self._odom.handle.take_message(Odometry, False)) is not None:  # noqa: FBT003
            where, speed = taken[0].pose.pose.position, taken[0].twist.twist
            self.poses.append((where.x, where.y, speed.linear.x, speed.angular.z))
        while (taken := self._cmd.handle.take_message(self._twist, False)) is not None:  # noqa: FBT003
            twist = taken[0].twist if self._limits.cmd_vel_stamped else taken[0]
            self.twists.append((time.monotonic(), twist.linear.x == 0.0 == twist.angular.z))

    def stands(self) -> bool:
        """Whether the newest pose neither moves nor turns."""
        self.look()
        return bool(self.poses) and _still(self.poses[-1])

    def fast(self) -> bool:
        """Whether it has nearly the speed that it is driven with."""
        self.look()
        return bool(self.poses) and self.poses[-1][2] >= _NEARLY * self._limits.linear_mps

    def stood_since(self, since: int) -> bool:
        """Whether it has stood at any time from pose number `since`."""
        self.look()
        return any(_still(pose) for pose in self.poses[since:])

    def way_to_standstill_m(self, since: int) -> float:
        """Return how long the way was from pose number `since` to the first one at which the robot stood."""
        self.look()
        line = self.poses[since:]
        stood = next(index for index, pose in enumerate(line) if _still(pose))
        return sum(math.dist(before[:2], after[:2]) for before, after in pairwise(line[: stood + 1]))

    def close(self) -> None:
        """Leave the graph."""
        close_node(self._node)


def _still(pose: tuple[float, float, float, float]) -> bool:
    return abs(pose[2]) < STILL_MPS and abs(pose[3]) < STILL_RADPS


class Receiver:
    """Subscribes to all that one robot says, and counts; it comes back by itself after an outage."""

    def __init__(self, site: Site) -> None:
        self.continuity = Continuity()
        self.arrived = 0
        self._first: dict[Stream, int] = {}
        self._subscribed = threading.Event()
        address = site.wish().address
        self._root = address.topics.root
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"hil-receiver-{os.getpid()}", protocol=paho.MQTTv5
        )
        if address.tls is not None:
            client.tls_set_context(address.tls)
        client.username_pw_set(address.username, address.password)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._on_message
        client.connect(address.host, address.port, keepalive=60)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._subscribed.wait(10), "the receiver cannot subscribe"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def unexplained(self) -> int:
        """Return how many numbers are missing above the first one of each stream that came while we listened."""
        return sum(
            max(0, last - max(first, self._first.get(stream, 0)) + 1)
            for stream, tally in list(self.continuity.streams.items())
            for first, last in tally.lost
        )

    def explained(self) -> dict[str, int]:
        """Return what the robot says that it gave up, by cause."""
        return {
            cause: count
            for tally in list(self.continuity.streams.values())
            for cause, count in tally.explained.items()
            if count
        }

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(
            [(f"{self._root}/{kind}/+", SubscribeOptions(qos=1)) for kind in ("telemetry", "backlog", "events")]
        )

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        properties = tuple(getattr(message.properties, "UserProperty", ()))
        kind = message.topic.removeprefix(f"{self._root}/").split("/")[0]
        for record in wire.decode(message.payload, properties):
            stream = (record["robot_id"], record["boot"], record["channel"])
            self._first.setdefault(stream, int(record["seq"]))
            self.continuity.note(record, lane=kind)
            self.arrived += 1


@asynccontextmanager
async def driven(site: Site, track: Track) -> AsyncIterator[DriveClient]:
    """Take the lease, and bring the robot to a standstill: what it does by itself is not ours."""
    wish = site.wish()
    async with connect(wish.address, wish.requests, SystemClock()) as client:
        granted = await client.acquire()
        assert granted is None or granted.good, granted
        async with asyncio.timeout(_PATIENCE_S):
            await client.follow(lambda: None if track.stands() else ZERO)
        yield client


async def up_to_speed(client: DriveClient, track: Track, limits: Limits) -> None:
    """Drive until the robot has its speed; the last word was a move."""
    async with asyncio.timeout(_PATIENCE_S):
        while not track.fast():
            client.check()
            await client.move(limits.twist)
            await asyncio.sleep(_MOVE_EVERY_S)


async def released(client: DriveClient) -> bool:
    """Reset, as often as the robot has not stood for long enough; return whether it was done."""
    for _ in range(_RESETS_MAX):
        await asyncio.sleep(_RESET_EVERY_S)
        if (await client.reset()).code == Reason.RESET_OK:
            return True
    return False
