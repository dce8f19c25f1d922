"""What the mirror's tests are made of: `edgetwin mirror`, ROS in another domain, and robots that only speak MQTT.

A StandIn says what a daemon would (birth, announcement, records, answers to pings), through edgetwin.wire, by a clock
that the test sets.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
import rclpy
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from rclpy.context import Context
from rclpy.qos import QoSProfile

from edgetwin import wire
from edgetwin.announcement import Announced, Announcement, encode
from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.records import ChannelClass, Encoding, LinkState
from tests.integration.lab import until

DOMAIN = (os.getpid() + 50) % 100 + 1  # the robots are in pid % 100 + 1
ODOM = Announced("/odom", "nav_msgs/msg/Odometry", ChannelClass.CRITICAL, 50.0, 1.0)


class MirrorProcess:
    """`edgetwin mirror --json` as a child process, in a ROS domain of its own."""

    def __init__(
        self, port: int, *options: str, host: str = "127.0.0.1", namespace: str = "", as_json: bool = True
    ) -> None:
        self.reports: list[dict[str, Any]] = []
        self.remarks: list[str] = []
        there = ["ip", "netns", "exec", namespace] if namespace else []
        self._command = [*there, sys.executable, "-m", "edgetwin", "mirror", "--broker", f"{host}:{port}", *options]
        self._command += ["--json"] if as_json else []

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True,
            env=os.environ | {"ROS_DOMAIN_ID": str(DOMAIN)},
        )  # fmt: skip
        self._readers = [threading.Thread(target=self._read_reports), threading.Thread(target=self._read_remarks)]
        for reader in self._readers:
            reader.start()
        until(lambda: self.said("connected"), lambda: f"the mirror connected: {self.remarks} {self.process.poll()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=10)
        finally:
            self.process.kill()
            for reader in self._readers:
                reader.join()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
        if kind is None:
            assert code == 0, self.remarks

    def _read_reports(self) -> None:
        for line in self.process.stdout or ():
            self.reports.append(json.loads(line))

    def _read_remarks(self) -> None:
        for line in self.process.stderr or ():
            self.remarks.append(line.rstrip())

    def said(self, words: str) -> list[str]:
        """Remarks with these words."""
        return [line for line in list(self.remarks) if words in line]

    def robot(self, robot_id: str) -> dict[str, Any]:
        """The newest figures of a robot, or nothing."""
        robots = self.reports[-1]["robots"] if self.reports else []
        return next((robot for robot in robots if robot["robot_id"] == robot_id), {})

    def channel(self, robot_id: str, name: str) -> dict[str, Any]:
        """The newest figures of a channel, or nothing."""
        channels = self.robot(robot_id).get("channels", [])
        return next((channel for channel in channels if channel["channel"] == name), {})

    def cpu_s(self) -> float:
        """CPU time so far [s]."""
        fields = open(f"/proc/{self.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()  # noqa: SIM115, PTH123
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Resident memory [MB]."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:  # noqa: PTH123
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


class OtherDomain:
    """Subscriptions in the mirror's ROS domain."""

    def __enter__(self) -> Self:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=DOMAIN)
        self._node = rclpy.create_node(f"viewer_{os.getpid()}", context=self._context, use_global_arguments=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def listen(self, cls: Any, topic: str, *, raw: bool = False, depth: int = 5000) -> Heard:
        """Hear a topic from now on."""
        qos = QoSProfile(depth=depth)
        return Heard(self._node.create_subscription(cls, topic, lambda _: None, qos, raw=raw), cls, raw=raw)

    def topics(self) -> set[str]:
        """Names of topics that have publishers."""
        names = {name for name, _ in self._node.get_topic_names_and_types()}
        return {name for name in names if self._node.count_publishers(name)}


class Heard:
    """What came on one topic."""

    def __init__(self, subscription: Any, cls: Any, *, raw: bool) -> None:
        self._subscription = subscription
        self._cls = cls
        self._raw = raw
        self._messages: list[Any] = []
        self.at_ns: list[int] = []

    @property
    def matched(self) -> bool:
        """Whether a publisher is known."""
        return bool(self._subscription.get_publisher_count())

    @property
    def messages(self) -> list[Any]:
        """All so far."""
        with self._subscription.handle:
            while (taken := self._subscription.handle.take_message(self._cls, self._raw)) is not None:
                self._messages.append(taken[0])
                self.at_ns.append(time.monotonic_ns())
        return self._messages


class StandIn:
    """A robot of MQTT alone.

    Attributes:
        ahead_us: Its wall clock minus ours [us]; a test may change it at any time.
    """

    def __init__(
        self, port: int, robot_id: str, channels: Mapping[str, Announced] | None = None, *, boot: str = "boot1",
        ahead_us: int = 0, drift: Callable[[float], float] = lambda _s: 0.0,
    ) -> None:  # fmt: skip
        self.ahead_us = ahead_us
        self.topics = wire.Topics(robot_id)
        self.robot_id, self.boot = robot_id, boot
        self._drift = drift
        self._began = time.monotonic()
        self._port = port
        self._channels = dict(channels if channels is not None else {"odom": ODOM})
        self.numberings = {
            name: wire.Numbering(robot_id, boot, self.topics.channel_lane(name, said.channel_class, said.encoding, 1))
            for name, said in self._channels.items()
        }

    def __enter__(self) -> Self:
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"standin-{self.robot_id}", protocol=paho.MQTTv5
        )
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self._ready = threading.Event()
        client.on_subscribe = lambda *_: self._ready.set()
        client.will_set(self.topics.status, self._status(LinkState.OFFLINE), qos=1, retain=True)
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", self._port, keepalive=60)
        client.loop_start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wall_us(self) -> int:
        """Its wall clock."""
        return time.time_ns() // 1000 + self.ahead_us + round(self._drift(time.monotonic() - self._began) * 1e6)

    def status(self, state: LinkState = LinkState.ONLINE, *, flows: Mapping[str, Any] | None = None) -> None:
        """Say something on the status topic."""
        self._client.publish(self.topics.status, self._status(state, flows), qos=1, retain=True)

    def clear(self) -> None:
        """Take the retained status away: this robot is no more."""
        self._client.publish(self.topics.status, b"", qos=1, retain=True).wait_for_publish(5)

    def send(self, channel: str, data: Any, *, stamp_us: int | None = None) -> None:
        """Send one live record; `data` is bytes on a cdr channel."""
        record, payload, properties = self.made(channel, data, stamp_us)
        made = None
        if properties:
            made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            made.UserProperty = list(properties)
        self._client.publish(record.lane.live_topic, payload, qos=1, properties=made)

    def made(self, channel: str, data: Any, stamp_us: int | None = None) -> tuple[Any, bytes, Any]:
        """Return (record, payload, properties) of the next number, unsent."""
        now_us = self.wall_us()
        numbering = self.numberings[channel]
        plain = self._channels[channel].encoding is Encoding.JSON
        body = wire.encode(data) if plain else data
        record = numbering.number(body, stamp_us=now_us if stamp_us is None else stamp_us, recv_us=now_us, now_ns=0)
        return record, record.body, () if plain else numbering.properties(record)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish anything."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._client.publish(f"{self.topics.root}/flush", b"x", qos=1).wait_for_publish(10)

    def _status(self, state: LinkState, flows: Mapping[str, Any] | None = None) -> bytes:
        return wire.status(
            self.robot_id, self.boot, state, version="0", stamp_us=self.wall_us(), heartbeat_s=5.0, flows=flows or {}
        )

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self.topics.command(Verb.PING), qos=1)
        self.status()
        client.publish(
            self.topics.channels, encode(Announcement(self.robot_id, self.boot, self._channels)), qos=1, retain=True
        )

    def _on_message(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        asked = json.loads(message.payload)
        extra = {"t_ms": asked["t_ms"], "robot_ms": time.monotonic_ns() // 1_000_000, "robot_us": self.wall_us()}
        answer = Answer(Verdict.OK, Reason.PONG)
        ack = wire.ack(self.robot_id, asked["id"], Verb.PING, answer, State.IDLE, self.wall_us(), extra)
        client.publish(self.topics.acks, ack, qos=1)
