"""Command lane: bytes of a broker into packets, and the topic of a PUBLISH before the rest of it has come.

In: bytes as the kernel has them     Out: `on_topic` as soon as a topic is whole; packets, long ones cut
Pure but for that call. A payload is never waited for: a stop whose payload is slow, huge or never ends has
stopped the robot when its topic was read. What is longer than it may be is thrown away as it comes, not kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.lane import packets
from edgetwin.lane.packets import Properties

_TOPIC_LENGTH_BYTES = 2
_LENGTH_MORE = 0x80
_LENGTH_BYTES_MAX = 4

OnTopic = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes:
        kind: Its type, 1 to 15.
        flags: The lower half of its first byte.
        body: All behind the fixed header, at most as long as the stream keeps.
        cut: How many bytes were thrown away behind it.
    """

    kind: int
    flags: int
    body: bytes
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message that came; `packet_id` is None with QoS 0, `cut` counts payload bytes thrown away."""

    topic: str
    payload: bytes
    retain: bool
    packet_id: int | None
    properties: Properties
    cut: int = 0


class Stream:
    """The receiving half of one connection."""

    def __init__(self, on_topic: OnTopic, keep_bytes: int) -> None:
        """Begin with nothing.

        Args:
            on_topic: Called once per PUBLISH, as early as can be.
            keep_bytes: Longest body that is kept.
        """
        self._on_topic = on_topic
        self._keep_bytes = keep_bytes
        self._buffer = bytearray()
        self._announced = False  # the topic of the packet at the head of the buffer
        self._long: Packet | None = None
        self._to_skip = 0

    def feed(self, received: bytes) -> list[Packet]:
        """Return the packets that are complete now.

        Raises:
            ValueError: This is not MQTT.
        """
        self._buffer += received
        found: list[Packet] = []
        position = 0
        while (end := self._next(position, found)) is not None:
            position = end
        del self._buffer[:position]
        return found

    def _next(self, position: int, found: list[Packet]) -> int | None:
        """Take one packet at `position`; return where it ends, or None when more bytes are needed."""
        if self._long is not None:
            return self._skip(position, found)
        buffer = self._buffer
        start, length = _remaining_length(buffer, position + 1)
        if start == 0:
            return None
        first = buffer[position]
        if first >> 4 == packets.PUBLISH and not self._announced:
            self._announce(start, length)
        have = len(buffer) - start
        if have >= length <= self._keep_bytes:
            self._announced = False
            found.append(Packet(first >> 4, first & 0x0F, bytes(buffer[start : start + length])))
            return start + length
        if have >= self._keep_bytes < length:
            self._announced = False
            body = bytes(buffer[start : start + self._keep_bytes])
            self._to_skip = length - self._keep_bytes
            self._long = Packet(first >> 4, first & 0x0F, body, self._to_skip)
            return start + self._keep_bytes
        return None

    def _skip(self, position: int, found: list[Packet]) -> int | None:
        skipped = min(self._to_skip, len(self._buffer) - position)
        self._to_skip -= skipped
        if self._to_skip == 0 and self._long is not None:
            found.append(self._long)
            self._long = None
            return position + skipped
        del self._buffer[position : position + skipped]
        return None

    def _announce(self, start: int, length: int) -> None:
        begin = start + _TOPIC_LENGTH_BYTES
        if len(self._buffer) < begin:
            return
        end = begin + int.from_bytes(self._buffer[start:begin], "big")
        if end - start > length:
            msg = "a topic is longer than its packet"
            raise ValueError(msg)
        if len(self._buffer) >= end:
            self._announced = True
            self._on_topic(bytes(self._buffer[begin:end]))


def read_publish(packet: Packet) -> Arrival:
    """Return the message in a PUBLISH.

    Raises:
        ValueError: It is malformed.
    """
    body = packet.body
    end = _TOPIC_LENGTH_BYTES + int.from_bytes(body[:_TOPIC_LENGTH_BYTES], "big")
    topic = body[_TOPIC_LENGTH_BYTES:end].decode()
    packet_id: int | None = None
    if packet.flags & 0x06:
        packet_id = int.from_bytes(body[end : end + 2], "big")
        end += 2
    properties, payload_at = packets.read_properties(body[end:])
    return Arrival(topic, body[end + payload_at :], bool(packet.flags & 0x01), packet_id, properties, packet.cut)


def _remaining_length(buffer: bytearray, position: int) -> tuple[int, int]:
    """Return (where the body starts, its length); (0, 0) when the length is not complete yet.

    Raises:
        ValueError: It is longer than four bytes.
    """
    length = 0
    for turn in range(_LENGTH_BYTES_MAX):
        if position + turn >= len(buffer):
            return 0, 0
        byte = buffer[position + turn]
        length |= (byte & 0x7F) << 7 * turn
        if byte < _LENGTH_MORE:
            return position + turn + 1, length
    msg = "not MQTT: a remaining length of more than four bytes"
    raise ValueError(msg)
