"""Twin wing: the two MQTT 5 packets that every record costs here, and nothing else of MQTT.

In: received bytes     Out: PUBLISHes as plain values, their PUBACKs, and the rest untouched
Pure. paho spends some hundred Python calls on each PUBLISH, half of them on properties that nobody asks for. Everything
else (CONNACK, SUBACK, PINGRESP, DISCONNECT, QoS 2) stays with paho.

Source: MQTT 5.0 (OASIS), sections 2.2.2, 3.3, 3.4.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

_PUBLISH, _QOS_1, _QOS_2, _RETAIN = 0x30, 0x02, 0x04, 0x01
_PUBACK = b"\x40\x02"
_USER_PROPERTY = 0x26
_FIXED = {0x01: 1, 0x02: 4, 0x23: 2}  # payload format, message expiry, topic alias
_STRINGS = {0x03, 0x08, 0x09}  # content type, response topic, correlation data
_SUBSCRIPTION = 0x0B
_MORE = 128

User = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """One message. `user`: its user properties."""

    topic: str
    payload: bytes
    user: User
    retain: bool


class Deframer:
    """Splits received bytes into packets: PUBLISHes are read, all others are handed on as they came."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> tuple[list[Publish], bytes, bytes]:
        """Return (messages, their PUBACKs, bytes of complete other packets), each in order of arrival.

        Raises:
            ValueError: Not MQTT.
        """
        stream = self._rest + received if self._rest else received
        messages: list[Publish] = []
        acks: list[bytes] = []
        others: list[bytes] = []
        position, end = 0, len(stream)
        while end - position > 1:
            body, length = _variable_integer(stream, position + 1)
            if not body or body + length > end:
                break
            first, after = stream[position], body + length
            if first & 0xF0 == _PUBLISH and not first & _QOS_2:
                message, packet_id = _publish(stream[body:after], first)
                messages.append(message)
                if packet_id:
                    acks.append(_PUBACK + packet_id)
            else:
                others.append(stream[position:after])
            position = after
        self._rest = stream[position:]
        return messages, b"".join(acks), b"".join(others)


def _publish(body: bytes, first: int) -> tuple[Publish, bytes]:
    """Return a message and its packet id; b"" with QoS 0."""
    at = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:at].decode()
    packet_id = body[at : at + 2] if first & _QOS_1 else b""
    at += len(packet_id)
    begin, length = _variable_integer(body, at)
    after = begin + length
    if not topic or not begin or after > len(body):
        msg = f"not MQTT: a PUBLISH of {len(body)} bytes with a topic of {len(topic)}"
        raise ValueError(msg)
    user = _user_properties(body[begin:after]) if length else ()
    return Publish(topic, body[after:], user, bool(first & _RETAIN)), packet_id


@functools.lru_cache(maxsize=1024)  # a channel's block is the same each time
def _user_properties(block: bytes) -> User:
    """Return the user properties in a block of properties; all others are stepped over.

    Raises:
        ValueError: A property that no PUBLISH may have, or a block that ends too early.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(block):
        kind, at = block[at], at + 1
        if kind == _USER_PROPERTY:
            name, at = _string(block, at)
            value, at = _string(block, at)
            found.append((name.decode(), value.decode()))
        elif kind in _STRINGS:
            _, at = _string(block, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == _SUBSCRIPTION:
            at, _ = _variable_integer(block, at)
        else:
            msg = f"not MQTT: property {kind:#x} in a PUBLISH"
            raise ValueError(msg)
    return tuple(found)


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """Return what a length of two bytes precedes, and where it ends."""
    after = at + 2 + int.from_bytes(block[at : at + 2], "big")
    if after > len(block) or at + 2 > len(block):
        msg = "not MQTT: a property that ends too early"
        raise ValueError(msg)
    return block[at + 2 : after], after


def _variable_integer(stream: bytes, at: int) -> tuple[int, int]:
    """Return (where what follows begins, the integer); (0, 0) when it is not complete yet."""
    value = shift = 0
    for place in range(at, min(at + 4, len(stream))):
        byte = stream[place]
        value |= (byte & 127) << shift
        if byte < _MORE:
            return place + 1, value
        shift += 7
    if len(stream) < at + 4:
        return 0, 0
    msg = "not MQTT: a length of more than four bytes"
    raise ValueError(msg)
