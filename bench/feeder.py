"""Bench: a source without ROS, a process of its own. `python -m bench.feeder WAY PORT ROBOT FACTOR SENT FOLDER`.

In: the streams of SENSORS, FACTOR times as fast, each 20 ms what is due     Out: by WAY: `forward`: into edgetwin's
real forwarding, outbox and uplink, in this process; `publish`: as MQTT messages of the same size to PORT, for a
gateway behind it; `make`: nowhere, so that the making itself can be taken off. SENT says when each message left.

The records wait for the tick as they do in the daemon where a topic is busy (`ros/wakeup.py`).
SIGUSR1: it sends nothing new and stays. SIGTERM: it goes.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Final, Protocol

import uvloop

from bench.ending import flag_of
from bench.sensor import PAYLOAD_BYTES
from bench.sent import SentLog
from bench.streams import SENSORS
from edgetwin import wire
from edgetwin.check import broker_of
from edgetwin.clock import NS_PER_US, SystemClock
from edgetwin.config import load
from edgetwin.forwarding import Forwarding
from edgetwin.records import LinkState, Parcel
from edgetwin.sim.ports import HOST
from edgetwin.uplink import packets
from edgetwin.uplink.packets import utf8_string, variable_integer

FORWARD, PUBLISH, MAKE = "forward", "publish", "make"
READY = "feeding"
QUIET = signal.SIGUSR1
_TICK_S = 0.02
_READINGS = 2048
_RECV_BYTES = 1 << 16
_LINK_END_S = 2.5
_SETTINGS: Final = """\
[robot]
id = "{robot}"
[mqtt]
port = {port}
[store]
path = "{folder}/outbox.db"
"""
_CHANNEL: Final = """\
[channels.{name}]
topic = "{topic}"
type = "{type_name}"
class = "critical"
rate_hz_max = 1000.0
"""


class Sink(Protocol):
    """Where messages go."""

    def begin(self) -> None:
        """A tick begins."""

    def send(self, stream: int, stamp_us: int, reading: bytes) -> None:
        """Take a message."""

    def end(self) -> None:
        """The tick is over."""


class Nowhere:
    """What the making costs by itself."""

    def begin(self) -> None:
        """Nothing."""

    def send(self, stream: int, stamp_us: int, reading: bytes) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Broker:
    """A gateway's own broker: QoS 1 over a plain socket, a tick's messages in one write."""

    def __init__(self, port: int, robot_id: str) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + utf8_string(f"{robot_id}-feeder")  # MQTT 3.1.1: no properties
        self._socket.sendall(bytes((0x10,)) + variable_integer(len(body)) + body)
        self._socket.recv(_RECV_BYTES)  # CONNACK
        self._topics = [utf8_string(f"robot/{robot_id}/telemetry/{stream.channel}") for stream in SENSORS]
        self._heads = [
            b'{"v":1,"robot_id":"%b","channel":"%b","stamp_us":' % (robot_id.encode(), stream.channel.encode())
            for stream in SENSORS
        ]
        self._packet_id = 0
        self._unsent = bytearray()

    def begin(self) -> None:
        """Nothing."""

    def send(self, stream: int, stamp_us: int, reading: bytes) -> None:
        """Make a PUBLISH of it."""
        self._packet_id = packets.next_packet_id(self._packet_id)
        payload = (b"%b%d,%b}" % (self._heads[stream], stamp_us, reading)).ljust(PAYLOAD_BYTES)
        self._unsent += packets.publish(
            self._topics[stream], payload, self._packet_id, qos=1, retain=False, properties=b""
        )

    def end(self) -> None:
        """Send the tick's, take what was acknowledged."""
        self._socket.sendall(self._unsent)
        self._unsent.clear()
        with suppress(BlockingIOError):
            while self._socket.recv(_RECV_BYTES, socket.MSG_DONTWAIT):
                pass


