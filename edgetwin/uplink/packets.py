"""Uplink room: the two MQTT 5 packets that every sample costs, and nothing else of MQTT.

In: topic, payload, packet id; received bytes     Out: a PUBLISH packet; PUBACKs, and the rest untouched.
Pure. paho spends 30 to 60 Python calls on each of these; a robot at 400 samples a second feels it.
Everything else (CONNECT, CONNACK, PINGREQ, DISCONNECT, ...) stays with paho.

Source: MQTT 5.0 (OASIS), sections 2.1.4, 2.2.2, 3.3, 3.4.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

PUBACK = 0x40
_CONTENT_TYPE = 0x03
_USER_PROPERTY = 0x26
_PACKET_ID_MAX = 0xFFFF
_STRING_MAX_BYTES = 0xFFFF
_VARIABLE_INTEGER_MAX = 0x0FFF_FFFF


@functools.lru_cache(maxsize=4096)  # a channel's packets are of few lengths
def variable_integer(value: int) -> bytes:
    """Return `value` as an MQTT variable byte integer.

    Raises:
        ValueError: Not within 0..268,435,455.
    """
    if not 0 <= value <= _VARIABLE_INTEGER_MAX:
        msg = f"{value} does not fit an MQTT packet (268,435,455 bytes)"
        raise ValueError(msg)
    encoded = bytearray()
    while value > 127:  # noqa: PLR2004  # seven bits a byte, the eighth says that more follow
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def utf8_string(text: str) -> bytes:
    """Return `text` as an MQTT UTF-8 string.

    Raises:
        ValueError: More than 65,535 bytes.
    """
    encoded = text.encode()
    if len(encoded) > _STRING_MAX_BYTES:
        msg = f"{len(encoded)} bytes do not fit an MQTT string (65,535)"
        raise ValueError(msg)
    return len(encoded).to_bytes(2, "big") + encoded


def publish_properties(content_type: str = "", user: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the property block of a PUBLISH, its length in front."""
    block = b""
    if content_type:
        block += bytes((_CONTENT_TYPE,)) + utf8_string(content_type)
    for name, value in user:
        block += bytes((_USER_PROPERTY,)) + utf8_string(name) + utf8_string(value)
    return variable_integer(len(block)) + block


def publish(topic: bytes, payload: bytes, packet_id: int, *, qos: int, retain: bool, properties: bytes) -> bytes:
    """Return one PUBLISH packet.

    Args:
        topic: From `utf8_string`.
        payload: Any bytes.
        packet_id: 1..65,535; not sent with QoS 0.
        qos: 0 or 1.
        retain: As in MQTT.
        properties: From `publish_properties`.
    """
    length = len(topic) + len(properties) + len(payload) + (2 if qos else 0)
    first = 0x30 | qos << 1 | retain
    head = bytes((first,)) + variable_integer(length) + topic
    if qos:
        return b"%b%b%b%b" % (head, packet_id.to_bytes(2, "big"), properties, payload)
    return b"%b%b%b" % (head, properties, payload)


class Deframer:
    """Splits received bytes into packets: PUBACKs are parsed, all others are handed on as they came."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> tuple[list[tuple[int, int]], bytes]:
        """Return ([(packet id, reason code), ...], bytes of complete other packets), in order of arrival.

        Raises:
            ValueError: Not MQTT: a remaining length of more than four bytes, or a PUBACK without an id.
        """
        stream = self._rest + received if self._rest else received
        acks: list[tuple[int, int]] = []
        others = b""
        position, end = 0, len(stream)
        while end - position >= 2:  # noqa: PLR2004  # type and at least one byte of length
            body, length = _remaining_length(stream, position + 1)
            if body < 0 or body + length > end:
                break
            if stream[position] == PUBACK:
                if length < 2:  # noqa: PLR2004  # the packet id
                    msg = "PUBACK without a packet id"
                    raise ValueError(msg)
                packet_id = stream[body] << 8 | stream[body + 1]
                acks.append((packet_id, stream[body + 2] if length > 2 else 0))  # noqa: PLR2004
            else:
                others += stream[position : body + length]
            position = body + length
        self._rest = stream[position:]
        return acks, others


def _remaining_length(stream: bytes, position: int) -> tuple[int, int]:
    """Return (where the body starts, its length); (-1, 0) when the length is not complete yet."""
    length = shift = 0
    for offset in range(4):
        if position + offset >= len(stream):
            return -1, 0
        byte = stream[position + offset]
        length |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004
            return position + offset + 1, length
        shift += 7
    msg = "not MQTT: a remaining length of more than four bytes"
    raise ValueError(msg)


def next_packet_id(previous: int) -> int:
    """Return the packet id after `previous`: 1..65,535, never 0."""
    return previous % _PACKET_ID_MAX + 1
