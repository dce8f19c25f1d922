"""Command lane: the few MQTT 5 packets of a connection that listens to commands and answers them.

In: plain values; the bodies of packets     Out: packets; what they say
Pure. There is no client library under this lane: a stop may not wait for one, and a reviewer reads this page instead.

Source: MQTT 5.0 (OASIS), sections 1.5, 2.2, 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
REFUSED = 0x80  # reason codes from here on are refusals
PINGREQ_PACKET = bytes((PINGREQ << 4, 0))
DISCONNECT_PACKET = bytes((DISCONNECT << 4, 0))

_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_PACKET_SIZE, _SERVER_KEEP_ALIVE = 0x11, 0x21, 0x27, 0x13
_EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _USER = 0x02, 0x03, 0x08, 0x09, 0x26
_RECEIVE_MAXIMUM_DEFAULT = 65_535
_PACKET_ID_MAX = 65_535
_LENGTH_MORE = 0x80

# Size of each property's value in bytes; the others are a string, a pair of strings, or a variable integer.
_FIXED = {
    0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2,
    0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip
_STRINGS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})
_SUBSCRIPTION_ID = 0x0B


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic to listen to; options are those of MQTT 5, with No Local and Retain As Published always on.

    Attributes:
        topic: Exact, without wildcards.
        retained: Whether the broker sends what it has kept (retain handling 0), or never does (2).
    """

    topic: str
    retained: bool


@dataclass(frozen=True, slots=True)
class Welcome:
    """What CONNACK says: the reason, and how much the broker takes."""

    reason_code: int
    receive_max: int
    packet_max_bytes: int | None
    keepalive_s: int | None


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of a PUBLISH that matter here."""

    expiry_s: int | None = None
    response_topic: str = ""
    correlation: bytes = b""
    user: tuple[tuple[str, str], ...] = ()


def connect(
    client_id: str, keepalive_s: int, username: str | None, password: str | None, *, receive_max: int, packet_max: int
) -> bytes:
    """Return CONNECT: clean start, session expiry 0, no will. `packet_max` 0 sets no limit."""
    properties = bytes((_SESSION_EXPIRY, 0, 0, 0, 0, _RECEIVE_MAXIMUM)) + receive_max.to_bytes(2, "big")
    if packet_max:
        properties += bytes((_MAXIMUM_PACKET_SIZE,)) + packet_max.to_bytes(4, "big")
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = _text("MQTT") + bytes((5, flags)) + keepalive_s.to_bytes(2, "big") + _block(properties) + _text(client_id)
    for credential in (username, password):
        if credential is not None:
            body += _text(credential)
    return _packet(CONNECT << 4, body)


def subscribe(packet_id: int, subscriptions: Sequence[Subscription]) -> bytes:
    """Return SUBSCRIBE with QoS 1 for each."""
    body = packet_id.to_bytes(2, "big") + b"\x00"
    for subscription in subscriptions:
        handling = 0 if subscription.retained else 2
        body += _text(subscription.topic) + bytes((handling << 4 | 0x08 | 0x04 | 1,))
    return _packet(SUBSCRIBE << 4 | 2, body)


def publish(
    topic: str,
    payload: bytes,
    packet_id: int,
    *,
    content_type: str = "",
    correlation: bytes = b"",
    user: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return PUBLISH with QoS 1."""
    properties = bytes((_CONTENT_TYPE,)) + _text(content_type) if content_type else b""
    if correlation:
        properties += bytes((_CORRELATION,)) + len(correlation).to_bytes(2, "big") + correlation
    for key, value in user:
        properties += bytes((_USER,)) + _text(key) + _text(value)
    return _packet(PUBLISH << 4 | 2, _text(topic) + packet_id.to_bytes(2, "big") + _block(properties) + payload)


def puback(packet_id: int) -> bytes:
    """Return PUBACK, reason 0."""
    return bytes((PUBACK << 4, 2, packet_id >> 8, packet_id & 0xFF))


def next_packet_id(previous: int) -> int:
    """Return the packet id after `previous`: 1..65,535, never 0."""
    return previous % _PACKET_ID_MAX + 1