class Edgetwin:
    """The daemon's half behind ROS: numbering, forwarding, outbox, uplink."""

    def __init__(self, port: int, robot_id: str, folder: Path) -> None:
        path = folder / "edgetwin.toml"
        channels = (_CHANNEL.format(name=s.channel, topic=s.topic, type_name=s.type_name) for s in SENSORS)
        path.write_text(_SETTINGS.format(robot=robot_id, port=port, folder=folder) + "".join(channels))
        settings = load(path, {}).settings
        topics, self._clock = wire.Topics(robot_id), SystemClock()

        def status(state: LinkState) -> Parcel:
            return Parcel(topics.status, wire.status(robot_id, "bench", state, version="bench", stamp_us=0), 0)

        self.forwarding = Forwarding(settings, f"{time.time_ns():x}", topics, broker_of(settings), status, self._clock)
        self._numberings = [
            self.forwarding.add_lane(topics.channel_lane(name, channel.channel_class, channel.encoding, channel.qos))
            for name, channel in settings.channels.items()
        ]
        self._pump = self.forwarding.pump
        self._now_ns = self._now_us = 0

    def begin(self) -> None:
        """As `ros.graph` does."""
        self._now_ns, self._now_us = self._clock.now_ns(), self._clock.stamp_ns() // NS_PER_US
        self._pump.turn_begins()

    def send(self, stream: int, stamp_us: int, reading: bytes) -> None:
        """As `pipeline` does."""
        self.forwarding.leave(
            self._numberings[stream].number(
                b"{%b}" % reading, stamp_us=stamp_us, recv_us=self._now_us, now_ns=self._now_ns
            )
        )

    def end(self) -> None:
        """As `ros.graph` does."""
        self._pump.turn_ends()

    async def run(self, feeding: Callable[[], asyncio.Task[None]]) -> None:
        """Open, forward what is fed, close in order."""
        await self.forwarding.open()
        link = asyncio.get_running_loop().create_task(self.forwarding.link.run())
        await self.forwarding.tried.wait()
        self._pump.ticking(True)  # noqa: FBT003
        await feeding()
        self.forwarding.finish()
        await asyncio.wait([link], timeout=_LINK_END_S)
        link.cancel()
        await self.forwarding.close()


async def feed(
    sink: Sink, factor: int, sent_folder: Path, quiet: Callable[[], bool], ended: Callable[[], bool]
) -> None:
    """Send each tick what is due; a message's stamp is the time it was due."""
    loop = asyncio.get_running_loop()
    logs = [SentLog(sent_folder, stream.channel) for stream in SENSORS]
    readings = [_readings(number) for number in range(len(SENSORS))]
    periods_us = [stream.period_us / factor for stream in SENSORS]
    counts = [0] * len(SENSORS)
    start_us, start_s = time.time_ns() // NS_PER_US, loop.time()
    print(READY, flush=True)
    tick = 0
    while not ended():
        tick += 1
        await asyncio.sleep(max(0.0, start_s + tick * _TICK_S - loop.time()))
        if quiet():
            continue
        elapsed_us = (loop.time() - start_s) * 1e6
        sink.begin()
        for number, period_us in enumerate(periods_us):
            _send_due(sink, number, range(counts[number], int(elapsed_us / period_us)), start_us, period_us,
                      logs[number], readings[number])  # fmt: skip
            counts[number] = max(counts[number], int(elapsed_us / period_us))
        sink.end()


def _send_due(
    sink: Sink, number: int, turns: Sequence[int], start_us: int, period_us: float, log: SentLog,
    readings: Iterator[bytes],
) -> None:  # fmt: skip
    now_us = time.time_ns() // NS_PER_US
    for turn in turns:
        stamp_us = start_us + int(turn * period_us) + number  # a stamp of its own, also across streams
        log.note(stamp_us, now_us)
        sink.send(number, stamp_us, next(readings))


def _readings(number: int) -> Iterator[bytes]:
    noise = random.Random(number)
    return cycle([b'"temperature":%b,"variance":0.01' % repr(noise.gauss(40, 1)).encode() for _ in range(_READINGS)])


async def main(way: str, port: int, robot_id: str, factor: int, sent: Path, folder: Path) -> None:
    """Feed until SIGTERM."""
    quiet, ended = flag_of(QUIET), flag_of(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    if way == FORWARD:
        edgetwin = Edgetwin(port, robot_id, folder)
        await edgetwin.run(lambda: loop.create_task(feed(edgetwin, factor, sent, quiet, ended)))
    else:
        await feed(Broker(port, robot_id) if way == PUBLISH else Nowhere(), factor, sent, quiet, ended)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]), Path(sys.argv[6])))
