"""Bench: robots that only speak MQTT, one process for all of them. `python -m bench.fleet PORT ROBOTS FILE`.

In: how many     Out: what their daemons would say (announcements, statuses, answers to pings), and QoS 1 records on an
absolute schedule, until SIGTERM; FILE holds how many records left.

What can be encoded before is, and records leave by a bare socket: a robot costs its share of a schedule, little more.
"""

from __future__ import annotations

import mmap
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.ending import flag_of
from bench.load import READY, publish_on_schedule
from bench.streams import BATTERY, IMU, JOINT_STATE, ODOM, TEMPERATURE, Stream, serialised
from edgetwin import wire
from edgetwin.announcement import Announced, Announcement, encode
from edgetwin.clock import NS_PER_S, NS_PER_US
from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.records import ChannelClass, LinkState
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.sim.ports import HOST
from edgetwin.uplink import packets

STREAMS: Final = (
    Stream("odom", ODOM, 10),
    Stream("joint_states", JOINT_STATE, 10),
    Stream("imu", IMU, 10),
    Stream("battery", BATTERY, 1),
    Stream("motor", TEMPERATURE, 1),
)
RATE_HZ: Final = sum(stream.rate_hz for stream in STREAMS)  # of one robot
PROBED: Final = 5  # robots whose first stream a viewer times
PROBED_HZ: Final = STREAMS[0].rate_hz
BOOT = "bench"
_VARIANTS = 64
_STATUS_EVERY_S = 5.0
_PATIENCE_S = 10.0
_HEADER = b'{"header":{"stamp":{"sec":%d,"nanosec":%d},"frame_id":'


def robot_id(number: int) -> str:
    """Return the id of a robot; it is a ROS name as it stands."""
    return f"fleet_{number:03d}"


class Count:
    """A number that another process reads while it grows."""

    def __init__(self, path: Path) -> None:
        with path.open("wb+") as file:
            file.truncate(8)
            self._number = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

    def add(self) -> None:
        """One more."""
        self._number[0] += 1


def read_count(path: Path) -> int:
    """Return what a Count says now."""
    return int.from_bytes(path.read_bytes(), sys.byteorder)


class Wire:
    """A bare MQTT 3.1.1 connection that publishes; PUBACKs are read and forgotten."""

    def __init__(self, port: int, name: str) -> None:
        self._packet_id = 0
        self._sock = socket.create_connection((HOST, port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = packets.utf8_string("MQTT") + b"\x04\x02\x00\x00" + packets.utf8_string(name)
        self._sock.sendall(b"\x10" + packets.variable_integer(len(body)) + body)
        self._sock.recv(4)  # CONNACK
        threading.Thread(target=self._drain, daemon=True).start()

    def publish(self, topic: bytes, payload: bytes) -> None:
        """Send one PUBLISH of QoS 1; `topic` from `packets.utf8_string`."""
        self._packet_id = packets.next_packet_id(self._packet_id)
        self._sock.sendall(packets.publish(topic, payload, self._packet_id, qos=1, retain=False, properties=b""))

    def _drain(self) -> None:
        while self._sock.recv(1 << 16):
            pass


class Source:
    """One channel of one robot."""

    def __init__(self, sent: Wire, count: Count, robot: str, stream: Stream, bodies: Iterator[bytes]) -> None:
        self.stream = stream
        topics = wire.Topics(robot)
        lane = topics.channel_lane(stream.channel, ChannelClass.CRITICAL, _announced(stream).encoding, 1)
        self._topic = packets.utf8_string(lane.live_topic)
        self._numbering = wire.Numbering(robot, BOOT, lane)
        self._wire, self._count, self._bodies = sent, count, bodies

    def publish(self, stamp_us: int) -> None:  # noqa: ARG002  # a late schedule is nobody's latency: it is stamped now
        """Send the next record."""
        now_ns = time.time_ns()
        data = _HEADER % divmod(now_ns, NS_PER_S) + next(self._bodies)
        now_us = now_ns // NS_PER_US
        self._wire.publish(self._topic, self._numbering.number(data, stamp_us=now_us, recv_us=now_us, now_ns=0).body)
        self._count.add()


class Presence:
    """What the robots say besides records."""

    def __init__(self, port: int, count: int) -> None:
        """Connect; `announce` waits until the broker has it all."""
        self._robots = [robot_id(number) for number in range(count)]
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, client_id="fleet", protocol=paho.MQTTv5)
        client.on_message = self._on_message
        client.max_queued_messages_set(0)
        client.connect(HOST, port)
        client.subscribe(wire.command_topic(f"{wire.DEFAULT_PREFIX}/+", Verb.PING))
        client.loop_start()

    def announce(self) -> None:
        """Say who is there, and of what types the channels are."""
        channels = {stream.channel: _announced(stream) for stream in STREAMS}
        for robot in self._robots:
            topics = wire.Topics(robot)
            self._client.publish(topics.channels, encode(Announcement(robot, BOOT, channels)), qos=1, retain=True)
        self.status()

    def status(self) -> None:
        """Every robot is online."""
        for robot in self._robots:
            said = wire.status(
                robot, BOOT, LinkState.ONLINE, version="0", stamp_us=_now_us(), heartbeat_s=_STATUS_EVERY_S
            )
            last = self._client.publish(wire.Topics(robot).status, said, qos=1, retain=True)
        last.wait_for_publish(_PATIENCE_S)

    def leave(self) -> None:
        """Take away what the broker keeps of them."""
        for robot in self._robots:
            topics = wire.Topics(robot)
            for topic in (topics.channels, topics.status):
                last = self._client.publish(topic, b"", qos=1, retain=True)
        last.wait_for_publish(_PATIENCE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        robot, asked = message.topic.split("/")[1], orjson.loads(message.payload)
        extra = {"t_ms": asked["t_ms"], "robot_ms": time.monotonic_ns() // 1_000_000, "robot_us": _now_us()}
        answer = Answer(Verdict.OK, Reason.PONG)
        ack = wire.ack(robot, asked["id"], Verb.PING, answer, State.IDLE, _now_us(), extra)
        client.publish(wire.Topics(robot).acks, ack, qos=1)


def _now_us() -> int:
    return time.time_ns() // NS_PER_US


def _announced(stream: Stream) -> Announced:
    return Announced(stream.topic, stream.type_name, ChannelClass.CRITICAL, 2.0 * stream.rate_hz, 1.0)


def _bodies(stream: Stream) -> list[bytes]:
    """Return the JSON of messages that differ, from the header's frame_id on."""
    decode = cdr.dict_decoder(message_class(stream.type_name))
    whole = [wire.encode(decode(bytes(message))) for message in serialised(stream.type_name, _VARIANTS)]
    return [data.partition(b'"frame_id":')[2] for data in whole]


def main(port: int, robots: int, out: Path) -> None:
    """Be so many robots until SIGTERM."""
    ended = flag_of(signal.SIGTERM)
    presence, sent, count = Presence(port, robots), Wire(port, "fleet-records"), Count(out)
    bodies = {stream: _bodies(stream) for stream in STREAMS}
    sources = [
        Source(sent, count, robot_id(number), stream, cycle(bodies[stream]))
        for number in range(robots)
        for stream in STREAMS
    ]
    presence.announce()
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(presence, done))
    heart.start()
    print(READY, flush=True)
    publish_on_schedule(sources, ended)
    done.set()
    heart.join()
    presence.leave()


def _beat(presence: Presence, done: threading.Event) -> None:
    while not done.wait(_STATUS_EVERY_S):
        presence.status()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