def read_connack(body: bytes) -> Welcome:
    """Return what CONNACK says.

    Raises:
        ValueError: It is none.
    """
    if len(body) < 2:  # noqa: PLR2004  # flags and reason
        msg = "CONNACK is too short"
        raise ValueError(msg)
    found = dict(_values(body, 2)) if len(body) > 2 else {}  # noqa: PLR2004
    whole = {key: int.from_bytes(value, "big") for key, value in found.items() if key in _FIXED}
    return Welcome(
        body[1],
        whole.get(_RECEIVE_MAXIMUM, _RECEIVE_MAXIMUM_DEFAULT),
        whole.get(_MAXIMUM_PACKET_SIZE),
        whole.get(_SERVER_KEEP_ALIVE),
    )


def read_suback(body: bytes) -> bytes:
    """Return the reason codes, one per subscription.

    Raises:
        ValueError: It is no SUBACK.
    """
    length, start = variable_integer(body, 2)
    return body[start + length :]


def read_ack(body: bytes) -> tuple[int, int]:
    """Return (packet id, reason code) of a PUBACK.

    Raises:
        ValueError: It is none.
    """
    if len(body) < 2:  # noqa: PLR2004
        msg = "PUBACK without a packet id"
        raise ValueError(msg)
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0  # noqa: PLR2004


def read_properties(rest: bytes) -> tuple[Properties, int]:
    """Return the properties at the start of `rest`, and where the payload behind them begins.

    Raises:
        ValueError: They are malformed, or not complete.
    """
    length, start = variable_integer(rest, 0)
    expiry_s: int | None = None
    response_topic, correlation = "", b""
    user: list[tuple[str, str]] = []
    for key, value in _values(rest, 0):
        if key == _EXPIRY:
            expiry_s = int.from_bytes(value, "big")
        elif key == _RESPONSE_TOPIC:
            response_topic = value.decode()
        elif key == _CORRELATION:
            correlation = value
        elif key == _USER:
            name_bytes = int.from_bytes(value[:2], "big")
            user.append((value[2 : 2 + name_bytes].decode(), value[4 + name_bytes :].decode()))
    return Properties(expiry_s, response_topic, correlation, tuple(user)), start + length


def variable_integer(data: bytes, position: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends.

    Raises:
        ValueError: It is not complete, or longer than four bytes.
    """
    value = 0
    for turn, byte in enumerate(data[position : position + 4]):
        value |= (byte & 0x7F) << 7 * turn
        if byte < _LENGTH_MORE:
            return value, position + turn + 1
    msg = "a variable byte integer is not complete"
    raise ValueError(msg)


def _values(data: bytes, position: int) -> list[tuple[int, bytes]]:
    """Return the properties of the block at `position` as (identifier, value); a pair of strings is one value.

    Raises:
        ValueError: An unknown identifier, or a length beyond the block.
    """
    length, position = variable_integer(data, position)
    end = position + length
    if end > len(data):
        msg = "properties are longer than the packet"
        raise ValueError(msg)
    values: list[tuple[int, bytes]] = []
    while position < end:
        key, start = data[position], position + 1
        position = _end_of_value(data, key, start)
        if position > end:
            msg = f"property 0x{key:02X} is longer than its block"
            raise ValueError(msg)
        values.append((key, data[start + 2 : position] if key in _STRINGS else data[start:position]))
    return values


def _end_of_value(data: bytes, key: int, start: int) -> int:
    if key in _FIXED:
        return start + _FIXED[key]
    if key == _SUBSCRIPTION_ID:
        return variable_integer(data, start)[1]
    if key not in _STRINGS and key != _USER:
        msg = f"property 0x{key:02X} is unknown"
        raise ValueError(msg)
    end = start + 2 + int.from_bytes(data[start : start + 2], "big")
    return end + 2 + int.from_bytes(data[end : end + 2], "big") if key == _USER else end


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _block(properties: bytes) -> bytes:
    return _length(len(properties)) + properties


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def _length(value: int) -> bytes:
    encoded = bytearray()
    while value >= _LENGTH_MORE:
        encoded.append(value & 0x7F | _LENGTH_MORE)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
