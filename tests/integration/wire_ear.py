"""What a wire carried, read off its frames: when each record of a robot was whole at the far end of its TCP.

In: frames with the time of their delivery, in that order     Out: records, each with when it could first be read
TCP hands bytes on in order: a frame that came before its turn counts from when the one it waits for came. So this is
what the network did to each record, and nothing of what broker and mirror did afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgetwin import wire

_IPV4, _TCP, _SYN, _PUBLISH = 0x0800, 6, 0x02, 0x30
_ETHERNET_BYTES = 14
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Passed:
    """One record at the far end of the wire: by the live lane or not, when measured and when whole [us, UTC]."""

    live: bool
    seq: int
    stamp_us: int
    came_us: int

    @property
    def latency_ms(self) -> float:
        """From measurement to the far end."""
        return (self.came_us - self.stamp_us) / 1000


@dataclass
class _Flow:
    """One TCP connection, one way: bytes put into order."""

    first: int
    taken: int = 0
    ahead: dict[int, bytes] = field(default_factory=dict)
    stream: bytearray = field(default_factory=bytearray)

    def feed(self, number: int, payload: bytes) -> None:
        """Take the payload of a frame; `number` is its TCP sequence number."""
        at = (number - self.first) & 0xFFFFFFFF
        if at > 1 << 31:  # before the first
            return
        if len(self.ahead.get(at, b"")) < len(payload):
            self.ahead[at] = payload
        for start in sorted(self.ahead):
            if start > self.taken:
                break
            piece = self.ahead.pop(start)[self.taken - start :]
            self.stream += piece
            self.taken += len(piece)

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Take away the MQTT packets that are whole: first byte, body."""
        while len(self.stream) > 1:
            length = shift = 0
            place = 1
            while True:
                if place >= len(self.stream):
                    return
                length |= (self.stream[place] & 127) << shift
                place, shift = place + 1, shift + 7
                if self.stream[place - 1] < 128:
                    break
            if len(self.stream) < place + length:
                return
            packet = self.stream[0], bytes(self.stream[place : place + length])
            del self.stream[: place + length]
            yield packet


def passed(frames: Iterable[tuple[int, bytes]], port: int, channel: str) -> list[Passed]:
    """Return the records of a channel that came to a TCP port, repeats and all, in order of arrival."""
    flows: dict[int, _Flow] = {}
    found: list[Passed] = []
    for at_ns, frame in frames:
        segment = _segment(frame, port)
        if segment is None:
            continue
        source, number, flags, payload = segment
        if flags & _SYN:
            flows[source] = _Flow((number + 1) & 0xFFFFFFFF)
        elif payload and source in flows:
            flows[source].feed(number, payload)
            for first, body in flows[source].packets():
                if first & 0xF0 == _PUBLISH:
                    found += _records(first, body, channel, at_ns // 1000)
    return found


def _segment(frame: bytes, port: int) -> tuple[int, int, int, bytes] | None:
    """Return (source port, sequence number, flags, payload) of a TCP segment to `port`."""
    if len(frame) < 54 or struct.unpack_from("!H", frame, 12)[0] != _IPV4 or frame[23] != _TCP:
        return None
    tcp = _ETHERNET_BYTES + (frame[14] & 15) * 4
    source, destination, number = struct.unpack_from("!HHI", frame, tcp)
    if destination != port:
        return None
    end = _ETHERNET_BYTES + struct.unpack_from("!H", frame, 16)[0]
    return source, number, frame[tcp + 13], frame[tcp + (frame[tcp + 12] >> 4) * 4 : end]


def _records(first: int, body: bytes, channel: str, came_us: int) -> list[Passed]:
    """Return the records in one PUBLISH, if it is of the channel."""
    place = 2 + struct.unpack_from("!H", body)[0]
    topic = body[2:place].decode()
    if not topic.endswith((f"/telemetry/{channel}", f"/backlog/{channel}")):
        return []
    place += 2 if first & 0x06 else 0
    properties = shift = 0
    while True:
        byte = body[place]
        properties |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            break
    payload = body[place + properties :]
    packed = [(wire.CONTENT_ENCODING, wire.ZSTD)] if payload.startswith(_ZSTD) else []
    live = "/telemetry/" in topic
    return [Passed(live, one["seq"], one["stamp_us"], came_us) for one in wire.decode(payload, packed)]
